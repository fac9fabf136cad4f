"""The bytes of an archive in order: a plain file, or the frames of a compressed one, unpacked as needed.

In: the file, mapped. Out: a buffer at the front of the stream, as long as the caller asks for, which bounds the
memory. A damaged stream raises an exception that says how it is damaged.
"""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Callable

from glassmill.corpus.read.frames.codec import UNPACKED_CHUNK_BYTES, Codec, Frame, start_of
from glassmill.corpus.read.mapped import release_read
from glassmill.errors import BadRecord, DamagedError

SEARCH_OVERLAP_BYTES = 1 << 16
HARMLESS_BYTES = 64 << 20
LARGE_BYTES = 256 << 20
MAX_RATIO = 200
"""A frame without a record in more than `HARMLESS_BYTES`, or one of more than `LARGE_BYTES`, that expands more than
this many times is a trap, not an archive."""


class Stream(ABC):
    """`buffer` from `at` on is the front of the stream; `records` counts the records read from it."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.buffer, self.at = b"", 0
        self.records = 0

    @property
    def have(self) -> int:
        """Bytes in the buffer."""
        return len(self.buffer) - self.at

    @property
    @abstractmethod
    def offset(self) -> int:
        """The front's position in the file; in a compressed file, where its frame begins."""

    def need(self, size: int) -> bool:
        """Whether `size` bytes are in the buffer, after reading as much of this frame as needed."""
        if self.have >= size:
            return True
        pieces, have = [self.buffer[self.at :]], self.have
        while have < size and (piece := self._pull()) is not None:
            pieces.append(piece)
            have += len(piece)
        self.buffer, self.at = b"".join(pieces), 0
        return have >= size

    def fill(self, size: int) -> bool:
        """As `need`, but continues into the next frames if the record does."""
        while not self.need(size):
            if not self.go_on():
                return False
        return True

    def more(self, size: int) -> bool:
        """Whether more bytes came, up to `size`: from this frame, and from the next only at its end."""
        before = self.have
        return self.need(size) or self.have > before or self.go_on()

    def go_on(self) -> bool:
        """Enters the next frame, if it continues the current record."""
        return False

    def take(self, size: int) -> bytes:
        taken = self.buffer[self.at : self.at + size]
        self.at += size
        return taken

    def seek(self, find: Callable[[bytes, int], int], length: int) -> None:
        """Skips everything before the next record; to the end where there is none.

        Args:
            find: Where in some bytes, from a position on, a record starts; -1 if none does.
            length: How far the current record may reach, into other frames too.

        Raises:
            BadRecord: the stream expands without an end.
        """
        passed = 0
        while True:
            place = find(self.buffer, self.at)
            if place >= 0:
                self.at = place
                return
            keep = max(self.at, self._line_begin())
            passed += keep - self.at
            self.at = keep
            if not self.need(self.have + 1) and not (passed < length and self.go_on()):
                self.at = len(self.buffer)
                return
            self._check_growth(passed)

    @abstractmethod
    def finish(self) -> int:
        """Where the next frame may begin; called at the end of this one."""

    def _line_begin(self) -> int:
        """The line end before the last line, at least some bytes back: a record may start in what follows."""
        end = len(self.buffer)
        line = self.buffer.rfind(b"\n", max(0, end - SEARCH_OVERLAP_BYTES))
        return max(0, min(line if line >= 0 else end, end - 64))

    @abstractmethod
    def _pull(self) -> bytes | None:
        """More bytes, or None at the end of the frame."""

    def _check_growth(self, passed: int) -> None:  # noqa: B027 (only what unpacks can grow)
        """Raises BadRecord if too few bytes expanded to `passed` bytes without a record."""


class PlainFile(Stream):
    """The bytes of an uncompressed file."""

    def __init__(self, data: mmap.mmap, begin: int = 0) -> None:
        super().__init__(data)
        self._fed = begin

    @property
    def offset(self) -> int:
        return self._fed - self.have

    def finish(self) -> int:
        return self._fed

    def _pull(self) -> bytes | None:
        piece = self.data[self._fed : self._fed + UNPACKED_CHUNK_BYTES]
        self._fed += len(piece)
        release_read(self.data, self._fed, len(piece))
        return piece or None


class FrameStream(Stream):
    """The bytes of one frame, and of those after it that continue its last record."""

    def __init__(self, codec: Codec, data: mmap.mmap, position: int, is_start: Callable[[bytes], bool]) -> None:
        super().__init__(data)
        self._codec, self._is_start = codec, is_start
        self.frame_begin = position
        self.unpacked = self._of_this_frame = 0
        self._frame = self._open(position)

    @property
    def offset(self) -> int:
        return self.frame_begin

    def go_on(self) -> bool:
        try:
            place = self._codec.pass_over(self.data, self._frame.end)
        except DamagedError:
            return False
        if not self._codec.begins(self.data, place):
            return False
        start, frame = start_of(self._codec, self.data, place)
        if frame is None or self._is_start(start):
            return False
        self._frame, self.frame_begin = frame, place
        self._of_this_frame = len(start)
        self.buffer, self.at = self.buffer[self.at :] + start, 0
        return True

    def finish(self) -> int:
        return self._frame.end

    def _open(self, position: int) -> Frame:
        try:
            return self._codec.open(self.data, position)
        except DamagedError as error:
            raise BadRecord(str(error), stream=True) from None

    def _pull(self) -> bytes | None:
        try:
            piece = self._frame.pull()
        except DamagedError as error:
            raise BadRecord(str(error), stream=True) from None
        self.unpacked += len(piece or b"")
        self._of_this_frame += len(piece or b"")
        packed = self._frame.fed - self._frame.begin
        if self._of_this_frame > LARGE_BYTES and self._of_this_frame > MAX_RATIO * packed:
            raise BadRecord(f"expands too much: {packed} bytes to more than {self._of_this_frame}", stream=True)
        return piece

    def _check_growth(self, passed: int) -> None:
        packed = self._frame.fed - self._frame.begin
        if passed > HARMLESS_BYTES and passed > MAX_RATIO * packed:
            raise BadRecord(f"expands without a record: {packed} bytes to more than {passed}", stream=True)
