"""A file in a store as the rest of the house sees it: something with a name and a size that can be opened.

Its identity is its size and the store's tag of it, so nothing is read only to be hashed. Bytes that are read are the
file's of that tag: after each request it is asked again whether the tag has stayed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from glassmill.errors import UserError
from glassmill.printable import shown
from glassmill.run.stores.address import PUBLISHED, UPLOADING, is_address, parts_of, scheme_of
from glassmill.run.stores.client import Entry, entries_under, entry_at, read_range

BUFFER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a store, as it was when it was listed."""

    address: str
    size: int
    etag: str

    @property
    def name(self) -> str:
        return self.parts[-1]

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def parts(self) -> tuple[str, ...]:
        return parts_of(self.address)

    @property
    def content(self) -> str:
        """What stands for its bytes in a run's identity."""
        return f"etag {self.etag}, {self.size} bytes"

    def __str__(self) -> str:
        return self.address

    def open(self, mode: str = "rb", buffering: int = BUFFER_BYTES) -> BinaryIO:
        """The file for reading, `buffering` bytes a request."""
        assert mode == "rb"
        return cast("BinaryIO", io.BufferedReader(RangeReader(self.size, self.read_range), buffering))

    def read_range(self, begin: int, end: int) -> bytes:
        """Bytes of the file as it was listed.

        Raises:
            UserError: they cannot be read, or the file is another one now.
        """
        data = read_range(self.address, begin, end)
        now = entry_at(self.address)
        if now is None or (now.size, now.etag) != (self.size, self.etag):
            how = "is gone" if now is None else "was changed"
            raise UserError(f"{shown(self.address)} {how} since it was listed; run the same command again")
        return data


InputPath = Path | StoredFile
Place = str | StoredFile
"""Where a file is: its path on this machine in one string, or itself in a store."""


def path_of(place: Place) -> InputPath:
    return Path(place) if isinstance(place, str) else place


def place_of(path: InputPath) -> Place:
    return str(path) if isinstance(path, Path) else path


def stored_files(word: str) -> dict[Place, str]:
    """The files that an address names: itself, those under it, or those of a glob; see `run.inputs`. In a prefix,
    hidden files and folders are left out.

    Raises:
        UserError: it names none, or a pushed run, whose dropped documents lie beside the others; or the store cannot be
            asked.
    """
    scheme_of(word)
    entry = None if word.endswith("/") else entry_at(word)
    entries = [entry] if entry else entries_under(word)
    depth = len(parts_of(word)) if not entry else 0
    seen = [one for one in entries if not any(part.startswith(".") for part in parts_of(one.address)[depth:])]
    if not seen:
        raise UserError(f"input {shown(word)!r} names no file in the store; check bucket and prefix")
    places = (one.address.rpartition("/") for one in seen)
    if run := next((place for place, _, name in places if name in (PUBLISHED, UPLOADING)), None):
        raise UserError(f"input {shown(word)!r} holds a pushed run; `glassmill pull {shown(run)}`, and name its folder")
    return {_listed(one): "" for one in seen}


def size_of(path: InputPath) -> int:
    """Bytes of a file, wherever it lies."""
    return path.size if isinstance(path, StoredFile) else path.stat().st_size


def words_of(path: InputPath) -> str | list[object]:
    """A file as JSON carries it to a worker; see `of_words`."""
    return [path.address, path.size, path.etag] if isinstance(path, StoredFile) else str(path)


def of_words(words: object) -> InputPath:
    """The file that `words_of` wrote."""
    if isinstance(words, list):
        address, size, etag = words
        return StoredFile(str(address), int(size), str(etag))
    return Path(str(words))


def is_same(address: str, content: str) -> bool | None:
    """Whether the file at an address is still the one with that `content`; None if there is none."""
    if not is_address(address) or (entry := entry_at(address)) is None:
        return None
    return _listed(entry).content == content


def _listed(entry: Entry) -> StoredFile:
    if not entry.etag:
        raise UserError(f"{shown(entry.address)}: the store tells no ETag, so a change would go unseen; copy the file")
    return StoredFile(*entry)


class RangeReader(io.RawIOBase):
    """A file over `read`, which gives the bytes from one place to before another."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._size, self._read, self._place = size, read, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        self._place = max(0, place + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def readall(self) -> bytes:
        pieces = []
        while self._place < self._size:
            pieces.append(self._read(self._place, min(self._size, self._place + BUFFER_BYTES)))
            self._place += len(pieces[-1])
        return b"".join(pieces)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._read(self._place, min(self._size, self._place + len(buffer)))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
