"""Zstandard frames (RFC 8878), with the dictionary at the start of a `.warc.zst`.

Source: IIPC, Zstandard Compression for WARC Files 1.0: a record is one frame or several; the dictionary is a skippable
frame of magic 0x184D2A5D, and may be compressed itself. A later dictionary, as where two files were
joined, applies from there on.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

from glassmill.corpus.read.frames.codec import UNPACKED_CHUNK_BYTES, Codec, Frame
from glassmill.corpus.read.frames.skippable import HEAD_BYTES, end_of_skippable, is_skippable
from glassmill.corpus.read.mapped import find_from
from glassmill.errors import DamagedError

MAGIC = b"\x28\xb5\x2f\xfd"
DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
DICTIONARY = b"\x37\xa4\x30\xec"
MAX_DICTIONARY_BYTES = 32 << 20
MAX_WINDOW_LOG = 27
"""128 MB, what the command `zstd` takes too; the specification asks for 8."""


def zstd_module() -> Any:
    """The standard library's module from Python 3.14 on, and its backport before."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


class ZstdFrame(Frame):
    def __init__(self, data: mmap.mmap, begin: int, decoder: Any, error: type[Exception]) -> None:
        super().__init__(data, begin)
        self._decoder, self._error = decoder, error

    @property
    def end(self) -> int:
        return self.fed - len(self._decoder.unused_data)

    def pull(self, most: int = UNPACKED_CHUNK_BYTES) -> bytes | None:
        if self._decoder.eof:
            return None
        packed = self._feed() if self._decoder.needs_input else b""
        try:
            piece: bytes = self._decoder.decompress(packed, most)
        except self._error as error:
            raise DamagedError(f"damaged zstd data ({_reason(error)})") from None
        return piece


class Zstd(Codec):
    unit = "zstd frame"
    magic = MAGIC
    no_content = DICTIONARY
    openings = (MAGIC, DICTIONARY_FRAME)

    def __init__(self) -> None:
        self._zstd = zstd_module()
        self._options = {self._zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
        self._dictionary: Any = None

    def find(self, data: mmap.mmap, position: int) -> int:
        frame = find_from(data, MAGIC, position)
        dictionary = find_from(data, DICTIONARY_FRAME, position, frame if frame >= 0 else len(data))
        return dictionary if dictionary >= 0 else frame

    def open(self, data: mmap.mmap, position: int) -> Frame:
        decoder = self._zstd.ZstdDecompressor(zstd_dict=self._dictionary, options=self._options)
        return ZstdFrame(data, position, decoder, self._zstd.ZstdError)

    def pass_over(self, data: mmap.mmap, position: int) -> int:
        while is_skippable(data, position):
            if data[position : position + len(MAGIC)] == DICTIONARY_FRAME:
                position = self._take_dictionary(data, position)
            else:
                position = end_of_skippable(data, position, MAGIC)
        return position

    def _take_dictionary(self, data: mmap.mmap, position: int) -> int:
        """Loads it; a dictionary that loads ends where it says, whatever follows."""
        size = int.from_bytes(data[position + 4 : position + HEAD_BYTES], "little")
        try:
            self._dictionary = self._load(data[position + HEAD_BYTES : position + HEAD_BYTES + size])
        except (self._zstd.ZstdError, ValueError) as error:
            reason = f"damaged dictionary ({_reason(error)})"
            raise DamagedError(reason, end_of_skippable(data, position, MAGIC)) from None
        return position + HEAD_BYTES + size

    def _load(self, content: bytes) -> Any:
        if content.startswith(MAGIC):
            decoder = self._zstd.ZstdDecompressor(options=self._options)
            content = decoder.decompress(content, MAX_DICTIONARY_BYTES + 1)
            if not decoder.eof and len(content) <= MAX_DICTIONARY_BYTES:
                raise ValueError("it ends too early")
        if len(content) > MAX_DICTIONARY_BYTES:
            raise ValueError(f"more than {MAX_DICTIONARY_BYTES} bytes")
        dictionary = self._zstd.ZstdDict(content)
        self._zstd.ZstdDecompressor(zstd_dict=dictionary)  # here it is looked at
        return dictionary


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2].rstrip(".").lower()
