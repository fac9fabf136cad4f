"""One record of an ARC file, WARC's forerunner: a header line, and the bytes that the server sent.

In: a stream with the record at its front. Out: a `Record` with the header that WARC would give it. Source: Burner and
Kahle 1996 (version 1: URL, IP, date, type, length; version 2 has five fields more between type and length); Heritrix
writes "1.1", version 1 with XML in the file's own first record. URLs and types with spaces occur, so the fields are
counted from the IP and the date.
"""

from __future__ import annotations

import mmap
import re

from glassmill.corpus.read.mapped import find_from, match_at, search_from
from glassmill.corpus.read.records import Record, take_block
from glassmill.corpus.read.streams import Stream

MAX_LINE_BYTES = 1 << 16
FILE_RECORD = "filedesc:"
TRAILER_LINES = 4
LONGEST_DATE_FIELD = 16

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,40}:")
_KNOWN_SCHEME = re.compile(rb"(?:filedesc|https?|ftps?|dns|gopher|news|nntp|mailto|whois|warcinfo|metadata|urn):")
_SCHEME_START = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,40}(?::|\Z)")
_IP = re.compile(rb"[0-9A-Fa-f.:]{1,45}|-")
_DATE = re.compile(rb"(?:19|20)\d{10,12}")
_DATE_FIELD = re.compile(rb" (?:19|20)\d{10,12} ")
_LINE_ENDS = re.compile(rb"(?:\r?\n){0,%d}(?:\r\Z)?" % TRAILER_LINES)


def begins_arc(data: bytes | mmap.mmap, position: int = 0, known: bool = False) -> bool:
    """Whether a header line starts there; with `known`, one whose URL cannot be the rest of another."""
    if not match_at(_KNOWN_SCHEME if known else _SCHEME, data, position):
        return False
    end = data.find(b"\n", position, position + MAX_LINE_BYTES)
    return end >= 0 and parse_line(data[position:end]) is not None


def find_arc(data: bytes | mmap.mmap, position: int = 0) -> int:
    """Where the next header line starts after a line end, from `position` on; -1 if there is none.

    Each line is looked at once, however many dates it has.
    """
    place = position
    while date := search_from(_DATE_FIELD, LONGEST_DATE_FIELD, data, place):
        begin = data.rfind(b"\n", max(position, date.start() - MAX_LINE_BYTES), date.start()) + 1
        if begin and begins_arc(data, begin):
            return begin
        place = find_from(data, b"\n", date.end())
        if place < 0:
            break
    return -1


def parse_line(line: bytes) -> dict[str, str] | None:
    """A header line as WARC headers, the length unchecked; None if it is not one.

    Example:
        >>> parse_line(b"http://a.example/ 192.0.2.1 19970118142103 text/html 202")["warc-date"]
        '1997-01-18T14:21:03Z'
    """
    fields = line.rstrip(b"\r\n ").split(b" ")
    for place in range(1, len(fields) - 2):
        if _DATE.fullmatch(fields[place + 1]) and _IP.fullmatch(fields[place]):
            break
    else:
        return None
    url = _text(b" ".join(fields[:place]))
    date = fields[place + 1].decode("ascii").ljust(14, "0")
    kind = "warcinfo" if url.startswith(FILE_RECORD) else "response"
    return {
        "warc-type": kind,
        "warc-target-uri": url,
        "warc-ip-address": fields[place].decode("ascii"),
        "warc-date": f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:]}Z",
        "content-type": _text(fields[place + 2]) if place + 3 < len(fields) else "",
        "content-length": _text(fields[-1]),
    }


def fronts_arc(stream: Stream) -> bool:
    """Whether the stream's front is a header line, which is then in the buffer."""
    size = 512
    stream.need(size)
    while _SCHEME.match(stream.buffer, stream.at):
        if stream.buffer.find(b"\n", stream.at, stream.at + MAX_LINE_BYTES) >= 0:
            return begins_arc(stream.buffer, stream.at)
        if stream.have > MAX_LINE_BYTES:
            break
        size = max(8 * size, stream.have + 1)
        if not stream.more(size):
            break
    return False


def read_arc_record(stream: Stream, offset: int, wanted: frozenset[str], limit: int) -> Record | None:
    """The record at the stream's front, of which `fronts_arc` is true, taken from it; None if its type is not wanted.

    What was fetched without HTTP (DNS answers, FTP) is a `resource`, as in WARC.

    Raises:
        BadRecord: its block is not taken.
    """
    headers = parse_line(stream.take(stream.buffer.index(b"\n", stream.at) + 1 - stream.at))
    assert headers is not None
    block = take_block(stream, headers["content-length"], headers["warc-target-uri"], limit, _end_of_trailer)
    if headers["warc-type"] == "response" and not block.startswith(b"HTTP/"):
        headers["warc-type"] = "resource"
    return Record(offset, headers, block) if headers["warc-type"] in wanted else None


def _end_of_trailer(stream: Stream, length: int) -> int | None:
    match = _LINE_ENDS.match(stream.buffer, stream.at + length)
    assert match
    end = match.end() - stream.at
    size = end + 512
    while True:
        more = stream.need(size)
        place = stream.at + end
        if stream.have == end or begins_arc(stream.buffer, place):
            return end
        if not more:  # a line that goes on in the next frame
            cut = stream.buffer.find(b"\n", place) < 0 and stream.have - end < MAX_LINE_BYTES
            return end if cut and _SCHEME_START.match(stream.buffer, place) else None
        if size > MAX_LINE_BYTES or stream.buffer.find(b"\n", place) >= 0:
            return None
        size *= 8


def _text(field: bytes) -> str:
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError:
        return field.decode("latin-1")
