"""Of a document, what people see is read: no deleted, moved or hidden text, one delimiter, headers in any encoding."""

from __future__ import annotations

import base64
import gzip
import json
import quopri
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.corpus.pages import read

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)


def word(body: str) -> bytes:
    """A DOCX with this body."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>")
    return made.getvalue()


def mail(head: str, body: bytes) -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


RUN = "<w:r><w:t>{}</w:t></w:r>"
PART = "MIME-Version: 1.0\nContent-Type: multipart/{}; boundary=B"
DOCUMENTS: dict[str, tuple[str, bytes, str]] = {
    "a deletion": ("a.docx", word(f"<w:p>{RUN.format('kept')}<w:del><w:r><w:delText>no</w:delText></w:r></w:del>"
                                  f"<w:ins>{RUN.format(' new')}</w:ins></w:p>"), "kept new"),
    "a move": ("a.docx", word(f"<w:p><w:moveFrom>{RUN.format('here')}</w:moveFrom></w:p>"
                              f"<w:p><w:moveTo>{RUN.format('here')}</w:moveTo></w:p>"), "here"),
    "hidden": ("a.docx", word("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>no</w:t></w:r><w:r><w:rPr>"
                              '<w:vanish w:val="0"/></w:rPr><w:t>shown</w:t></w:r></w:p>'), "shown"),
    "a link": ("a.docx", word("<w:p><w:r><w:instrText>HYPERLINK x</w:instrText></w:r>" + RUN.format("link") + "</w:p>"),
               "link"),
    "a choice": ("a.docx", word(f"<w:p><mc:AlternateContent><mc:Choice>{RUN.format('box')}</mc:Choice><mc:Fallback>"
                                f"{RUN.format('no')}</mc:Fallback></mc:AlternateContent></w:p>"), "box"),
    "a control": ("a.docx", word(f"<w:sdt><w:sdtContent><w:p>{RUN.format('chosen')}</w:p></w:sdtContent></w:sdt>"),
                  "chosen"),
    "rtf hidden": ("a.rtf", rb"{\rtf1 one {\v no}{\v0 two}{\deleted no}\v no\v0  three\plain{\field{\*\fldinst "
                            rb"HYPERLINK x}{\fldrslt  four}}}", "one two three four"),
    "rtf signs": ("a.rtf", rb"{\rtf1\ansi\uc0\u8364 x\uc1\u252?y\~z\_{\'e9}}", "€xüy\u00a0z-é"),
    "excel's delimiter": ("a.csv", b"sep=;\na,b;c\n1;2\n", "a,b\tc\n1\t2"),
    "another delimiter": ("a.csv", b"SEP=|\r\na;b|c\r\n1|2\r\n", "a;b\tc\n1\t2"),
    "a column called sep": ("a.csv", b"sep=a,b\n1,2\n", "sep=a\tb\n1\t2"),
    "an open quote behind it": ("a.csv", b'sep=;\na;b\n"c;d\ne;f\n' + b"g;h\n" * 9, "a\tb"),
    "old notebooks": ("a.ipynb", json.dumps({"nbformat": 3, "worksheets": [{"cells": [
        {"cell_type": "code", "input": ["x=1"], "outputs": [{"output_type": "stream", "text": ["out"]}]}]}]}).encode(),
        "x=1\n\nout"),
    "raw utf-8 in a header": ("a.eml", mail("Subject: Größe 磨坊", "Mühle".encode()), "Subject: Größe 磨坊\n\nMühle"),
    "raw windows-1252": ("a.eml", "Subject: Die Größe der Mühlen\r\n\r\nx".encode("cp1252"),
                         "Subject: Die Größe der Mühlen\n\nx"),
    "encoded words": ("a.eml", mail("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?q?_=FC?=", b"x"),
                      "Subject: Grüße ü\n\nx"),
    "quoted-printable": ("a.eml", mail("Subject: x\nContent-Type: text/plain; charset=utf-8\n"
                                       "Content-Transfer-Encoding: quoted-printable",
                                       quopri.encodestring("Grüße".encode())), "Subject: x\n\nGrüße"),
    "base64": ("a.eml", mail("Subject: x\nContent-Type: text/plain; charset=windows-1252\n"
                             "Content-Transfer-Encoding: base64", base64.b64encode("„Mühle“ €".encode("cp1252"))),
               "Subject: x\n\n„Mühle“ €"),
    "an unknown charset": ("a.eml", mail("Subject: x\nContent-Type: text/plain; charset=x-no", b"hello"),
                           "Subject: x\n\nhello"),
    "two forms of one text": ("a.eml", mail(f"Subject: x\n{PART.format('alternative')}", b"--B\r\n\r\nplain\r\n--B\r\n"
                                            b"Content-Type: text/html\r\n\r\n<p>no</p>\r\n--B--\r\n"),
                              "Subject: x\n\nplain"),
    "no last boundary": ("a.eml", mail(f"Subject: x\n{PART.format('mixed')}", b"--B\r\n\r\nbody"),
                         "Subject: x\n\nbody"),
    "a letter inside": ("a.eml", mail(f"Subject: x\n{PART.format('mixed')}", b"--B\r\nContent-Type: message/rfc822\r\n"
                                      b"\r\nSubject: inner\r\n\r\ninside\r\n--B--\r\n"), "Subject: x\n\ninside"),
    "subtitles": ("a.srt", b"1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>One</i>\r\n{\\an8}two\r\n", "One\ntwo"),
    "voices": ("a.vtt", b"WEBVTT\n\nNOTE no\n\n00:01.000 --> 00:02.000 align:start\n<v Ana>One <c.x>two</c>\n",
               "One two"),
    "xml of its encoding": ("a.xml", "<?xml version='1.0' encoding='windows-1251'?><a>Мельница</a>".encode("cp1251"),
                            "Мельница"),
}  # fmt: skip


@pytest.mark.parametrize("case", DOCUMENTS)
def test_what_people_see_is_read(tmp_path: Path, case: str) -> None:
    name, content, expected = DOCUMENTS[case]
    pages, causes = read(tmp_path / name, content)
    assert not causes and pages[0].body.decode().strip().startswith(expected)
    assert b"no" not in pages[0].body.split()


@pytest.mark.parametrize("name", ["page", "index.php3", "page.aspx_id=3", "page.gz", "read.me"])
def test_a_page_without_a_telling_name_is_a_page(tmp_path: Path, name: str) -> None:
    content = b"\xef\xbb\xbf\n<!DOCTYPE html>\n<p>A mill.</p>"
    ((page,), causes) = read(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    assert page.kind == "html" and not causes
    ((page,), _) = read(tmp_path / f"x{name.removesuffix('.gz')}", b"The mark <html> in a sentence is none.")
    assert page.kind == "text"
