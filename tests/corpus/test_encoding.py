"""What encoding a page is in: marks, labels, `<meta>` as the HTML standard scans for it, and what fits."""

from __future__ import annotations

import pytest

from glassmill.corpus.extract.encoding import declared_in, decode, html_of

JAPANESE = "工場の見学会は毎週月曜日です。①㈱髙"
RUSSIAN = "Экскурсии по заводу проходят каждый понедельник."

DECLARED = [
    (b'<meta charset="shift_jis">', "shift_jis"),
    (b"<META CharSet = x-sjis />", "shift_jis"),
    (b"<meta charset='euc-kr' name=x>", "euc-kr"),
    (b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">', "koi8-r"),
    (b"<meta content='text/html;charset=\"big5\"' http-equiv=content-type>", "big5"),
    (b"<meta http-equiv=Content-Type content=text/html;charset=gb2312>", "gbk"),
    (b'<meta content="text/html; charset=euc-jp">', None),  # without http-equiv it declares nothing
    (b'<meta name="description" content="all about charset=euc-jp">', None),
    (b'<!-- <meta charset="euc-jp"> --><meta charset=gbk>', "gbk"),
    (b'<!--> <meta charset="euc-jp">', "euc-jp"),  # a whole comment
    (b"<!-- <meta charset=euc-jp>", None),
    (b"<!doctype html <meta charset=x>><meta charset=gbk>", "gbk"),
    (b'<img alt="<meta charset=euc-jp>"><meta charset=gbk>', "gbk"),
    (b"<a title='> <meta charset=euc-jp>'><meta charset=gbk>", "gbk"),
    (b'<script>document.write("<meta charset=euc-jp>")</script><meta charset=gbk>', "gbk"),
    (b"<title>How to write <meta charset=euc-jp></title><meta charset=gbk>", "gbk"),
    (b"<meta charset=no-such><meta charset=gbk>", "gbk"),
    (b"<meta charset=gbk charset=euc-jp>", "gbk"),
    (b"<metadata charset=euc-jp>", None),
    (b"<meta/charset=gbk>", "gbk"),
    (b"</p x='<meta charset=euc-jp>'><meta charset=gbk>", "gbk"),
    (b"<meta charset=utf-16>", "utf-8"),  # if it were true, these bytes could not be read
    (b"<meta charset=x-user-defined>", "windows-1252"),
    (b'<?xml version="1.0" encoding="windows-1251"?><html>', "windows-1251"),
    (b'<?xml version="1.0" encoding="windows-1251"?><meta charset=koi8-r>', "koi8-r"),
    (b"<?xml version='1.0' encoding='UTF-16'?>", "utf-8"),
    (b"<p>charset=euc-jp</p>", None),
    (b" " * 900 + b"<meta charset=gbk>", "gbk"),
    (b"<meta charset=", None),
    (b"<meta" + b" a" * 5000, None),
]


@pytest.mark.parametrize(("start", "encoding"), DECLARED)
def test_a_page_declares_its_encoding_as_in_browsers(start: bytes, encoding: str | None) -> None:
    assert declared_in(start) == encoding


CASES = [
    # body, HTTP's charset, text, encoding
    (JAPANESE.encode("cp932"), "Shift_JIS", JAPANESE, "shift_jis"),
    (b"<meta charset=euc-jp>" + JAPANESE.encode("cp932"), "shift_jis", None, "shift_jis"),  # HTTP goes first
    (JAPANESE.encode(), "shift_jis", JAPANESE, "utf-8"),  # valid UTF-8 is UTF-8
    (b"\xef\xbb\xbf" + "é".encode(), "latin1", "é", "utf-8"),
    (b"\xff\xfe" + "é".encode("utf-16-le"), "latin1", "é", "utf-16le"),
    ("<p>plain page without a mark</p>".encode("utf-16-le"), None, "<p>plain page without a mark</p>", "utf-16le"),
    ("<p>日本語のページ</p>\n".encode("utf-16-be"), "utf-16", "<p>日本語のページ</p>\n", "utf-16be"),
    ("日本語".encode("utf-16-le"), "utf-16", "日本語", "utf-16le"),
    ("<p>Stra\0ße</p>".encode(), "utf-8", "<p>Stra\0ße</p>", "utf-8"),  # a stray NUL or two are no UTF-16
    (b"<p>one\0two\0\0three and more</p>", None, "<p>one\0two\0\0three and more</p>", "utf-8"),
    ("Привет, мир.\n".encode("utf-16-le"), None, "Привет, мир.\n", "utf-16le"),
    (RUSSIAN.encode("cp1251"), "'windows-1251'", RUSSIAN, "windows-1251"),
    (RUSSIAN.encode("cp1251"), "utf-8", RUSSIAN, "windows-1251"),
    (RUSSIAN.encode("cp1251"), "win-1251", RUSSIAN, "windows-1251"),
    (b"\xff\xfe" + RUSSIAN.encode("utf-16-le"), "utf-8", RUSSIAN, "utf-16le"),
    (RUSSIAN.encode(), "iso-8859-1", RUSSIAN, "utf-8"),
    (b"caf\xe9 \x80 \x81\x8d", "iso-8859-1", "café € \x81\x8d", "windows-1252"),
    (b"caf\xe9", "utf-8", "café", "windows-1252"),  # a wrong label that nothing fits
    ("Größe, Maße".encode() + b" \xff", "utf-8", "Größe, Maße \ufffd", "utf-8"),
    ("Größe, Maße".encode() + b" \xff", None, "Größe, Maße \ufffd", "utf-8"),
    (b"\xbd\x8a\xba" + "日".encode("cp932") * 2, "shift_jis", None, "shift_jis"),
    ("株式会社".encode("cp932") + b"\x81 " + "案内".encode("cp932"), "shift_jis", "株式会社\ufffd 案内", "shift_jis"),
    ("새 책".encode("cp949") + b"\xff", "euc-kr", "새 책\ufffd", "euc-kr"),
    (RUSSIAN.encode("koi8-r"), None, RUSSIAN, "koi8-u"),
    (RUSSIAN.encode("cp1251"), "no-such-label", RUSSIAN, "windows-1251"),
    (JAPANESE[:-3].encode("iso2022_jp"), None, JAPANESE[:-3], "iso-2022-jp"),
    (b"\x1b$B-!\x1b(B", "iso-2022-jp", "①", "iso-2022-jp"),
    (b"a log with \x1b[31mcolour\x1b[0m and " + "Größe".encode(), None, None, "utf-8"),
    (b"~{<:Ky2;NpJ)~}", "hz-gb-2312", "", "replacement"),
    (b"<meta charset=iso-2022-kr>\x1b$)C\x0e5?\x0f", None, "", "replacement"),
    (b"plain ASCII", "iso-2022-kr", "plain ASCII", "utf-8"),
    (b"", "euc-jp", "", "utf-8"),
]


@pytest.mark.parametrize(("body", "charset", "text", "encoding"), CASES)
def test_the_encoding_of_a_page(body: bytes, charset: str | None, text: str | None, encoding: str) -> None:
    decoded, found = decode(body, charset)
    assert found == encoding
    assert text is None or decoded == text
    given = html_of(body, charset)
    assert (given.decode() if isinstance(given, bytes) else given) == decoded


def test_a_text_file_does_not_declare_its_encoding() -> None:
    body = b"<meta charset=euc-jp> is how a page says it. Gr\xf6\xdfe."
    assert decode(body, is_html=False) == (body.decode("cp1252"), "windows-1252")
