"""Documents of every kind that people keep: what is read of each, and what is said of those that cannot be read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
from pathlib import Path

import pytest

from glassmill.corpus.document import Page
from glassmill.corpus.read.files import structured
from glassmill.corpus.read.files.kinds import HINTS, KINDS, SUFFIXES, is_text, kind_of
from glassmill.corpus.read.sources import find_sources
from glassmill.errors import UserError
from tests.corpus.offices import eml, msg, notebook, odf, pptx, xlsx
from tests.corpus.pages import read, record
from tests.corpus.papers import docx, epub, jsonl, pdf, tarred, zipped

ROWS = (
    '<row><c t="s"><v>0</v></c><c t="inlineStr"><is><t>Price</t></is></c></row><row/>'
    '<row><c s="1"><v>45292</v></c><c><v>0.30000000000000004</v></c><c t="b"><v>1</v></c></row>'
)
STYLES = (
    '<numFmts><numFmt numFmtId="170" formatCode="yyyy-mm-dd"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="170"/></cellXfs>'
)
RTF = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Times;}}{\info{\title Hidden}}"
    rb"\pard Gr\'fc\'dfe \u8211? from the mill.\par {\b Bold} and \{braces\}.\line Next{\*\generator Nobody;}"
    rb"{\pict\bin4 }}{{}\par {\f1\'ef\'f0\'e8}\par \u-10179?\u-8704?}"
)
ODT = (
    '<office:text><text:h text:outline-level="1">The mill</text:h><text:p>One<text:s text:c="2"/>two<text:tab/>three'
    "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>a note</text:p></text:note-body>"
    "</text:note>.</text:p><table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
    '<table:table-cell table:number-columns-repeated="16000"/></table:table-row></table:table>'
    "<text:list><text:list-item><text:p>item</text:p></text:list-item></text:list></office:text>"
)
ODS = (
    '<office:spreadsheet><table:table table:name="Costs"><table:table-row table:number-rows-repeated="2">'
    "<table:table-cell><text:p>flour</text:p></table:table-cell><table:table-cell><text:p>7</text:p>"
    '</table:table-cell></table:table-row><table:table-row table:number-rows-repeated="1000000">'
    "<table:table-cell/></table:table-row></table:table></office:spreadsheet>"
)
ODP = (
    '<office:presentation><draw:page draw:name="p1"><draw:frame><draw:text-box><text:p>Slide one</text:p>'
    "</draw:text-box></draw:frame></draw:page></office:presentation>"
)
DOCBOOK = (
    "<?xml version='1.0'?><!DOCTYPE book PUBLIC '-//OASIS//DTD DocBook XML V4.5//EN' 'docbookx.dtd'>"
    "<book><title>Mills</title><chapter><title>Wheels</title><para>They <emphasis>turn</emphasis>\n  slowly.</para>"
    "<programlisting>a = 1\n  b = 2</programlisting></chapter></book>"
)
TEXTS: dict[str, tuple[str, bytes, str]] = {
    "csv": ("a.csv", b'name,price\r\n"flour, fine",7\r\n"a ""b""",8\r\n', 'name\tprice\nflour, fine\t7\na "b"\t8'),
    "semicolons": ("a.csv", "Länge;Preis\n1,5;2\n".encode("cp1252"), "Länge\tPreis\n1,5\t2"),
    "tsv": ("a.tsv", b"name\tprice\nflour\t7\n", "name\tprice\nflour\t7"),
    "open quote": ("a.csv", b'a,b\n"c,d\ne,f\n' + b"g,h\n" * 9, "a\tb"),
    "xlsx": ("a.xlsx", xlsx({"One": ROWS, "Two": ROWS}, ["Ware"], STYLES),
             "Ware\tPrice\n2024-01-01\t0.3\tTRUE\n\nWare\tPrice\n2024-01-01\t0.3\tTRUE"),
    "pptx": ("a.pptx", pptx([("First", "body one", "say this"), ("Second", "body two", "and that")]),
             "First\n\nbody one\n\nsay this\n\nSecond\n\nbody two\n\nand that"),
    "odt": ("a.odt", odf(ODT), "The mill\n\nOne  two\tthree a note.\n\na\n\nitem"),
    "ods": ("a.ods", odf(ODS), "flour\t7\nflour\t7"),
    "odp": ("a.odp", odf(ODP), "Slide one"),
    "rtf": ("a.rtf", RTF, "Grüße – from the mill.\n\nBold and {braces}.\nNext\n\nпри\n\n😀"),
    "eml": ("a.eml", eml("Grüße", "Hello\nworld"),
            "Subject: Grüße\nFrom: The mill <mill@example.org>\nTo: team@example.org\n\nHello\nworld"),
    "html letter": ("a.eml", eml("Hi", "<p>One</p><p>Two</p>", html=True),
                    "Subject: Hi\nFrom: The mill <mill@example.org>\nTo: team@example.org\n\nOne\n\nTwo"),
    "msg": ("a.msg", msg({"0037001F": "Hi".encode("utf-16-le"), "1000001F": "Hello".encode("utf-16-le")}),
            "Subject: Hi\n\nHello"),
    "ipynb": ("a.ipynb", notebook(("markdown", "# Mill\ntext", ""), ("code", "print(1)", "1\n")),
              "# Mill\ntext\n\nprint(1)\n\n1"),
    "srt": ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n<i>Good</i> morning\n\n2\n00:00:03,000 --> 00:00:04,000\n42\n",
            "Good morning\n42"),
    "vtt": ("a.vtt", b"WEBVTT - x\n\nNOTE a\nb\n\nid1\n00:01.000 --> 00:02.000 align:start\n<v Bo>Hello\n", "Hello"),
    "docbook": ("a.dbk", DOCBOOK.encode(), "Mills\n\nWheels\n\nThey turn slowly.\n\na = 1\n  b = 2"),
    "broken xml": ("a.xml", b"<a>one<b>two</a> &amp; three", "onetwo & three"),
    "entities": ("a.xml", b"<!DOCTYPE a [<!ENTITY b 'cccc'>]><a>one &b;</a>", "one"),
    "json": ("a.json", b'{"name": "mill"}', '{"name": "mill"}'),
    "unknown suffix": ("a.weird", b"plain text\n", "plain text"),
    "no suffix": ("LICENSE", b"plain text\n", "plain text"),
    "code": ("a.py", b"def f():\n    return 1\n", "def f():\n    return 1"),
    "man": ("a.1", b".SH NAME\nmill\n", ".SH NAME\nmill"),
    "utf-16": ("a.txt", "Größe\r\nzwei".encode("utf-16"), "Größe\nzwei"),
    "utf-16 without mark": ("a.txt", "Größe\r\nzwei".encode("utf-16-le"), "Größe\nzwei"),
    "gzip": ("changelog.Debian.gz", gzip.compress(b"one change"), "one change"),
    "bzip2": ("a.md.bz2", bz2.compress(b"# one"), "# one"),
    "xz": ("a.txt.xz", lzma.compress(b"one"), "one"),
}  # fmt: skip


