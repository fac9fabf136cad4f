"""One record of a WARC file: its header, its block, and the check that its length is true.

In: a stream with the record at its front. Out: `Record`, or `BadRecord` with the cause. Source: ISO 28500 (WARC 1.1).
A record whose lengths disagree is an error; it is never passed on shortened.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass

from glassmill.corpus.read.mapped import find_from, match_at
from glassmill.corpus.read.streams import Stream
from glassmill.errors import BadRecord

MAX_HEADER_BYTES = 1 << 21
LONGEST_VERSION_LINE = 64
LONGEST_TRAILER = 9

_VERSION = re.compile(rb"WARC/[01]\.\d+[ \t]*\r?\n")
_BEGIN = re.compile(rb"\nWARC/[01]\.\d+[ \t]*\r?\n(?=[A-Za-z-]{1,40}:)")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_TRAILER = re.compile(rb"(?:\r?\n){0,2}(?:\r\Z)?")  # a frame may end in the middle of a line end
_TARGET = re.compile(rb"(?im)^WARC-Target-URI:[ \t]*([^\r\n]*)")


@dataclass(slots=True)
class Record:
    """One record: header names in lower case, those of WARC whatever the file, and its block."""

    offset: int
    headers: dict[str, str]
    block: bytes

    @property
    def type(self) -> str:
        return self.headers.get("warc-type", "").lower()

    @property
    def url(self) -> str:
        return self.headers.get("warc-target-uri", "").strip("<> ")


def begins_warc(data: bytes | mmap.mmap, position: int = 0) -> bool:
    """Whether a record's version line starts there."""
    return match_at(_VERSION, data, position) is not None


def find_warc(data: bytes | mmap.mmap, position: int = 0) -> int:
    """Where the next version line begins that has a line end before it, from `position` on; -1 if none does."""
    place = find_from(data, b"\nWARC/", position)
    while place >= 0 and not match_at(_BEGIN, data, place):
        place = find_from(data, b"\nWARC/", place + 1)
    return place + 1 if place >= 0 else -1


def target_in(head: bytes) -> str:
    """The target URI in a damaged record's first bytes, for the report."""
    match = _TARGET.search(head)
    return match[1].decode("utf-8", "replace").strip("<> ") if match else ""


def read_warc_record(stream: Stream, offset: int, wanted: frozenset[str], limit: int) -> Record | None:
    """The record at the stream's front, taken from it; None if its type is not wanted.

    Raises:
        BadRecord: its block is not taken.
    """
    headers = parse_headers(_header_bytes(stream))
    url = headers.get("warc-target-uri", "").strip("<> ")
    block = take_block(stream, headers.get("content-length", ""), url, limit, _end_of_trailer)
    return Record(offset, headers, block) if headers.get("warc-type", "").lower() in wanted else None


def take_block(
    stream: Stream, stated: str, url: str, limit: int, end_of_trailer: Callable[[Stream, int], int | None]
) -> bytes:
    """The block of the record whose header was taken.

    Args:
        stated: The length as the header has it.
        end_of_trailer: Given that many bytes after the front, where the line ends stop that a record or the end
            follows; None if neither follows, so that the length is wrong.

    Raises:
        BadRecord: not a length, over `limit`, or not the length of what is there; nothing is taken.
    """
    if not stated.isascii() or not stated.isdigit():
        raise BadRecord(f"invalid content-length: {stated!r}" if stated else "no content-length", url)
    if len(stated) > 18 or int(stated) > limit:
        length = int(stated) if len(stated) <= 18 else 0
        raise BadRecord(f"record too large: {stated[:40]} bytes, over the limit of {limit}", url, length=length)
    length = int(stated)
    try:
        if not stream.fill(length):
            raise BadRecord(f"content-length is wrong: {length}, but {stream.have} bytes follow", url)
        stream.need(length + LONGEST_TRAILER)
        end = end_of_trailer(stream, length)
    except BadRecord as bad:
        raise BadRecord(bad.cause, url, bad.stream) from None
    if end is None:
        raise BadRecord(f"content-length is wrong: the record does not end after {length} bytes", url)
    block = stream.take(length)
    stream.take(end - length)
    return block


def _header_bytes(stream: Stream) -> bytes:
    """The header, taken with the blank line after it."""
    size = 4096
    stream.need(size)
    while True:
        end = _BLANK_LINE.search(stream.buffer, stream.at)
        if end:
            return stream.take(end.end() - stream.at)
        if stream.have > MAX_HEADER_BYTES:
            raise BadRecord(f"header too long: more than {MAX_HEADER_BYTES} bytes")
        size = max(8 * size, stream.have + 1)
        if not stream.more(size):
            raise BadRecord("the header has no end")


def _end_of_trailer(stream: Stream, length: int) -> int | None:
    match = _TRAILER.match(stream.buffer, stream.at + length)
    assert match
    rest = stream.buffer[match.end() : match.end() + 5]
    return match.end() - stream.at if b"WARC/".startswith(rest) else None


def parse_headers(head: bytes) -> dict[str, str]:
    """Header lines to a dictionary with names in lower case: UTF-8, else Latin-1; the first of equal names wins.

    Folded lines are joined. The first line (the version, or HTTP's status line) is skipped.
    """
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    headers: dict[str, str] = {}
    name = ""
    for line in text.split("\n")[1:]:
        line = line.rstrip("\r")
        if line[:1] in (" ", "\t") and name:
            headers[name] += " " + line.strip()
            continue
        name, sign, value = line.partition(":")
        name = name.strip().lower()
        if sign and name not in headers:
            headers[name] = value.strip()
        else:
            name = ""  # what is folded under a line that does not count does not count
    return headers
