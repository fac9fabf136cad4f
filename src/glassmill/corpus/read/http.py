"""The HTTP message inside a WARC response record: status, headers, and the body with its transfer and content
codings undone.

In: the record's block. Out: `Response`. Source: RFC 9112 (message syntax), RFC 9110 section 8.4 (content codings).
Crawlers often undo the codings and keep the headers, so a body that does not decode is taken as it is.
A body that decodes to more than `max_bytes` is an error, because a few kilobytes can hold gigabytes of zeros.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from glassmill.corpus.read.frames.zstd import MAGIC as ZSTD_MAGIC
from glassmill.corpus.read.frames.zstd import MAX_WINDOW_LOG, zstd_module
from glassmill.corpus.read.records import parse_headers
from glassmill.errors import BodyError

MAX_BODY_BYTES = 32 << 20

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)


@dataclass(slots=True)
class Response:
    """Status 0: there was no HTTP head, only a body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        match = _CHARSET.search(self.headers.get("content-type", ""))
        return match[1] if match else None


def parse_response(block: bytes, max_bytes: int = MAX_BODY_BYTES) -> Response:
    """The response in `block`.

    Raises:
        BodyError: the decoded body is larger than `max_bytes`, damaged, or in a coding that is not supported here.
    """
    if not block.startswith(b"HTTP/"):
        return Response(0, {}, block)
    end = _HEADER_END.search(block)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    headers = parse_headers(head)
    status = head.split(None, 2)[1:2]
    number = int(status[0]) if status and status[0].isdigit() and len(status[0]) == 3 else 0
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = dechunk(body)
    for coding in reversed(headers.get("content-encoding", "").lower().replace(" ", "").split(",")):
        body = _undo(coding, body, max_bytes)
    return Response(number, headers, body)


def dechunk(body: bytes) -> bytes:
    """The body without its chunk framing; unchanged where the framing is invalid."""
    pieces: list[bytes] = []
    position = 0
    while match := _CHUNK_SIZE.match(body, position):
        size = int(match[1], 16)
        if size == 0:
            return b"".join(pieces)
        start, position = match.end(), match.end() + size
        pieces.append(body[start:position])
        if body[position : position + 2] == b"\r\n":
            position += 2
        elif body[position : position + 1] == b"\n":
            position += 1
        else:
            return body
    return body


def _undo(coding: str, body: bytes, max_bytes: int) -> bytes:
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 31, max_bytes) if body.startswith(b"\x1f\x8b") else body
    if coding == "deflate":
        for window in (15, -15):  # the standard says zlib, some servers send raw deflate
            try:
                zlib.decompressobj(window).decompress(body[:256], 64)
            except zlib.error:
                continue
            return _inflate(body, window, max_bytes)
        return body
    if coding == "br" and not _looks_like_text(body):
        return _unbrotli(body, max_bytes)
    if coding == "zstd" and body.startswith(ZSTD_MAGIC):
        return _unzstd(body, max_bytes)
    return body


def _inflate(body: bytes, window: int, max_bytes: int) -> bytes:
    inflate = zlib.decompressobj(window)
    try:
        plain = inflate.decompress(body, max_bytes)
    except zlib.error:
        raise BodyError("damaged compressed body") from None
    if inflate.unconsumed_tail:
        raise BodyError(f"body too large: expands to more than {max_bytes} bytes")
    return plain


def _unbrotli(body: bytes, max_bytes: int) -> bytes:
    try:
        import brotli  # type: ignore[import-untyped]
    except ImportError:
        raise BodyError("content-encoding br needs the brotli package") from None
    decoder, have = brotli.Decompressor(), 0
    pieces: list[bytes] = []
    try:
        piece = decoder.process(body, output_buffer_limit=1 << 20)
        while piece or not decoder.can_accept_more_data():
            pieces.append(piece)
            have += len(piece)
            if have > max_bytes:
                raise BodyError(f"body too large: expands to more than {max_bytes} bytes")
            piece = decoder.process(b"", output_buffer_limit=1 << 20)
    except brotli.error:
        return body
    return b"".join(pieces)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    """All frames of the body, see RFC 8878 (section 3); a truncated body gives what it still holds, as with gzip."""
    zstd = zstd_module()
    pieces: list[bytes] = []
    have = 0
    while body.startswith(ZSTD_MAGIC):
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})
        try:
            piece = decoder.decompress(body, max_bytes + 1 - have)
        except zstd.ZstdError:
            raise BodyError("damaged compressed body") from None
        pieces.append(piece)
        have += len(piece)
        if have > max_bytes:
            raise BodyError(f"body too large: expands to more than {max_bytes} bytes")
        body = decoder.unused_data
    return b"".join(pieces)


def _looks_like_text(body: bytes) -> bool:
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") or (start.isascii() and start.decode("ascii").isprintable())