def text_of(pages: list[Page]) -> str:
    return "".join(page.body.decode() for page in pages).strip()


@pytest.mark.parametrize("case", TEXTS)
def test_the_text_of_a_file_of_each_kind(tmp_path: Path, case: str) -> None:
    name, content, text = TEXTS[case]
    pages, causes = read(tmp_path / name, content)
    assert not causes and [page.url for page in pages] == [name] and pages[0].source == name
    assert text_of(pages).startswith(text) if case in ("open quote", "entities") else text_of(pages) == text


def test_a_quote_without_an_end_loses_no_row(tmp_path: Path) -> None:
    rows = "".join(f"row {number},x\n" for number in range(200_000))
    pages, causes = read(tmp_path / "a.csv", f'a,b\n"open,c\n{rows}'.encode())
    assert not causes and "row 199999" in text_of(pages) and '"open' in text_of(pages)


def test_scanned_pages_are_named_and_pages_with_text_are_kept(tmp_path: Path) -> None:
    picture = (
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>"
    )
    scan = pdf([["text on the page"], []]).replace(
        b"/Font << /F 3 0 R >> >>", b"/XObject << /I 9 0 R >> /Font << /F 3 0 R >> >>"
    )
    scan = scan.replace(b"BT /F 11 Tf 50 780 Td 14 TL\nET", b"q 9 9 0 0 1 1 cm /I Do Q".ljust(31))
    scan = scan.replace(b"xref\n", b"9 0 obj\n" + picture + b"\nstream\n\0\nendstream\nendobj\nxref\n")
    pages, causes = read(tmp_path / "a.pdf", scan)
    assert [page.body.strip() for page in pages] == [b"text on the page"]
    assert causes == ["scanned pages without text; OCR is not part of glassmill: run ocrmypdf first (1 of 2 pages)"]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".weird", ""])
