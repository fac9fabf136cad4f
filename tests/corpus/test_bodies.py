"""What a browser or curl would show of an HTTP response is what is read: chunks, codings, media types."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest

from glassmill.corpus.read import codings
from glassmill.corpus.read.http import dechunk, parse_response, starts_like_html
from glassmill.errors import BodyError
from tests.corpus.archives import zstd

PAGE = b"<html><p>" + b"The miller grinds wheat on Mondays and rye on Thursdays. " * 40 + b"</p></html>"
HALF = len(PAGE) // 2


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


TWO = PAGE[:HALF], PAGE[HALF:]
CHUNKED = {
    "sound": chunked(*TWO),
    "upper-case sizes": b"%X\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE),
    "one letter a chunk": chunked(*(PAGE[place : place + 1] for place in range(len(PAGE)))),
    "no last chunk": chunked(*TWO, end=b""),
    "no line end after the last size": chunked(*TWO, end=b"0"),
    "no line end after the last chunk": chunked(*TWO, end=b"")[:-2],
    "half a line end after the last chunk": chunked(*TWO, end=b"")[:-1],
    "a cut size line": chunked(*TWO, end=b"1f"),
    "trailers": chunked(*TWO, end=b"0\r\nExpires: never\r\nX-Sum: 12\r\n\r\n"),
    "the next response behind": chunked(*TWO) + b"HTTP/1.1 200 OK\r\n\r\nother",
    "extensions": b"%x;name=value;x\r\n%b\r\n0;last\r\n\r\n" % (len(PAGE), PAGE),
    "an extension in quotes": b'%x ; a="b;c"\r\n%b\r\n0\r\n\r\n' % (len(PAGE), PAGE),
    "zero-padded sizes": b"%016x\r\n%b\r\n%08x\r\n\r\n" % (len(PAGE), PAGE, 0),
    "blanks after the size": b"%x   \r\n%b\r\n0  \r\n\r\n" % (len(PAGE), PAGE),
    "bare line feeds": b"%x\n%b\n%x\n%b\n0\n\n" % (HALF, TWO[0], len(TWO[1]), TWO[1]),
    "a line end before": b"\r\n" + chunked(*TWO),
    "two line ends between": chunked(TWO[0], end=b"\r\n") + chunked(TWO[1]),
    "no line end between": b"%x\r\n%b%x\r\n%b0\r\n\r\n" % (HALF, TWO[0], len(TWO[1]), TWO[1]),
    "a size beyond the end": b"ffffffffffffffff\r\n" + PAGE,
    "a tab before an extension": b"%x\t;x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE),
    "a blank before the size": b" %x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE),
    "plain": PAGE,
    "plain after a blank line": b"\r\n" + PAGE,
}


@pytest.mark.parametrize("form", CHUNKED)
def test_chunks_are_joined(form: str) -> None:
    block = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKED[form]
    assert parse_response(block).body.strip() == PAGE


@pytest.mark.parametrize("end", [1, 2, HALF // 2, HALF - 1, HALF, HALF + 1, HALF + 5, HALF + 20, len(PAGE)])
def test_a_body_that_is_cut_gives_what_was_there(end: int) -> None:
    body = chunked(*TWO)[: 5 + end]  # a size line of five bytes
    assert dechunk(body) == PAGE[: end - 7 if end > HALF + 7 else min(end, HALF)]


@pytest.mark.parametrize(
    "body", [b"12\nbottles", b"add\nmore", b"abc", b"2024", b"12\r\nshort\r\nlines\r\n" * 9, b"", b"\r\n"]
)
def test_a_text_that_begins_with_a_number_is_no_chunk(body: bytes) -> None:
    assert dechunk(body) == body


def test_where_a_size_is_wrong_no_text_is_lost_and_no_framing_is_left() -> None:
    body = b"5\r\nhello\r\n4\r\n world, he said\r\n6\r\n again\r\n0\r\n\r\n"
    assert dechunk(body) == b"hello world, he said again"


def test_what_only_looks_like_chunks_is_left() -> None:
    body = chunked(*TWO)
    assert parse_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n" + body).body == body


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def fast_brotli(data: bytes) -> bytes:
    return bytes(brotli.compress(data, quality=4))


def named_member(data: bytes) -> bytes:
    member = gzip.compress(data)
    return (
        member[:3]
        + bytes([0x1E])
        + member[4:10]
        + b"\x03\x00abc"
        + b"page.html\0"
        + b"comment\0"
        + b"\0\0"
        + member[10:]
    )


GZIPPED = gzip.compress(PAGE)
ENCODED = [
    ("Content-Encoding: gzip", GZIPPED),
    ("Content-Encoding: x-gzip", GZIPPED),
    ("Content-Encoding: GZip", GZIPPED),
    ('Content-Encoding: "gzip"', GZIPPED),
    ("content-encoding:gzip", named_member(PAGE)),
    ("Content-Encoding: gzip", gzip.compress(TWO[0]) + gzip.compress(TWO[1])),
    ("Content-Encoding: gzip", GZIPPED + b"\0" * 100),
    ("Content-Encoding: gzip", GZIPPED + b"\r\n<!-- cached -->"),
    ("Content-Encoding: gzip", GZIPPED[:-8] + bytes(8)),  # browsers look at no checksum
    ("Content-Encoding: gzip", GZIPPED[:-5]),
    ("Content-Encoding: gzip", PAGE),
    ("Content-Encoding: gzip", zlib.compress(PAGE)),
    ("Content-Encoding: deflate", zlib.compress(PAGE)),
    ("Content-Encoding: deflate", raw_deflate(PAGE)),
    ("Content-Encoding: deflate", zlib.compress(PAGE)[:-4]),
    ("Content-Encoding: deflate", zlib.compress(PAGE)[:-4] + b"abcd"),
    ("Content-Encoding: deflate, gzip", gzip.compress(zlib.compress(PAGE))),
    ("Content-Encoding: deflate", GZIPPED),
    ("Content-Encoding: deflate", PAGE),
    ("Content-Encoding: br", brotli.compress(PAGE)),
    ("Content-Encoding: br", GZIPPED),
    ("Content-Encoding: br", PAGE),
    ("Content-Encoding: zstd", zstd.compress(PAGE)),
    ("Content-Encoding: zstd", zstd.compress(TWO[0]) + zstd.compress(TWO[1])),
    ("Content-Encoding: zstd", b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd.compress(PAGE)),
    ("Content-Encoding: zstd", PAGE),
    ("Content-Encoding: gzip, gzip", gzip.compress(GZIPPED)),
    ("Content-Encoding: gzip, gzip", GZIPPED),
    ("Content-Encoding: gzip\r\nContent-Encoding: gzip", gzip.compress(GZIPPED)),
    ("Content-Encoding: gzip", gzip.compress(GZIPPED)),
    ("Content-Encoding: br, gzip", gzip.compress(brotli.compress(PAGE))),
    ("Content-Encoding: gzip\r\nContent-Encoding: br", brotli.compress(GZIPPED)),
    ("Content-Encoding: identity", PAGE),
    ("Content-Encoding: gzip;q=1.0", GZIPPED),
    ("Content-Encoding: application/gzip", GZIPPED),
    ("Content-Encoding : gzip", GZIPPED),
    ("Content-Encoding:\r\n gzip", GZIPPED),
    ("no colon\r\nX: \0\r\nContent-Encoding: gzip", GZIPPED),
    ("Content-Encoding: utf-8", PAGE),
    ("Content-Encoding: none, gzip", GZIPPED),
    ("Content-Encoding: ", PAGE),
    ("X-Nothing: announced", GZIPPED),
    ("X-Nothing: announced", zstd.compress(PAGE)),
    ("Transfer-Encoding: gzip, chunked", chunked(GZIPPED)),
    ("Transfer-Encoding: deflate, chunked", chunked(zlib.compress(PAGE))),
    ('Transfer-Encoding: "chunked", chunked', chunked(PAGE)),
    ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip", chunked(GZIPPED, end=b"")),
    ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip", chunked(GZIPPED[:50], GZIPPED[50:])),
    ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip", GZIPPED),
    ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip", PAGE),
]


@pytest.mark.parametrize(("header", "body"), ENCODED, ids=map(str, range(len(ENCODED))))
def test_codings_are_undone_as_far_as_they_are_there(header: str, body: bytes) -> None:
    block = f"HTTP/1.1 200 OK\r\n{header}\r\nContent-Type: text/html\r\n\r\n".encode() + body
    assert parse_response(block).body == PAGE


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate, fast_brotli, zstd.compress])
def test_a_packed_body_that_is_cut_gives_the_text_so_far(pack: Callable[[bytes], bytes]) -> None:
    coding = {gzip.compress: "gzip", fast_brotli: "br", zstd.compress: "zstd"}.get(pack, "deflate")
    text = "".join(f"<p>{number * number}</p>" for number in range(60_000)).encode()
    packed = pack(text)
    for share in (0.99, 0.5):
        cut = packed[: int(share * len(packed))]
        body = parse_response(f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n".encode() + cut).body
        assert text.startswith(body) and len(body) > (share - 0.25) * len(text)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (gzip.compress(bytes(5_000_000)), "body too large: expands to more than 1000000 bytes"),
        (gzip.compress(gzip.compress(bytes(90_000_000))), "body too large"),
        (gzip.compress(bytes(600_000)) * 2, "body too large"),
        (GZIPPED[:12] + b"\xff" * 50, "damaged compressed body"),
        (gzip.compress(b"") * (codings.MAX_MEMBERS + 1), "gzip members"),
    ],
    ids=["zeros", "two layers", "two members", "damaged", "members"],
)
def test_bodies_that_grow_or_are_damaged_are_errors(body: bytes, cause: str) -> None:
    with pytest.raises(BodyError, match=cause):
        parse_response(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body, max_bytes=1_000_000)


def test_layers_below_layers_have_an_end() -> None:
    body = PAGE
    for _ in range(10):
        body = gzip.compress(body)
    with pytest.raises(BodyError, match="packed more than 4 times"):
        parse_response(b"HTTP/1.1 200 OK\r\n\r\n" + body)


TYPES = [
    ("text/html; charset=utf-8", "text/html", "utf-8"),
    ("TEXT/HTML;CHARSET=UTF-8", "text/html", "UTF-8"),
    ('text/html; charset="euc-jp"', "text/html", "euc-jp"),
    ("text/html;charset=euc-jp;x=y", "text/html", "euc-jp"),
    ("text/html charset=euc-jp", "text/html", "euc-jp"),
    ('"text/html; charset=euc-jp"', "text/html", 'euc-jp"'),  # the label's reader takes quotes off
    ("text/html, text/html; charset=euc-jp", "text/html", "euc-jp"),
    ("text/html; charset=euc-jp, text/html", "text/html", "euc-jp"),
    ("text/plain; charset=euc-jp, text/html", "text/html", None),
    ('text/html; x="a,b"; charset=euc-jp', "text/html", "euc-jp"),
    ("text/html\r\nContent-Type: text/html; charset=euc-jp", "text/html", "euc-jp"),
    ("text/html;\r\n\tcharset=euc-jp", "text/html", "euc-jp"),
    ("*/*, text/html", "text/html", None),
    ("text/html; charset=", "text/html", None),
    ("", "", None),
    ("html", "", None),
    ("charset=euc-jp", "", "euc-jp"),
]


@pytest.mark.parametrize(("value", "media_type", "charset"), TYPES)
def test_media_types_are_read_as_in_browsers(value: str, media_type: str, charset: str | None) -> None:
    response = parse_response(f"HTTP/1.1 200 OK\r\nContent-Type: {value}\r\nServer: x\r\n\r\n".encode())
    assert (response.media_type, response.charset) == (media_type, charset)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"  \n<!DOCTYPE html>", True), (b"<BODY>", True), (b"<p>x", True), (b"<!-- x", True), (b"<?x?> <html>", True),
        (b"<pre>", False), (b"<article>", False), (b"text <p>", False), (b"", False), (b"{\"a\": 1}", False),
    ],
)  # fmt: skip
def test_an_answer_without_a_type_is_html_if_it_starts_like_it(start: bytes, expected: bool) -> None:
    assert starts_like_html(start) == expected


@pytest.mark.parametrize(
    "head", [b"HTTP/2 200", b"HTTP/1.1 200", b"\r\nHTTP/1.1 200 OK", b"HTTP/1.0 200 Document follows"]
)
def test_heads_of_other_forms_are_read(head: bytes) -> None:
    response = parse_response(head + b"\r\nContent-Encoding: gzip\r\n\r\n" + GZIPPED)
    assert (response.status, response.body) == (200, PAGE)


def test_interim_responses_are_skipped() -> None:
    block = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n"
        + PAGE
    )
    response = parse_response(block)
    assert (response.status, response.body) == (200, PAGE)
