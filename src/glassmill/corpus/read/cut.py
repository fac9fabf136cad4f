"""Input files to shards, by bytes: small files share one, and large ones that can be read from the middle are cut.

In: sources with their sizes. Out: the sources of every shard, each a whole file or a range of one. The cut depends on
the order of the files and their sizes alone, never on machines or workers.

Where in a compressed file a record starts is only known to those who read up to there. So a range begins where a record
seems to start, and its reader says where it began and ended; `misread` compares each end with the next beginning. Where
the two differ (a page that is an archive itself, stored as it is; one frame for the whole file; damage), that range is
read again from where the one before it ended. So the shards of a file hold what it gives read from its beginning.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from glassmill.corpus.read.files.kinds import CONTAINERS, SAMPLE, WARC, is_text, kind_of
from glassmill.run.stores.stored import InputPath, of_words, words_of
from glassmill.textfiles import SAMPLE_BYTES, encoding_shown_by

FILES_PER_SHARD = 500
SHARDS_WANTED = 16
LEAST_BYTES = 1 << 20
"""A small corpus is cut into about `SHARDS_WANTED` shards, to keep the cores busy, but no smaller than this."""
DIVISIBLE = frozenset({WARC, "parquet", "jsonl"})
"""Kinds of files that can be read from the middle; archives cannot."""
END = sys.maxsize
CHUNK_BYTES = 1 << 24


@dataclass(slots=True)
class Range:
    """The records of a file that start from `begin` on and before `end`.

    Attributes:
        known: A record does start at `begin`; otherwise the first one from there on is looked for.
        row: Lines of the file before `begin`, where that must be known: the number of a row of JSONL is in its URL.
        first: Filled by the reader: where the first record of the range starts; None if there is none.
        stop: Filled by the reader at its end: where the first record behind the range starts.
    """

    begin: int = 0
    end: int = END
    known: bool = True
    row: int = 0
    first: int | None = None
    stop: int | None = None


Found = tuple[int | None, int | None]
"""`first` and `stop` of a range that was read."""


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, the name it goes by in the corpus, its size in bytes, and why it must not be read, if so.

    `begin`, `end`, `known`, `row`: see `Range`.
    """

    path: InputPath
    name: str
    size: int
    refused: str = ""
    begin: int = 0
    end: int = END
    known: bool = True
    row: int = 0

    @property
    def is_archive(self) -> bool:
        return not self.refused and kind_of(self.path) in CONTAINERS

    @property
    def is_whole(self) -> bool:
        return self.begin == 0 and self.end == END

    def range(self) -> Range | None:
        """What is read of the file; None for all of it."""
        return None if self.is_whole else Range(self.begin, self.end, self.known, self.row)

    @property
    def bytes(self) -> int:
        """Of the file, or of the range."""
        return self.size if self.is_whole else min(self.size, self.end) - self.begin

    def as_input(self) -> list[object]:
        """What a task carries of it; see `of_input`."""
        whole: list[object] = [words_of(self.path), self.name, self.refused]
        return whole if self.is_whole else [*whole, self.begin, self.end, self.known, self.row]


def of_input(given: Sequence[object]) -> Source:
    """The source that a task carries; its size is not known there."""
    path, name, *rest = given
    return Source(of_words(path), str(name), 0, *rest)  # type: ignore[arg-type]  # as `as_input` wrote it


def cut(sources: Sequence[Source], shard_bytes: int, divide: bool = True) -> list[list[Source]]:
    """The sources by shard, in their order.

    Args:
        sources: Whole files.
        shard_bytes: About so many bytes of input make a shard.
        divide: Large files are cut; else they are a shard of their own.
    """
    total = sum(source.size for source in sources)
    most = min(shard_bytes, max(LEAST_BYTES, -(-total // SHARDS_WANTED)))
    return list(_shards(sources, most, divide))


def _shards(sources: Sequence[Source], most: int, divide: bool) -> Iterator[list[Source]]:
    gathered: list[Source] = []
    held = 0
    for source in sources:
        if gathered and (held + source.size > most or len(gathered) >= FILES_PER_SHARD):
            yield gathered
            gathered, held = [], 0
        if source.size > most and divide and not source.refused and (pieces := _pieces(source, most)):
            yield from ([piece] for piece in pieces)
        else:
            gathered.append(source)
            held += source.size
    if gathered:
        yield gathered


def _pieces(source: Source, most: int) -> list[Source]:
    """The ranges of a file; none if it cannot be cut."""
    kind, count = kind_of(source.path), -(-source.size // most)
    if kind not in DIVISIBLE:
        return []
    begins = [number * source.size // count for number in range(count)]
    if kind == "jsonl":
        lines = _lines_at(source.path, begins)
        ends = [*(begin for begin, _ in lines[1:]), END][: len(lines)]
        return [replace(source, begin=begin, end=end, row=row) for (begin, row), end in zip(lines, ends, strict=True)]
    ends = [*begins[1:], END]
    return [replace(source, begin=begin, end=end, known=begin == 0) for begin, end in zip(begins, ends, strict=True)]


def _lines_at(path: InputPath, places: Sequence[int]) -> list[tuple[int, int]]:
    """The first line that starts at or behind each place, and the lines before it; each line once. Nothing for a file
    that is packed, no text, or not in UTF-8."""
    with path.open("rb") as file:
        start = file.read(SAMPLE)
        shown = encoding_shown_by(start[:SAMPLE_BYTES]) or (0, "utf-8")
        if start.startswith(b"\x1f\x8b") or not is_text(start) or shown[1] != "utf-8":
            return []
        found, place, lines = [(0, 0)], 0, 0
        file.seek(0)
        for wanted in places[1:]:
            while place < wanted - 1 and (chunk := file.read(min(CHUNK_BYTES, wanted - 1 - place))):
                lines += chunk.count(b"\n")
                place += len(chunk)
            while (rest := file.readline(CHUNK_BYTES)) and not rest.endswith(b"\n"):  # a line may be of any length
                place += len(rest)
            place += len(rest)
            lines += rest.endswith(b"\n")
            if rest and place > found[-1][0]:
                found.append((place, lines))
        return found


def misread(shards: Sequence[Sequence[Source]], found: Sequence[Found]) -> dict[int, Source]:
    """The shards that began elsewhere than where the range before them ended, and what to read instead.

    At most one a file: whether those behind it are right shows only when it has been read again.

    Args:
        shards: As `cut` gave them, or with what this function gave.
        found: What the reader of each shard's range found; of whole files it does not matter.
    """
    wrong: dict[int, Source] = {}
    behind: int | None = None  # not known of a table, which says itself where its rows are
    for number, (shard, (first, stop)) in enumerate(zip(shards, found, strict=True)):
        source = shard[0]
        if source.is_whole or source.path in {one.path for one in wrong.values()}:
            continue
        if source.begin == 0:
            behind = stop
        elif behind is not None and first != (behind if behind < min(source.end, source.size) else None):
            wrong[number] = replace(source, begin=behind, known=True)
        elif first is not None or behind is None:
            behind = stop
    return wrong
