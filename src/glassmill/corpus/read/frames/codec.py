"""What the compressed forms have in common: a frame yields its bytes on request, or says how it is damaged.

In: a file, mapped, and a place in it. Out: a `Frame` there, and the next place where one may begin. Memory is bounded
by what is requested, whatever a frame claims to hold.
"""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count

from glassmill.corpus.read.mapped import find_from, release_read
from glassmill.errors import DamagedError

FIRST_CHUNK_BYTES = 4096
LARGEST_CHUNK_BYTES = 1 << 18
UNPACKED_CHUNK_BYTES = 1 << 20
START_BYTES, START_STEP_BYTES = 4096, 64
"""This much of a frame shows whether it starts with a record."""
PROBE_BYTES = 1 << 20
"""A frame that does not start with a record counts as one if this much of it, or all of it, can be read."""
MAX_FALSE_FRAMES = 10_000
"""By chance a magic of three bytes occurs once in 16 MB."""
MAX_PROBED_BYTES = 1 << 30
CUT = "the file ends inside this record"


class Frame(ABC):
    """The unpacked bytes of one frame, from `begin` on."""

    def __init__(self, data: mmap.mmap, begin: int) -> None:
        self.data, self.begin = data, begin
        self.fed = begin
        self._chunk = FIRST_CHUNK_BYTES

    @property
    @abstractmethod
    def end(self) -> int:
        """Where the next frame may begin; known once `pull` has returned None."""

    @abstractmethod
    def pull(self, most: int = UNPACKED_CHUNK_BYTES) -> bytes | None:
        """The next bytes, at most `most`; None at the frame's end, where its checksum, if any, is verified.

        Raises:
            DamagedError: here, or the file ends before the frame does.
        """

    def _feed(self) -> bytes:
        """More packed bytes: few for a short frame, many for a long one."""
        packed = self.data[self.fed : self.fed + self._chunk]
        if not packed:
            raise DamagedError(CUT)
        self.fed += len(packed)
        release_read(self.data, self.fed, len(packed))
        self._chunk = min(4 * self._chunk, LARGEST_CHUNK_BYTES)
        return packed


class Codec(ABC):
    """How one form is packed: one object per file, because a file may bring a dictionary."""

    unit: str
    """What a frame is called in a report."""
    magic: bytes
    openings: tuple[bytes, ...]
    """What a file of this form may start with."""
    no_content: bytes | None = None
    """The start of unpacked bytes that look like a frame's content but are not."""

    def begins(self, data: mmap.mmap, position: int) -> bool:
        """Whether a frame's magic is there."""
        return data[position : position + len(self.magic)] == self.magic

    def find(self, data: mmap.mmap, position: int) -> int:
        """The next magic from `position` on; -1 if there is none."""
        return find_from(data, self.magic, position)

    @abstractmethod
    def open(self, data: mmap.mmap, position: int) -> Frame:
        """The frame there.

        Raises:
            DamagedError: its first bytes show that it is not a frame.
        """

    def pass_over(self, data: mmap.mmap, position: int) -> int:
        """The end of what may be at `position` without being a frame; `position` if there is nothing of the kind.

        Raises:
            DamagedError: what is there is damaged.
        """
        return position


def start_of(codec: Codec, data: mmap.mmap, position: int) -> tuple[bytes, Frame | None]:
    """The first bytes of the frame there, a line at least, and the frame, read so far; None if it is damaged already.

    It reads in small pieces, because bytes read together with damage are lost.
    """
    start = b""
    try:
        frame = codec.open(data, position)
        while len(start) < START_BYTES and b"\n" not in start.lstrip(b"\r\n"):
            piece = frame.pull(START_STEP_BYTES)
            if piece is None:
                break
            start += piece
    except DamagedError:
        return start, None
    return start, frame


def next_frame(codec: Codec, data: mmap.mmap, position: int, is_start: Callable[[bytes], bool]) -> int:
    """Where the next readable frame begins; the file's end if there is none, or too many false ones."""
    probed = 0
    for tries in count():
        position = codec.find(data, position)
        if position < 0 or tries > MAX_FALSE_FRAMES or probed > MAX_PROBED_BYTES:
            break
        readable, cost = _probe(codec, data, position, is_start)
        if readable:
            return position
        probed += cost
        position += 1
    return len(data)


def _probe(codec: Codec, data: mmap.mmap, position: int, is_start: Callable[[bytes], bool]) -> tuple[bool, int]:
    """Whether there is a frame, and how many bytes it took to find out.

    A magic may occur in packed bytes by chance; a real frame starts with a record, or can be read.
    """
    try:
        if codec.pass_over(data, position) > position:
            return True, 0
    except DamagedError:
        return False, 0
    start, frame = start_of(codec, data, position)
    passed = len(start)
    if is_start(start):
        return True, passed
    if codec.no_content and start.startswith(codec.no_content):
        return False, passed
    if frame is None:
        return False, passed + FIRST_CHUNK_BYTES
    try:
        while passed < PROBE_BYTES and (piece := frame.pull()) is not None:
            passed += len(piece)
    except DamagedError:
        return False, passed + frame.fed - frame.begin
    return True, passed
