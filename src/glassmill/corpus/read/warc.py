"""WARC and ARC files to records, whatever state the file is in.

In: a file of gzip members, zstd or LZ4 frames (one a record, several for one, or one for all), or a plain one. Out:
`Record` and `Lost` in the order of the file. Sources: `records`, `arc`, and the modules of `frames`.

Other readers stop, or silently lose the rest, at the first damaged byte. This one walks the frames itself: it reports
what is lost to damage, finds the next readable frame, and continues there. Memory is bounded by
`max_record_bytes`.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from glassmill.corpus.document import Lost
from glassmill.corpus.read.arc import begins_arc, find_arc, fronts_arc, parse_line, read_arc_record
from glassmill.corpus.read.cut import END, Range
from glassmill.corpus.read.frames.codec import CUT, Codec, next_frame, start_of
from glassmill.corpus.read.frames.gzip import Gzip
from glassmill.corpus.read.frames.lz4 import Lz4
from glassmill.corpus.read.frames.zstd import Zstd
from glassmill.corpus.read.mapped import mapped, match_at, search_from
from glassmill.corpus.read.records import (
    LONGEST_VERSION_LINE,
    Record,
    begins_warc,
    find_warc,
    parse_headers,
    read_warc_record,
    target_in,
)
from glassmill.corpus.read.streams import MAX_RATIO, FrameStream, PlainFile, Stream
from glassmill.errors import BadRecord, DamagedError
from glassmill.run.stores.spool import Spooled

__all__ = ["MAX_RECORD_BYTES", "WANTED", "Record", "parse_headers", "read_records"]

MAX_RECORD_BYTES = 64 << 20
MAX_UNPACKED_BYTES = 512 << 20
"""A file may always unpack to so many bytes; beyond, to `MAX_RATIO` times its own."""
MAX_FRAMES_WITHOUT = 20_000
"""So many frames in a row without a record are no archive."""
WANTED = frozenset({"response", "conversion", "resource"})
CODECS: tuple[type[Codec], ...] = (Gzip, Zstd, Lz4)

_NOT_ZERO = re.compile(rb"[^\0]")
_LINE_ENDS = re.compile(rb"[\r\n]+")


def read_records(
    path: Path | Spooled,
    wanted: frozenset[str] = WANTED,
    max_record_bytes: int = MAX_RECORD_BYTES,
    part: Range | None = None,
) -> Iterator[Record | Lost]:
    """The records of the wanted types, and a `Lost` for everything that could not be read; of the file, or of a part.

    Raises:
        OSError: the file cannot be opened.
    """
    if path.stat().st_size == 0:
        yield Lost(0, "empty file")
        return
    with mapped(path) as data:
        form, part = _form_of(data), part or Range()
        if form is None and part.begin == 0:
            yield Lost(0, "not a WARC file: no compressed frame, WARC version line or ARC header line")
            part.stop = len(data)
        if form is None:
            return
        begin = part.begin if part.known else _first_record(form, data, part)
        if begin >= part.end or begin >= len(data):
            return
        part.first = begin
        if isinstance(form, Codec):
            yield from _records_of_frames(form, data, wanted, max_record_bytes, part)
        else:
            stream = form(data, begin)
            yield from _records_of(stream, wanted, max_record_bytes, part.end)
            part.stop = stream.offset


def _form_of(data: mmap.mmap) -> Codec | type[PlainFile] | None:
    """How the file is packed; None if it holds no record. Its first bytes decide; if they are garbage, what follows."""
    for kind in CODECS:
        if any(data[: len(magic)] == magic for magic in kind.openings):
            return kind()  # here and below its library is imported
    if _begins_record(data):
        return PlainFile
    codecs = [kind() for kind in CODECS]
    places: list[tuple[int, Codec | type[PlainFile]]]
    places = [(next_frame(codec, data, 0, _begins_record), codec) for codec in codecs]
    if (begin := _find_record(data, 0)) >= 0:
        places.append((begin, PlainFile))
    place, form = min(places, key=lambda entry: entry[0])
    return form if place < len(data) else None


def _first_record(form: Codec | type[PlainFile], data: mmap.mmap, part: Range) -> int:
    """Where the first record of a part seems to start; the part's end if none does."""
    if not isinstance(form, Codec):
        place = _find_record(data, part.begin)
        return place if 0 <= place < part.end else part.end
    with suppress(DamagedError):
        form.pass_over(data, 0)  # a dictionary for all frames
    position = form.find(data, part.begin)
    while 0 <= position < part.end:
        if _begins_record(start_of(form, data, position)[0]):
            return position
        position = form.find(data, position + 1)
    return part.end


