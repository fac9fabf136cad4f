"""Skippable frames (RFC 8878, 3.1.2): magic, size, and bytes that readers ignore; LZ4 has the same."""

from __future__ import annotations

import mmap
import re

from glassmill.corpus.read.mapped import match_at
from glassmill.errors import DamagedError

HEAD_BYTES = 8
_MAGIC = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")


def is_skippable(data: mmap.mmap | bytes, position: int) -> bool:
    """Whether such a frame's magic is there."""
    return match_at(_MAGIC, data, position) is not None


def end_of_skippable(data: mmap.mmap, position: int, magic: bytes) -> int:
    """Where the skippable frame ends. Its size is trusted only if something that may follow does follow.

    Raises:
        DamagedError: the size points past the file's end, or into the middle of something.
    """
    size = int.from_bytes(data[position + 4 : position + HEAD_BYTES], "little")
    end = position + HEAD_BYTES + size
    follows = data[end : end + len(magic)]
    if end <= len(data) and (not follows.strip(b"\0") or follows == magic or is_skippable(data, end)):
        return end
    raise DamagedError(f"skippable frame without a frame after it: {size} bytes")
