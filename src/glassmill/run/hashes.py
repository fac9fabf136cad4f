"""SHA-256 of files, hashed once a machine and remembered, several at a time.

A file that was hashed is not hashed again while its size, times and inode stay (`hashes.sqlite` in the cache folder),
so looking twice costs one `stat` a file. As in git's index, a file changed in the last two seconds is never
remembered: another change within one tick of the clock would go unseen.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from glassmill.run.files import cache_folder, remove, sha256_file

SETTLED_NS = 2_000_000_000
MAX_REMEMBERED = 2_000_000
ROWS_AT_ONCE = 500
LOCKED_S = 5.0
"""Another process may be writing; after that, what was hashed is not remembered."""
TABLE = (
    "CREATE TABLE IF NOT EXISTS hashes "
    "(path BLOB PRIMARY KEY, size INTEGER, modified INTEGER, changed INTEGER, inode TEXT, sha256 TEXT)"
)

T = TypeVar("T")
Stamp = tuple[int, int, int, str]
"""Size, modification and change time in ns, inode."""
Told = Callable[[int, int], None]
"""Called with the bytes hashed so far, and all that are to be."""


def stamp_of(path: Path | str) -> Stamp | None:
    """What changes when a file does; None if there is no regular file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a path is made in longer than a stamp
    except OSError:
        return None
    ours = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, str(status.st_ino))
    return ours if stat.S_ISREG(status.st_mode) else None


def hash_files(paths: Sequence[Path | str], again: bool = False, told: Told | None = None) -> list[str | None]:
    """The digest of each file; None for one that cannot be read.

    Args:
        again: Hash every file, whatever is remembered.
        told: Hears how far it is, where anything has to be hashed.
    """
    stamps = {path: stamp_of(path) for path in paths}
    known = {} if again else _remembered(stamps)
    unknown = [path for path in stamps if path not in known]
    sizes = [stamp[0] if (stamp := stamps[path]) else 0 for path in unknown]
    done, total, new = 0, sum(sizes), dict[Path | str, str]()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing leaves Python's lock to the others
        for path, size, digest in zip(unknown, sizes, pool.map(_hashed, map(Path, unknown)), strict=True):
            done += size
            if told:
                told(done, total)
            if digest is not None:
                new[path] = digest
    _remember({path: digest for path, digest in new.items() if _settled(path, stamps[path])}, stamps)
    known |= new
    return [known.get(path) for path in paths]


def _hashed(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None


def _settled(path: Path | str, stamp: Stamp | None) -> bool:
    """Whether the file has not changed since before it was hashed, nor just before that."""
    if stamp is None or max(stamp[1], stamp[2]) >= time.time_ns() - SETTLED_NS:
        return False
    return stamp_of(path) == stamp


# --- the store --------------------------------------------------------------------------------------------------------


def _remembered(stamps: Mapping[Path | str, Stamp | None]) -> dict[Path | str, str]:
    keys = {path: key for path, key in zip(stamps, _keys(stamps), strict=True) if stamps[path]}

    def read(store: sqlite3.Connection) -> dict[bytes, tuple[Stamp, str]]:
        found: dict[bytes, tuple[Stamp, str]] = {}
        wanted = iter(keys.values())
        while some := list(islice(wanted, ROWS_AT_ONCE)):  # one at a time takes four times as long
            places = ",".join("?" * len(some))
            rows = store.execute(f"SELECT * FROM hashes WHERE path IN ({places})", some)
            found |= {row[0]: (row[1:5], row[5]) for row in rows if isinstance(row[5], str)}
        return found

    nothing = None, ""
    known = _in_store(read) or {}
    hits = ((path, known.get(key, nothing)) for path, key in keys.items())
    return {path: digest for path, (stamp, digest) in hits if stamp == stamps[path]}


def _remember(digests: Mapping[Path | str, str], stamps: Mapping[Path | str, Stamp | None]) -> None:
    rows = [(key, *(stamps[path] or ()), digests[path]) for path, key in zip(digests, _keys(digests), strict=True)]

    def write(store: sqlite3.Connection) -> None:
        with store:
            store.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)", rows)
            oldest = "rowid <= (SELECT max(rowid) FROM hashes) - ?"  # a row that is written again is a new one
            store.execute(f"DELETE FROM hashes WHERE {oldest}", (MAX_REMEMBERED,))

    if rows:
        _in_store(write)


def _keys(paths: Iterable[Path | str]) -> list[bytes]:
    here = str(Path.cwd())
    return [os.fsencode(os.path.join(here, path)) for path in paths]  # noqa: PTH118


def _in_store(does: Callable[[sqlite3.Connection], T]) -> T | None:
    """What `does` returns; None where the cache cannot be used, which costs time and nothing else."""
    path = cache_folder() / "hashes.sqlite"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=LOCKED_S)) as store:
            store.execute(TABLE)
            return does(store)
    except sqlite3.OperationalError:  # locked by another process, or not to be written
        return None
    except sqlite3.DatabaseError:  # damaged: begun anew
        with contextlib.suppress(OSError):
            remove(path)
    except OSError:
        return None
    return None
