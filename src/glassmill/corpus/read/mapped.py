"""Reading a mapped file in memory that does not grow with it: what was read is let go.

Pages of a mapped file that were read count as the process's own until the system wants them back.
"""

from __future__ import annotations

import mmap
import re

STRIDE_BYTES = 8 << 20
"""What was read is let go in such steps."""


def let_go(data: bytes | mmap.mmap, end: int) -> None:
    """Tells the system that the mapped bytes before `end` are not needed now; read again, they come back."""
    whole = end // mmap.PAGESIZE * mmap.PAGESIZE
    if isinstance(data, mmap.mmap) and whole and hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED, 0, whole)


def has_read(data: mmap.mmap, end: int, size: int) -> None:
    """Lets go of what was read, now and then, where `size` bytes before `end` were the last of it."""
    if end % STRIDE_BYTES < size:
        let_go(data, end)


def find_from(data: bytes | mmap.mmap, wanted: bytes, position: int, end: int | None = None) -> int:
    """`data.find`."""
    end = len(data) if end is None else end
    for begin in range(position, end, STRIDE_BYTES):
        place = data.find(wanted, begin, min(end, begin + STRIDE_BYTES + len(wanted) - 1))
        if place >= 0:
            return place
        let_go(data, begin)
    return -1


def search_from(
    pattern: re.Pattern[bytes], longest: int, data: bytes | mmap.mmap, position: int, end: int | None = None
) -> re.Match[bytes] | None:
    """`pattern.search`, for a pattern that matches at most `longest` bytes."""
    end = len(data) if end is None else end
    for begin in range(position, end, STRIDE_BYTES):
        match = pattern.search(data, begin, min(end, begin + STRIDE_BYTES + longest - 1))
        if match:
            return match
        let_go(data, begin)
    return None
