"""Reads a memory-mapped file without keeping it in memory: pages that were read are released.

The system counts every mapped page that was read as this process's memory, until it needs the page elsewhere.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glassmill.run.stores.spool import Spooled, SpooledMap

STRIDE_BYTES = 8 << 20
"""How much is read before it is released."""
MATCHED_BYTES = 1 << 16


@contextmanager
def mapped(path: Path | Spooled) -> Iterator[mmap.mmap]:
    """The file, mapped until the block ends; it must not be empty."""
    if isinstance(path, Spooled):
        with path.map() as data:
            yield data
    else:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def release_before(data: bytes | mmap.mmap, end: int) -> None:
    """Releases the mapped bytes before `end`; reading them again brings them back."""
    whole = end // mmap.PAGESIZE * mmap.PAGESIZE
    if isinstance(data, mmap.mmap) and whole and hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED, 0, whole)


def release_read(data: mmap.mmap, end: int, size: int) -> None:
    """Releases what was read up to `end`, once every `STRIDE_BYTES`; the last read was of `size` bytes."""
    if end % STRIDE_BYTES < size:
        release_before(data, end)


def find_from(data: bytes | mmap.mmap, wanted: bytes, position: int, end: int | None = None) -> int:
    """`data.find`."""
    end = len(data) if end is None else end
    for begin in range(position, end, STRIDE_BYTES):
        place = data.find(wanted, begin, min(end, begin + STRIDE_BYTES + len(wanted) - 1))
        if place >= 0:
            return place
        release_before(data, begin)
    return -1


def search_from(
    pattern: re.Pattern[bytes], longest: int, data: bytes | mmap.mmap, position: int, end: int | None = None
) -> re.Match[bytes] | None:
    """`pattern.search`, for a pattern that matches at most `longest` bytes."""
    end = len(data) if end is None else end
    for begin in range(position, end, STRIDE_BYTES):
        behind = min(end, begin + STRIDE_BYTES + longest - 1)
        if isinstance(data, SpooledMap):
            data.load(begin, behind)
        match = pattern.search(data, begin, behind)
        if match:
            return match
        release_before(data, begin)
    return None


def match_at(pattern: re.Pattern[bytes], data: bytes | mmap.mmap, position: int = 0) -> re.Match[bytes] | None:
    """`pattern.match`, for a pattern of which the first `MATCHED_BYTES` show whether it matches."""
    size = MATCHED_BYTES
    while True:
        if isinstance(data, SpooledMap):
            data.load(position, position + size)
        match = pattern.match(data, position)
        if match is None or match.end() < position + size or not isinstance(data, SpooledMap):
            return match
        size *= 16
