"""What readers of files pass to each other: where a file lies, and what bounds its reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.cut import Range
from glassmill.recipe import FilesSettings

MAX_CAUSE = 300

Items = Iterator[Page | Lost]


@dataclass(frozen=True, slots=True)
class Place:
    """What a file is called in the corpus, the user's file that it lies in, the offset there, and how deep."""

    name: str
    source: str
    offset: int = 0
    depth: int = 0

    def inside(self, name: str, offset: int) -> Place:
        """The place of a file in this one."""
        return replace(self, name=f"{self.name}/{name}", offset=offset, depth=self.depth + 1)

    def lost(self, cause: str) -> Lost:
        return Lost(self.offset, " ".join(cause.split())[:MAX_CAUSE], self.name)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits, and the function that reads a file of any kind.

    `max_bytes`: of an HTML page, a row or a letter; other documents may have any size. `part`: the records or rows that
    are read of a file that can be cut.
    """

    files: FilesSettings
    max_bytes: int
    read: Callable[[Path, str, Place, Bounds], Items]
    part: Range | None = None
