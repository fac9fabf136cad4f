"""Where the numbered files of a run lie: the one place that names shards, and the one that lists them.

In: numbers, kinds (`documents`, `dropped`), run folders. Out: paths. The first shards lie in `shards/` itself; the rest
in folders two levels deep, because file systems and people suffer from folders of a hundred thousand files:

    shards/documents-00249.parquet
    shards/000/001/documents-00250.parquet      then 250 shards a folder, 250 folders each

A shard of ids has four files, so no folder has more than a thousand files and a thousand folders, up to 62 million
shards. A shard's file name says which one it is, so a name is enough to find the file.
"""

from __future__ import annotations

import re
from pathlib import Path

SHARDS = "shards"
PER_FOLDER = 250
_NAME = re.compile(r"(\w+)-(\d{5,})\.(\w+)")


def folder_of(number: int) -> str:
    """The folder of the numbered file, relative, with a slash at its end; empty for the first ones.

    Example:
        >>> folder_of(249), folder_of(250), folder_of(62_500)
        ('', '000/001/', '001/000/')
    """
    outer, inner = divmod(number // PER_FOLDER, PER_FOLDER)
    return f"{outer:03d}/{inner:03d}/" if number >= PER_FOLDER else ""


def shard_name(kind: str, number: int, suffix: str = "parquet") -> str:
    """The path of a shard in its run: `shards/documents-00007.parquet`."""
    return f"{SHARDS}/{folder_of(number)}{kind}-{number:05d}.{suffix}"


def find_shards(run: Path, kind: str) -> list[Path]:
    """The Parquet shards of a run, in the order of their numbers: those of `documents`, or `dropped`."""
    found = (run / SHARDS).rglob(f"{kind}-*.parquet")
    return sorted(found, key=lambda path: (len(path.name), path.name, path))


def has_shards(run: Path, kind: str = "*") -> bool:
    """Whether a run has any Parquet shard of this kind."""
    return any((run / SHARDS).glob(f"{kind}-*.parquet"))  # the first ones are never deeper


def shard_called(run: Path, name: str) -> Path | None:
    """The shard of that file name, as `find_shards` lists it; None if the run has none."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    places = (run / SHARDS / name, run / shard_name(match[1], int(match[2]), match[3]))
    return next((path for path in places if path.is_file()), None)


def names_in(run: Path, shards: list[Path]) -> list[str]:
    """The paths of shards as the manifest of their run has them."""
    return [shard.relative_to(run).as_posix() for shard in shards]
