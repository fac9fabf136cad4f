"""A file of a store at hand for readers of local files: a copy on disk, whole or filled as it is read.

A whole file is copied under its name to the temporary folder and deleted after use. Of a range, the bytes that are
looked at are fetched into a file without a name, as large as the whole and empty elsewhere: memory holds one request.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from glassmill.errors import FULL_DISK, UserError
from glassmill.run.files import is_held, locked, remove
from glassmill.run.stores.stored import RangeReader, StoredFile

BLOCK_BYTES = 1 << 20
AHEAD_BLOCKS = 8
"""Fetched at once where a reader goes straight on."""
COPY_BYTES = 8 << 20
LEFT_S = 60.0
"""A folder of copies so old that nobody holds was left by a killed process."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,100}")
_PLAIN_SUFFIXES = re.compile(r"(?:\.[A-Za-z0-9]{1,10}){0,2}$")


class Spooled:
    """A file that fetches what is read of it. Like a path, it has a name and a size and can be opened; and mapped.

    Args:
        file: The file in its store.
        end: Nobody will read far beyond this.
    """

    def __init__(self, file: StoredFile, end: int) -> None:
        self.file, self.name = file, file.name
        self._disk = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._disk.truncate(file.size)
        self._last = -(-min(end, file.size) // BLOCK_BYTES)
        self._have: set[int] = set()

    def close(self) -> None:
        self._disk.close()

    def stat(self) -> os.stat_result:
        return os.fstat(self._disk.fileno())

    def open(self, mode: str = "rb") -> BinaryIO:
        assert mode == "rb"
        return cast("BinaryIO", io.BufferedReader(RangeReader(self.file.size, self.read_range), BLOCK_BYTES))

    def map(self) -> SpooledMap:
        """The file, mapped; only for files that are not empty."""
        mapped = SpooledMap(self._disk.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.spooled = self
        return mapped

    def load(self, begin: int, end: int) -> None:
        """Makes sure that these bytes are on disk."""
        number, behind = begin // BLOCK_BYTES, -(-min(end, self.file.size) // BLOCK_BYTES)
        while number < behind:
            if number not in self._have:
                self._fetch(number, max(behind, self._ahead(number)))
            number += 1

    def read_range(self, begin: int, end: int) -> bytes:
        """The bytes from `begin` to before `end`."""
        self.load(begin, end)
        return os.pread(self._disk.fileno(), max(0, end - begin), begin)

    def _ahead(self, number: int) -> int:
        return min(number + AHEAD_BLOCKS, self._last) if number - 1 in self._have else number + 1

    def _fetch(self, number: int, behind: int) -> None:
        behind = min(behind, number + AHEAD_BLOCKS)
        behind = next((one for one in range(number + 1, behind) if one in self._have), behind)
        data = self.file.read_range(number * BLOCK_BYTES, min(behind * BLOCK_BYTES, self.file.size))
        place = number * BLOCK_BYTES
        with _telling_of_full_disks():
            while data:  # a write may be short
                written = os.pwrite(self._disk.fileno(), data, place)
                data, place = data[written:], place + written
        self._have.update(range(number, behind))


class SpooledMap(mmap.mmap):
    """The map of a `Spooled`. Slices and `find` fetch what they look at; who gives the map to others calls `load`."""

    spooled: Spooled

    def load(self, begin: int, end: int) -> None:
        """Makes sure that these bytes can be read."""
        self.spooled.load(begin, end)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            begin, end, _ = place.indices(len(self))
            self.load(begin, end)
        else:
            begin = range(len(self))[place]
            self.load(begin, begin + 1)
        return super().__getitem__(place)

    def find(self, wanted: Any, begin: Any = 0, end: Any = None) -> int:
        end = len(self) if end is None else end
        self.load(begin, end)
        return super().find(wanted, begin, end)

    def rfind(self, wanted: Any, begin: Any = 0, end: Any = None) -> int:
        end = len(self) if end is None else end
        self.load(begin, end)
        return super().rfind(wanted, begin, end)


@contextmanager
def spooled(file: StoredFile, end: int) -> Iterator[Spooled]:
    """A file that is filled as it is read, until the block ends."""
    here = Spooled(file, end)
    try:
        yield here
    finally:
        here.close()


@contextmanager
def copied(file: StoredFile) -> Iterator[Path]:
    """A copy of the whole file, under its name as far as a disk takes it, until the block ends."""
    root = Path(tempfile.gettempdir()) / f"glassmill-inputs-{os.getuid() if hasattr(os, 'getuid') else 'all'}"
    root.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and (root.is_symlink() or root.stat().st_uid != os.getuid()):
        raise UserError(f"{root} belongs to somebody else; name another folder with TMPDIR")
    _clean(root)
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        with locked(folder / "lock", "process"):
            (folder / "file").mkdir()
            path = folder / "file" / (file.name if _PLAIN.fullmatch(file.name) else f"file{_suffixes(file.name)}")
            with _telling_of_full_disks(), path.open("wb") as out:
                for begin in range(0, file.size, COPY_BYTES):
                    out.write(file.read_range(begin, min(file.size, begin + COPY_BYTES)))
            yield path
    finally:
        remove(folder)


@contextmanager
def _telling_of_full_disks() -> Iterator[None]:
    """A full disk is not taken for a damaged file by those who read the copy."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise UserError(f"no space left in {tempfile.gettempdir()}; name another folder with TMPDIR") from None
        raise


def _suffixes(name: str) -> str:
    found = _PLAIN_SUFFIXES.search(name)
    return found[0] if found else ""


def _clean(root: Path) -> None:
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFT_S and not is_held(folder / "lock"):
                remove(folder)