def _records_of_frames(
    codec: Codec, data: mmap.mmap, wanted: frozenset[str], limit: int, part: Range
) -> Iterator[Record | Lost]:
    """Walks the frames; after a damaged one it continues at the next readable one."""
    begin = position = part.first or 0
    unpacked = without = 0
    while position < len(data):
        part.stop = len(data)
        most = max(MAX_UNPACKED_BYTES, MAX_RATIO * (position - begin))
        if without > MAX_FRAMES_WITHOUT or unpacked > most:
            cause = f"expands more than {MAX_RATIO} times" if without <= MAX_FRAMES_WITHOUT else "no more records"
            yield Lost(position, f"{cause}: the last {len(data) - position} bytes are not read")
            return
        stream = None
        try:
            position = codec.pass_over(data, position)
            if not codec.begins(data, position):
                following = next_frame(codec, data, position, _begins_record)
                if search_from(_NOT_ZERO, 1, data, position, following):  # zero padding is no loss
                    yield Lost(position, f"bytes outside any {codec.unit}: {following - position}")
                position = following
                continue
            if position >= part.end and _begins_record(start_of(codec, data, position)[0]):
                part.stop = position
                return
            stream = FrameStream(codec, data, position, _is_record)
            yield from _records_of(stream, wanted, limit)
            position = stream.finish()
            unpacked += stream.unpacked
            without = 0 if stream.records else without + 1
        except (BadRecord, DamagedError) as error:
            unpacked += stream.unpacked if stream else 0
            without = 0 if stream and stream.records else without + 1
            begin = stream.frame_begin if stream else position
            behind = error.end if isinstance(error, DamagedError) and error.end else begin + 1
            following = next_frame(codec, data, behind, _begins_record)
            yield _lost(codec, data, position, begin, following, error, fresh=not (stream and stream.records))
            position = following


def _lost(
    codec: Codec, data: mmap.mmap, position: int, begin: int, following: int, error: Exception, fresh: bool
) -> Lost:
    """The report of damage in the frame at `begin`, and how far it goes. `fresh`: no record was read from the frame."""
    offset, url = (error.offset or position, error.url) if isinstance(error, BadRecord) else (position, "")
    if not url and fresh:
        url = _target_of(codec, data, begin)
    far = (
        f"reading continues at {following}"
        if following < len(data)
        else f"nothing readable in the last {following - begin} bytes"
    )
    return Lost(offset, str(error) if str(error) == CUT else f"{error}; {far}", url)


def _target_of(codec: Codec, data: mmap.mmap, position: int) -> str:
    """The target of a record whose first bytes can still be unpacked."""
    head = b""
    try:
        frame = codec.open(data, position)
        while len(head) < 4096 and (piece := frame.pull(64)) is not None:
            head += piece
    except DamagedError:
        pass
    line = parse_line(head.partition(b"\n")[0])
    return line["warc-target-uri"] if line else target_in(head)


def _records_of(stream: Stream, wanted: frozenset[str], limit: int, end: int = END) -> Iterator[Record | Lost]:
    """The records of one stream that start before `end`. After a bad record it looks for the next one in the stream.

    Raises:
        BadRecord: the stream itself is damaged, so nothing after this position can be read from it.
    """
    offset = stream.offset
    try:
        while _at_front(stream):
            offset = stream.offset
            stream.need(LONGEST_VERSION_LINE)
            if offset >= end and _is_record(stream.buffer, stream.at):
                return
            try:
                record = _one_record(stream, offset, wanted, limit)
            except BadRecord as bad:
                if bad.stream:
                    raise
                yield Lost(offset, bad.cause, bad.url)
                stream.seek(_find_record, bad.length)
            else:
                stream.records += 1
                if record:
                    yield record
    except BadRecord as bad:
        bad.offset = offset
        raise


def _at_front(stream: Stream) -> bool:
    """Whether anything but line ends is left; those of the previous record may be in a frame of their own."""
    while stream.need(1):
        ends = _LINE_ENDS.match(stream.buffer, stream.at)
        if not ends:
            return True
        stream.take(ends.end() - stream.at)
    return False


def _one_record(stream: Stream, offset: int, wanted: frozenset[str], limit: int) -> Record | None:
    stream.need(LONGEST_VERSION_LINE)
    while stream.buffer.find(b"\n", stream.at) < 0 and stream.have < LONGEST_VERSION_LINE and stream.go_on():
        stream.need(LONGEST_VERSION_LINE)
    if begins_warc(stream.buffer, stream.at):
        return read_warc_record(stream, offset, wanted, limit)
    if fronts_arc(stream):
        return read_arc_record(stream, offset, wanted, limit)
    front = stream.buffer[stream.at : stream.at + 24]
    raise BadRecord(f"no WARC version line: {front!r}")


def _is_record(data: bytes | mmap.mmap, place: int = 0) -> bool:
    """Whether a record starts here, rather than the rest of one."""
    return begins_warc(data, place) or begins_arc(data, place, known=True)


def _begins_record(data: bytes | mmap.mmap) -> bool:
    """Whether it starts with a record, after line ends at most."""
    ends = match_at(_LINE_ENDS, data)
    return _is_record(data, ends.end() if ends else 0)


def _find_record(data: bytes | mmap.mmap, position: int) -> int:
    """Where the next record of either kind starts after a line end; -1 if there is none."""
    places = (find_warc(data, position), find_arc(data, position))
    return min((place for place in places if place >= 0), default=-1)