def test_random_bytes_are_no_text_whatever_the_suffix(tmp_path: Path, suffix: str) -> None:
    content = random.Random(suffix).randbytes(20_000)
    pages, causes = read(tmp_path / f"random{suffix}", content)
    assert not pages and len(causes) == 1 and len(causes[0].splitlines()) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, suffix: str) -> None:
    pages, causes = read(tmp_path / f"empty{suffix}", b"")
    assert not pages and (causes == ["empty file"] or suffix in KINDS[0].each())


@pytest.mark.parametrize(
    "text",
    ["Ein Müller", "мельница у реки", "水車小屋は川のそばにある", "물레방아", "the mill"],
    ids=lambda text: text[:6],
)
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-le", "cp1252", "koi8-r", "shift_jis", "gb18030", "euc_kr"]
)
def test_text_in_every_encoding_is_text(text: str, encoding: str) -> None:
    data = (text * 20).encode(encoding, "ignore")
    if encoding == "utf-16-le" and not text.isascii():
        return  # told by the pattern of zero bytes, which only some scripts have
    assert is_text(data)


def test_the_kinds_of_files_without_a_telling_suffix(tmp_path: Path) -> None:
    for name, content, kind in (
        ("paper", pdf([["x"]]), "pdf"),
        ("letter", b"{\\rtf1 x}", "rtf"),
        ("pages.gz", gzip.compress(b"WARC/1.0\r\n"), "warc"),
        ("notes.gz", gzip.compress(b"notes"), "packed"),
        ("bundle", zipped({"a.txt": "x"}), "archive"),
        ("README", b"read me", "text"),
        ("tool", b"\x7fELF" + bytes(100), "other"),
        ("old.doc", b"\xd0\xcf\x11\xe0" + bytes(100), "other"),
    ):
        (tmp_path / name).write_bytes(content)
        assert kind_of(tmp_path / name) == kind, name


def test_what_is_not_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    for suffix, hint in HINTS.items():
        (tmp_path / f"x{suffix}").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100))
        with pytest.raises(UserError) as caught:
            find_sources([str(tmp_path / f"x{suffix}")])
        assert f"unsupported file type: {suffix} ({hint})" in str(caught.value)
        assert all(kind.title in str(caught.value) for kind in KINDS)


def test_an_office_file_with_a_password_says_so(tmp_path: Path) -> None:
    for suffix in (".docx", ".xlsx", ".pptx", ".odt"):
        pages, causes = read(tmp_path / f"x{suffix}", b"\xd0\xcf\x11\xe0" + bytes(3000))
        assert not pages and causes[0].endswith("with a password, or in an old format")


def test_fields_of_a_row_are_joined(tmp_path: Path) -> None:
    row = {"title": "The mill", "body": "It turns.", "content": "It turns.", "text": " ", "n": 3, "summary": "Short."}
    for name, content in (
        ("a.jsonl", jsonl([row])),
        ("a.json", json.dumps([row]).encode()),
        ("a.csv", b"title,body,n,summary\nThe mill,It turns.,3,Short.\n"),
    ):
        pages, _ = read(tmp_path / name, content)
        assert [(page.url, page.body) for page in pages] == [(f"{name}#0", b"The mill\n\nIt turns.")]
        pages, _ = read(tmp_path / name, content, text_fields=["summary", "title"])
        assert pages[0].body == b"Short.\n\nThe mill"


GOOD = {
    "a.docx": docx(["one", "two"], [["a", "b"]]),
    "a.epub": epub({"one.xhtml": "<p>one</p>"}),
    "a.pdf": pdf([["one"], ["two"]]),
    "a.zip": zipped({"a.txt": "x", "b.docx": docx(["one"])}),
    "a.tar.gz": tarred({"a.txt": b"x"}),
    "a.warc.gz": record("http://good.example/1", "<p>x</p>"),
    "a.jsonl": jsonl([{"text": "one"}]),
    "a.mbox": b"From x\n" + eml("Hi", "body", {"a.zip": zipped({"a.txt": "x"})}),
    **{name: content for name, content, _ in TEXTS.values()},
}


