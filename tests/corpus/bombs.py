"""Small inputs that ask for much time or memory, by name: what each is, and the words of its report.

Sources: Fifield 2019, "A better zip bomb" (overlapping and quoted members); the rest follows from the formats.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import brotli
import pyarrow as pa
import pyarrow.parquet as pq

from tests.corpus.pages import record
from tests.corpus.papers import pdf, zipped

MEGABYTE = 1 << 20
URL = "http://host.example/"


@dataclass(frozen=True)
class Bomb:
    """`write(path, size)` writes it; `size` is 1 for the bench, less for a test. `cause`: what the report says of it;
    empty where it is read as something harmless."""

    name: str
    write: Callable[[Path, float], object]
    cause: str


def _bytes(make: Callable[[float], bytes]) -> Callable[[Path, float], object]:
    return lambda path, size: path.write_bytes(make(size))


def zeros(megabytes: float) -> bytes:
    """So many megabytes of zeros as one gzip member."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(bytes(MEGABYTE)) for _ in range(int(megabytes))]
    return b"".join(pieces) + packer.flush()


def packed_response(body: bytes, coding: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: {coding}\r\n\r\n".encode()
    block = head + body
    warc = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {URL}\r\nContent-Length: {len(block)}\r\n\r\n".encode()
    return gzip.compress(warc + block + b"\r\n\r\n")


def nested_gzip(size: float) -> bytes:
    body = b"<p>x</p>"
    for _ in range(int(200 * size)):
        body = gzip.compress(body)
    return packed_response(body, "gzip")


def damaged_then(rest: bytes) -> bytes:
    """A sound record, a damaged one, then `rest`, which the search for the next record has to go through."""
    good = record(URL, "<p>good</p>")
    return good + good[: len(good) // 2] + rest


def record_of_zeros(megabytes: int) -> bytes:
    """A gzip member that holds a record of so many megabytes."""
    packer = zlib.compressobj(9, wbits=31)
    length = megabytes * MEGABYTE
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {URL}\r\nContent-Length: {length}\r\n\r\n".encode()
    pieces = [packer.compress(head), *(packer.compress(bytes(MEGABYTE)) for _ in range(megabytes))]
    return b"".join(pieces) + packer.compress(b"\r\n\r\n") + packer.flush()


def overlapping(size: float) -> bytes:
    """Many entries in the list of contents that name one and the same member."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"a line of text\n" * int(60_000 * size))
        archive.filelist *= int(2000 * size) or 1
    return raw.getvalue()


def quoted_counts(size: float) -> bytes:
    """A list of contents with far more entries than the end of the archive says."""
    number = int(600_000 * size)
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * number
    return directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 7, 7, len(directory), 0, 0)


def wide_docx(size: float) -> bytes:
    return _document(b"<w:p/>" * int(10_000_000 * size))


def deep_docx(size: float) -> bytes:
    depth = int(500_000 * size)
    return _document(b"<w:sdt>" * depth + b"</w:sdt>" * depth)


def entity_docx(size: float) -> bytes:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return zipped({"word/document.xml": f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{levels}]><x>&e11;</x>'})


def _document(body: bytes) -> bytes:
    name = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(
            "word/document.xml", b'<w:document xmlns:w="%s"><w:body>%s</w:body></w:document>' % (name, body)
        )
    return raw.getvalue()


def repeated_chapter(size: float) -> bytes:
    chapter = f"<html><body><p>{'A sentence of this chapter, which is named again. ' * 20_000}</p></body></html>"
    reference = '<itemref idref="a"/>' * int(50_000 * size)
    return zipped({
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="p.opf"/></rootfiles></container>',
        "p.opf": '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml" '
        f'media-type="application/xhtml+xml"/></manifest><spine>{reference}</spine></package>',
        "a.xhtml": chapter,
    })  # fmt: skip


def pdf_stream(size: float, layers: int = 1) -> bytes:
    """A PDF whose page is a stream that expands a thousand times, or a thousand times a thousand."""
    page = pdf([["hello"]])
    content = b"".join(iter_zlib(int(1000 * size)))
    for _ in range(layers - 1):
        content = zlib.compress(content, 9)
    filters = b"/FlateDecode " * layers
    stream = b"6 0 obj\n<< /Length %d /Filter [%s] >>\nstream\n%b\nendstream\nendobj\n" % (
        len(content),
        filters,
        content,
    )
    return page.replace(b"xref", stream + b"xref", 1)


def iter_zlib(megabytes: int) -> list[bytes]:
    packer = zlib.compressobj(9)
    return [*(packer.compress(b" " * MEGABYTE) for _ in range(megabytes)), packer.flush()]


def pdf_pages(size: float) -> bytes:
    """A page that the tree of pages names again and again."""
    count = int(19_000 * size)
    page = pdf([[f"line {number} of a page that is named again and again" for number in range(30)]])
    return page.replace(b"/Count 1 /Kids [4 0 R]", b"/Count %d /Kids [%b]" % (count, b"4 0 R " * count))


def giant_string(path: Path, size: float) -> None:
    pq.write_table(pa.table({"text": ["a word of a long text " * int(10_000_000 * size)]}), path, compression="zstd")


def dictionary(path: Path, size: float) -> None:
    """A long text that is stored once, and named in every row."""
    text = "a word of a long text " * int(400_000 * size)
    pq.write_table(pa.table({"text": [text] * 30}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)


def many_rows(path: Path, size: float) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * int(3_000_000 * size), pa.int8()), pa.array(["x"]))
    pq.write_table(pa.table({"text": column}), path, compression="zstd", row_group_size=1 << 30)


def _members_in_body(size: float) -> bytes:
    return packed_response(gzip.compress(b"") * int(500_000 * size), "gzip")


def _brotli(size: float) -> bytes:
    return packed_response(brotli.compress(bytes(int(400 * size) * MEGABYTE), quality=5), "br")


MAGIC, HEAD = b"\x1f\x8b\x08", b"\x1f\x8b\x08\0\0\0\0\0\0\3"
ROW = b'{"text": "some text", "url": "%b"}\n'
RATIO = "expands more than 200 times"
BOMBS = [
    Bomb("long-url.warc.gz", _bytes(lambda size: record(URL + "a/" * int(500_000 * size), "<p>x</p>")), "URL too long"),
    Bomb("many-labels.warc.gz", _bytes(lambda size: record(f"http://{'a.' * 4000}example/", "<p>some text</p>")), ""),
    Bomb(
        "magics.warc.gz",
        _bytes(lambda size: damaged_then(MAGIC * int(5_000_000 * size))),
        "the file ends inside this record",
    ),
    Bomb(
        "heads.warc.gz",
        _bytes(lambda size: damaged_then(HEAD * int(2_000_000 * size))),
        "the file ends inside this record",
    ),
    Bomb("empty.warc.gz", _bytes(lambda size: gzip.compress(b"") * int(1_000_000 * size)), "no more records"),
    Bomb(
        "members.warc.gz", _bytes(lambda size: record(URL, "x") + gzip.compress(b"") * int(1_000_000 * size)), "records"
    ),
    Bomb("zeros.warc.gz", _bytes(lambda size: zeros(1000 * size)), "no WARC version line"),
    Bomb("record.warc.gz", _bytes(lambda size: record_of_zeros(int(400 * size))), "too large"),
    Bomb("records.warc.gz", _bytes(lambda size: record_of_zeros(40) * int(60 * size)), RATIO),
    Bomb("body.warc.gz", _bytes(lambda size: packed_response(zeros(1000 * size), "gzip")), "body too large"),
    Bomb("body-br.warc.gz", _bytes(_brotli), "body too large"),
    Bomb("body-members.warc.gz", _bytes(_members_in_body), "gzip members"),
    Bomb("nested.warc.gz", _bytes(nested_gzip), "packed more than 4 times"),
    Bomb("zeros.jsonl.gz", _bytes(lambda size: zeros(1000 * size)), "line too long"),
    Bomb("lines.jsonl.gz", _bytes(lambda size: gzip.compress(b"\n" * int(60_000_000 * size))), "empty lines"),
    Bomb("url.jsonl", _bytes(lambda size: ROW % (b"x/" * int(10_000_000 * size))), "URL too long"),
    Bomb("string.parquet", giant_string, "refused"),
    Bomb("dictionary.parquet", dictionary, "refused"),
    Bomb("rows.parquet", many_rows, "rows in"),
    Bomb("overlapping.zip", _bytes(overlapping), "shares bytes"),
    Bomb("quoted.zip", _bytes(quoted_counts), "members"),
    Bomb("wide.docx", _bytes(wide_docx), "tags"),
    Bomb("deep.docx", _bytes(deep_docx), "docx"),
    Bomb("entities.docx", _bytes(entity_docx), "invalid XML"),
    Bomb("chapters.epub", _bytes(repeated_chapter), ""),
    Bomb("stream.pdf", _bytes(pdf_stream), "expand more than 200 times"),
    Bomb("layers.pdf", _bytes(lambda size: pdf_stream(size, layers=2)), "expand more than 200 times"),
    Bomb("pages.pdf", _bytes(pdf_pages), "PDF too long"),
]
