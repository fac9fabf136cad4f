"""Gzip members (RFC 1952), as Common Crawl and most crawlers write them."""

from __future__ import annotations

import mmap
import re

from isal import isal_zlib  # zlib's interface at twice its speed

from glassmill.corpus.read.frames.codec import UNPACKED_CHUNK_BYTES, Codec, Frame
from glassmill.corpus.read.mapped import search_from
from glassmill.errors import DamagedError

MAGIC = b"\x1f\x8b\x08"
WINDOW = 31
LARGEST_FLAGS = 0x1F
HEADER_BYTES = 10

_HEADER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{5}[\x00-\x0d\xff]", re.DOTALL)
"""Magic, flags, time, level, and one of the operating systems that the standard names (2.3.1)."""
_ERROR_NUMBER = re.compile(r"^Error -?\d+ ")


class GzipMember(Frame):
    def __init__(self, data: mmap.mmap, begin: int) -> None:
        super().__init__(data, begin)
        self._inflate = isal_zlib.decompressobj(WINDOW)

    @property
    def end(self) -> int:
        return self.fed - len(self._inflate.unused_data)

    def pull(self, most: int = UNPACKED_CHUNK_BYTES) -> bytes | None:
        if self._inflate.eof:
            return None
        packed = self._inflate.unconsumed_tail or self._feed()
        try:
            return self._inflate.decompress(packed, most)
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub takes the class for a value
            raise DamagedError(f"damaged gzip data ({_ERROR_NUMBER.sub('', str(error)).lower()})") from None


class Gzip(Codec):
    unit = "gzip member"
    magic = MAGIC
    openings = (MAGIC,)

    def find(self, data: mmap.mmap, position: int) -> int:
        match = search_from(_HEADER, HEADER_BYTES, data, position)
        return match.start() if match else -1

    def open(self, data: mmap.mmap, position: int) -> Frame:
        if data[position + 3 : position + 4] > bytes([LARGEST_FLAGS]):  # reserved flags (2.3.1.2); isal lets them pass
            raise DamagedError("damaged gzip data (unknown header flags)")
        return GzipMember(data, position)
