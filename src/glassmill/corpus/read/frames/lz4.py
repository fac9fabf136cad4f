"""LZ4 frames (LZ4 Frame Format 1.6.4), as FastWARC writes them; unpacked by FastWARC, which comes with resiliparse.

FastWARC reads frame after frame without reporting where one ends. So it gets the bytes of one frame only, whose length
follows from those of its blocks.
"""

from __future__ import annotations

import mmap
from typing import BinaryIO, cast

from glassmill.corpus.read.frames.codec import CUT, LARGEST_CHUNK_BYTES, UNPACKED_CHUNK_BYTES, Codec, Frame
from glassmill.corpus.read.frames.skippable import end_of_skippable, is_skippable
from glassmill.corpus.read.mapped import release_read
from glassmill.errors import DamagedError

MAGIC = b"\x04\x22\x4d\x18"
DESCRIPTOR_BYTES = 3
BLOCK_CHECKSUM, CONTENT_SIZE, CONTENT_CHECKSUM, DICTIONARY_ID = 0x10, 0x08, 0x04, 0x01
STORED = 1 << 31


class _OneFrame:
    """The packed bytes of one frame, as a file. `ended`: its end mark was reached and all bytes were handed out."""

    def __init__(self, data: mmap.mmap, begin: int) -> None:
        self._data, self._flags = data, data[begin + len(MAGIC)]
        self._marked = False
        self._place = begin
        extra = 8 * bool(self._flags & CONTENT_SIZE) + 4 * bool(self._flags & DICTIONARY_ID)
        self._known = begin + len(MAGIC) + DESCRIPTOR_BYTES + extra
        """So far the frame is known to go."""

    @property
    def ended(self) -> bool:
        return self._marked and self._place == self._known

    def tell(self) -> int:
        return self._place

    def read(self, size: int) -> bytes:
        size = min(size, LARGEST_CHUNK_BYTES)
        while self._known < self._place + size and not self._marked and self._next_block():
            pass
        piece = self._data[self._place : min(self._place + size, self._known)]
        self._place += len(piece)
        release_read(self._data, self._place, len(piece))
        return piece

    def _next_block(self) -> bool:
        head = self._data[self._known : self._known + 4]
        if len(head) < 4:
            return False
        self._marked = head == bytes(4)
        checksum = CONTENT_CHECKSUM if self._marked else BLOCK_CHECKSUM
        size = int.from_bytes(head, "little") & ~STORED
        self._known += 4 + size + 4 * bool(self._flags & checksum)
        return True


class Lz4Frame(Frame):
    def __init__(self, data: mmap.mmap, begin: int) -> None:
        from fastwarc.stream_io import Lz4Reader

        super().__init__(data, begin)
        if begin + len(MAGIC) + DESCRIPTOR_BYTES > len(data):
            raise DamagedError(CUT)  # its first bytes are not even there
        self._packed = _OneFrame(data, begin)
        self._reader = Lz4Reader(cast("BinaryIO", self._packed))  # it reads and tells, no more
        self._over = False

    @property
    def end(self) -> int:
        return self._packed.tell()

    def pull(self, most: int = UNPACKED_CHUNK_BYTES) -> bytes | None:
        if self._over:
            return None
        try:
            piece: bytes = self._reader.read(most)
        except OSError as error:
            cut = self._packed.tell() >= len(self.data) and not self._packed.ended
            raise DamagedError(CUT if cut else f"damaged lz4 data ({error})") from None
        self.fed = self._packed.tell()
        if piece:
            return piece
        if not self._packed.ended:
            raise DamagedError(CUT)
        self._over = True
        return None


class Lz4(Codec):
    unit = "lz4 frame"
    magic = MAGIC
    openings = (MAGIC,)

    def open(self, data: mmap.mmap, position: int) -> Frame:
        return Lz4Frame(data, position)

    def pass_over(self, data: mmap.mmap, position: int) -> int:
        while is_skippable(data, position):
            position = end_of_skippable(data, position, MAGIC)
        return position