@pytest.mark.parametrize("name", GOOD)
def test_no_damage_does_more_than_set_a_file_aside(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    for _ in range(40):
        content = bytearray(GOOD[name])
        for _ in range(chance.randrange(1, 8)):
            place = chance.randrange(len(content))
            match chance.randrange(3):
                case 0:
                    content[place] = chance.randrange(256)
                case 1:
                    del content[place : place + chance.randrange(1, 40)]
                case _:
                    content[place:place] = chance.randbytes(chance.randrange(1, 40))
            content = content or bytearray(b"x")
        pages, causes = read(tmp_path / name, bytes(content))
        assert all(len(cause) <= 400 and "\n" not in cause for cause in causes)
        assert sum(len(page.body) for page in pages) < 1 << 20


def test_a_table_of_a_million_equal_cells_is_refused_or_small(tmp_path: Path) -> None:
    rows = '<row><c t="s"><v>0</v></c></row>' * 100_000
    pages, causes = read(tmp_path / "a.xlsx", xlsx({"One": rows}, ["word " * 400]), split_characters=30_000)
    assert sum(len(page.body) for page in pages) < 80 << 20 and causes and causes[0].startswith("refused")


def test_packed_files_that_expand_too_much_are_refused(tmp_path: Path) -> None:
    pages, causes = read(tmp_path / "a.txt.gz", gzip.compress(b"x" * (64 << 20)), max_ratio=10)
    assert not pages and causes == ["refused: expands more than 10 times"]
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb") as file:
        file.write(b"cut off " * 1000)
    pages, causes = read(tmp_path / "b.txt.gz", buffer.getvalue()[:-20])
    assert not pages and causes[0].startswith("damaged compressed data")


def test_a_large_xml_file_is_read_in_parts_with_nothing_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured, "MAX_TREE_BYTES", 1 << 16)
    monkeypatch.setattr(structured, "MAX_ELEMENTS", 10_000)
    rows = "".join(
        f"<row><title>Row {n}</title><p>some text <b>of</b> {n}</p></row> after {n}\n" for n in range(20_000)
    )
    pages, causes = read(tmp_path / "a.xml", f"<all>{rows}</all>".encode(), split_characters=30_000)
    text = text_of(pages)
    assert not causes and all(f"{part}19999" in text for part in ("Row ", "text of ", "after "))
    assert text.count("after ") == 20_000 and pages[1].section.startswith("Row ")
    pages, causes = read(tmp_path / "a.xml", f"<all>{rows}<b></all>".encode(), split_characters=30_000)
    assert "Row 18000" in text_of(pages) and causes[0].startswith("invalid XML")
    pages, causes = read(tmp_path / "a.xml", b"<all><part>" + b"<a/>" * 20_000 + b"</part></all>")
    assert causes == ["XML with more than 10,000 elements in one part"]


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.rtf", b"{\\rtf1 " + b"{" * 2_000_000, "RTF with groups nested"),
        (
            "a.eml",
            b"Subject: x\nContent-Type: multipart/mixed; boundary=x\n" + b"\n--x\n" * 200_000,
            "e-mail with more",
        ),
        (
            "a.eml",
            b"Subject: x\nContent-Type: multipart/mixed; boundary=x\n" + b"\n--x\n" * 2_000,
            "e-mail of more than",
        ),
        ("a.ipynb", b'{"cells": [' + b"[]," * 4_000_000 + b"[]]}", "not a notebook"),
        ("a.docx", docx(["x"], head="<w:a>" * 30_000), "invalid XML"),
        ("a.odt", odf("<text:section>" * 30_000 + "</text:section>" * 30_000), ""),
    ],
)
def test_small_files_that_ask_for_much_are_set_aside(tmp_path: Path, name: str, content: bytes, cause: str) -> None:
    pages, causes = read(tmp_path / name, content, split_characters=30_000)
    assert not text_of(pages) and (causes[0].startswith(cause) if cause else True)
