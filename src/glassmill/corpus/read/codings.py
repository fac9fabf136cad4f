"""An HTTP body without its content codings: gzip, deflate, br and zstd, in any order, announced rightly or wrongly.

In: the body, and the codings that its header names. Out: what a browser shows. Source: RFC 9110 section 8.4, RFC 1952,
RFC 1950. Crawlers often undo the codings and keep the headers, and some servers pack twice or announce nothing. So a
body is unpacked where its first bytes say that it is packed, and left alone where they say that it is not.

What is cut gives the text so far. Damage inside is an error: nobody knows where it began. The checksums at the end of
gzip and zlib data are not looked at, as in browsers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from glassmill.corpus.read.frames.skippable import HEAD_BYTES, is_skippable
from glassmill.corpus.read.frames.zstd import MAGIC as ZSTD_MAGIC
from glassmill.corpus.read.frames.zstd import MAX_WINDOW_LOG, zstd_module
from glassmill.errors import BodyError

GZIP_MAGIC = b"\x1f\x8b\x08"
MAX_LAYERS = 4
MAX_MEMBERS = 10_000
FIRST_CHUNK_BYTES, CHUNK_BYTES = 4096, 1 << 20
"""Little at first: what is read behind the end of a short member is read again."""
LONGEST_HEADER = 1 << 17
RAW = -15
RESERVED_FLAGS, HEADER_CRC, EXTRA, NAME, COMMENT = 0xE0, 0x02, 0x04, 0x08, 0x10


def undo_codings(body: bytes, codings: Sequence[str], max_bytes: int) -> bytes:
    """The body without `codings`, given in the order in which they were applied, and without further layers of gzip
    or zstd below them.

    Raises:
        BodyError: it expands to more than `max_bytes`, is damaged, or has more than four layers.
    """
    for coding in reversed(codings[-MAX_LAYERS:]):
        body = _undo(coding.strip(" \t\"'").lower(), body, max_bytes)
    for _ in range(MAX_LAYERS):
        if not body.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
            return body
        body = _undo("zstd" if body.startswith(ZSTD_MAGIC) else "gzip", body, max_bytes)
    if body.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
        raise BodyError(f"packed more than {MAX_LAYERS} times")
    return body


def _undo(coding: str, body: bytes, max_bytes: int) -> bytes:
    if body.startswith(GZIP_MAGIC):
        return _gunzip(body, max_bytes)
    if body.startswith(ZSTD_MAGIC) or (coding == "zstd" and is_skippable(body, 0)):
        return _unzstd(body, max_bytes)
    if coding in ("gzip", "x-gzip", "deflate") and not _looks_like_text(body):
        return _inflate(body, max_bytes)
    if coding == "br" and not _looks_like_text(body):
        return _unbrotli(body, max_bytes)
    return body


class _Pieces:
    """Pieces of unpacked text, up to a limit."""

    def __init__(self, max_bytes: int) -> None:
        self.pieces: list[bytes] = []
        self.left = self.most = max_bytes

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.left -= len(piece)
        if self.left < 0:
            raise BodyError(f"body too large: expands to more than {self.most} bytes")

    def feed(self, inflate: zlib._Decompress, packed: bytes) -> None:
        while packed and not inflate.eof:
            self.add(inflate.decompress(packed, min(CHUNK_BYTES, self.left + 1)))
            packed = inflate.unconsumed_tail


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    """All members, one after the other; what follows them and is no member is left out."""
    unpacked, place = _Pieces(max_bytes), 0
    for _ in range(MAX_MEMBERS):
        if body[place : place + len(GZIP_MAGIC)] != GZIP_MAGIC:
            return b"".join(unpacked.pieces)
        place += _header_length(body[place : place + LONGEST_HEADER])
        inflate, size = zlib.decompressobj(RAW), FIRST_CHUNK_BYTES
        try:
            while place < len(body) and not inflate.eof:
                packed, place, size = body[place : place + size], place + size, min(4 * size, CHUNK_BYTES)
                unpacked.feed(inflate, packed)
        except zlib.error:
            raise BodyError("damaged compressed body") from None
        place = min(place, len(body)) - len(inflate.unused_data) + 8  # checksum and length
    raise BodyError(f"body of more than {MAX_MEMBERS} gzip members")


def _header_length(body: bytes) -> int:
    """See RFC 1952, section 2.3; the body's whole length where it ends inside its header."""
    flags, place = body[3:4], 10
    if not flags or flags[0] & RESERVED_FLAGS:
        raise BodyError("damaged compressed body")
    if flags[0] & EXTRA:
        place += 2 + int.from_bytes(body[place : place + 2], "little")
    for flag in (NAME, COMMENT):
        if flags[0] & flag:
            place = body.find(b"\0", place) + 1 or len(body)
    return place + 2 * bool(flags[0] & HEADER_CRC)


def _inflate(body: bytes, max_bytes: int) -> bytes:
    """The standard says zlib for "deflate", some servers send raw deflate; the body itself if it is neither."""
    is_zlib = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    for begin in (2, 0) if is_zlib else (0,):
        unpacked = _Pieces(max_bytes)
        try:
            unpacked.feed(zlib.decompressobj(RAW), body[begin:])
        except zlib.error:
            if any(unpacked.pieces):
                raise BodyError("damaged compressed body") from None
            continue
        return b"".join(unpacked.pieces)
    return body


def _unbrotli(body: bytes, max_bytes: int) -> bytes:
    import brotli  # type: ignore[import-untyped]

    decoder, unpacked = brotli.Decompressor(), _Pieces(max_bytes)
    try:
        piece = decoder.process(body, output_buffer_limit=CHUNK_BYTES)
        while piece or not decoder.can_accept_more_data():
            unpacked.add(piece)
            piece = decoder.process(b"", output_buffer_limit=CHUNK_BYTES)
    except brotli.error:
        if any(unpacked.pieces):
            raise BodyError("damaged compressed body") from None
        return body
    return b"".join(unpacked.pieces)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    """All frames of the body, see RFC 8878 (section 3)."""
    zstd = zstd_module()
    unpacked, place = _Pieces(max_bytes), 0
    for _ in range(MAX_MEMBERS):
        if is_skippable(body, place):
            place += HEAD_BYTES + int.from_bytes(body[place + 4 : place + 8], "little")
            continue
        if body[place : place + len(ZSTD_MAGIC)] != ZSTD_MAGIC:
            return b"".join(unpacked.pieces)
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})
        size = FIRST_CHUNK_BYTES
        try:
            while place < len(body) and not decoder.eof:
                packed, place, size = body[place : place + size], place + size, min(4 * size, CHUNK_BYTES)
                unpacked.add(decoder.decompress(packed, unpacked.left + 1))
        except zstd.ZstdError:
            raise BodyError("damaged compressed body") from None
        place = min(place, len(body)) - len(decoder.unused_data)
    raise BodyError(f"body of more than {MAX_MEMBERS} zstd frames")


def _looks_like_text(body: bytes) -> bool:
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<") or (start.isascii() and start.decode("ascii").isprintable())
