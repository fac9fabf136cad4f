"""An index of the training ids of a tokens run: where any sequence of ids stands in them, and how much of it stands
anywhere.

    build("runs/tokens/demo-3f9a1c")            # once; 3 bytes a token beside the 2 or 4 of the ids
    index = SuffixIndex("runs/tokens/demo-3f9a1c")
    index.longest(ids)                          # for each id, how many from it on stand somewhere
    index.count(ids), index.places(ids)

The index is a suffix array (Manber and Myers 1993) of every part of the text; infini-gram (Liu et al. 2024, arXiv
2401.17377) searches corpora so. A part is a piece of an id shard, cut between documents, of at most 2^24 ids; a longer
document is cut, and a sequence across that cut is found in its pieces. Sorting takes about 10 bytes of memory for each
id of a part, on every thread. The files lie in `suffixes/` in the run's folder and are no part of the run: they can be
deleted, and made again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from glassmill import native
from glassmill.errors import UserError
from glassmill.foreign_json import field, load_object
from glassmill.run.files import atomic_json, atomic_path, locked, sha256_file
from glassmill.run.finished import SUFFIXES, is_done, read_manifest
from glassmill.run.integrity import check
from glassmill.tokens import plain_suffixes
from glassmill.tokens.plain_suffixes import MOST_SUFFIXES, POSITION_BYTES, PlainSuffixes, unpacked
from glassmill.tokens.shards import Shards

VERSION = 1
FOLDER, POSITIONS, INDEX = SUFFIXES, "positions.bin", "index.json"
MOST_PLACES = 10_000
"""Places of one sequence that are looked at."""


class Part(NamedTuple):
    """A piece of a shard: its number, its first id there, and how many there are."""

    shard: int
    first: int
    ids: int


class Place(NamedTuple):
    """Where a sequence starts: the number of the shard, and the id in it."""

    shard: int
    first: int


def is_built(folder: Path) -> bool:
    """Whether a tokens run has its index."""
    return (folder / FOLDER / INDEX).is_file()


def build(folder: str | Path, threads: int = 0, tell: Callable[[int, int], object] = lambda done, total: None) -> None:
    """Makes the index of a tokens run, if there is none.

    Args:
        folder: The run.
        threads: How many parts are sorted at once; 0: as many as there are processors.
        tell: Hears how many ids are sorted, of how many.

    Raises:
        UserError: not a finished tokens run, or damaged; or another process is at it, the disk is full, or the folder
            cannot be written.
    """
    folder = Path(folder)
    shards = Shards(folder)
    _check_finished(folder)
    try:
        with locked(folder / f"{FOLDER}.lock", "glassmill trace"):
            if is_built(folder):
                return
            with atomic_path(folder / FOLDER) as temporary:
                temporary.mkdir(parents=True)
                _write_positions(shards, temporary / POSITIONS, threads or os.cpu_count() or 1, tell)
                sums = {"version": VERSION, "content": read_manifest(folder)["content"]}
                atomic_json(temporary / INDEX, {**sums, "sha256": sha256_file(temporary / POSITIONS)})
    except PermissionError as error:
        raise UserError(f"the index of {folder} cannot be written: {error.strerror}; copy the run") from None


class SuffixIndex:
    """The index of a tokens run.

    Attributes:
        shards: The training ids.
        tokens: How many there are.

    Raises:
        UserError: there is no index, the run or the index is damaged, or it has too many files.
    """

    def __init__(self, folder: str | Path, threads: int = 1) -> None:
        folder = Path(folder)
        self.shards = Shards(folder)
        self.tokens = len(self.shards)
        _check_finished(folder)
        positions = _read_positions(folder, self.tokens)
        self._parts = list(_parts(self.shards))
        ends = list(accumulate(part.ids for part in self._parts))
        self._positions = [
            positions[POSITION_BYTES * (end - part.ids) : POSITION_BYTES * end]
            for part, end in zip(self._parts, ends, strict=True)
        ]
        try:
            texts = [_ids(self.shards, part) for part in self._parts]
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            raise UserError(
                f"{folder} has {len(self.shards.entries):,} id shards, more than this process may open at once; allow "
                "more, as in: ulimit -n 8192"
            ) from None
        pairs = list(zip(texts, self._positions, strict=True))
        self._suffixes = native._core.Suffixes(pairs, threads) if native.available() else PlainSuffixes(pairs)

    def longest(self, query: ArrayLike) -> np.ndarray:
        """For each id of the query, how many ids from it on stand somewhere, `(m,)` uint64."""
        return self._suffixes.longest(query)

    def count(self, query: ArrayLike) -> int:
        """How often the query stands in the training ids."""
        ranges = self._suffixes.find(query).reshape(-1, 2).astype(np.int64)
        return int((ranges[:, 1] - ranges[:, 0]).sum())

    def places(self, query: ArrayLike, most: int = MOST_PLACES) -> list[Place]:
        """Where it stands, in the order of the text; of more than `most` places, those of the first parts."""
        found: list[Place] = []
        ranges = self._suffixes.find(query).reshape(-1, 2).tolist()
        for part, positions, (first, last) in zip(self._parts, self._positions, ranges, strict=True):
            last = min(last, first + most - len(found))
            here = unpacked(np.asarray(positions[POSITION_BYTES * first : POSITION_BYTES * last]))
            found += [Place(part.shard, part.first + position) for position in np.sort(here).tolist()]
        return found


def sorted_suffixes(ids: np.ndarray, alphabet: int) -> np.ndarray:
    """The positions of the suffixes of a part, in order, `(3n,)` uint8."""
    if not native.available():
        return plain_suffixes.sort_suffixes(ids)
    return native._core.sort_suffixes(ids, alphabet).view(np.uint8)[: POSITION_BYTES * len(ids)]


def _parts(shards: Shards) -> Iterator[Part]:
    for number, entry in enumerate(shards.entries):
        firsts, start, total = shards.documents_of(number)[:, 0], 0, entry["tokens"]
        while start < total:
            end = start + MOST_SUFFIXES
            if end < total:
                border = int(firsts[np.searchsorted(firsts, end, "right") - 1])
                end = border if border > start else end
            yield Part(number, start, min(end, total) - start)
            start = end


def _ids(shards: Shards, part: Part) -> np.ndarray:
    return shards.shard(part.shard)[part.first : part.first + part.ids]


def _write_positions(shards: Shards, path: Path, threads: int, tell: Callable[[int, int], object]) -> None:
    parts = list(_parts(shards))
    ends = list(accumulate(part.ids for part in parts))
    with path.open("wb") as file:
        file.truncate(POSITION_BYTES * len(shards))

    def sort(part: Part, end: int) -> int:
        positions = sorted_suffixes(_ids(shards, part), shards.vocab_size)
        with path.open("rb+") as file:
            file.seek(POSITION_BYTES * (end - part.ids))
            file.write(positions.data)
        return part.ids

    done = 0
    with ThreadPoolExecutor(threads, "glassmill-suffixes") as pool:
        for ids in pool.map(sort, parts, ends):
            done += ids
            tell(done, len(shards))


def _read_positions(folder: Path, tokens: int) -> np.ndarray:
    path = folder / FOLDER / INDEX
    if not path.is_file():
        raise UserError(f"{folder} has no index; `glassmill trace {folder} --build` makes it")
    index, again = load_object(path), f"delete {folder / FOLDER}, and it is made again"
    version = field(index, "version", int, what=str(path))
    content = field(index, "content", str, what=str(path))
    if version != VERSION or content != read_manifest(folder)["content"]:
        raise UserError(f"{path} is of another version of glassmill or of other ids; {again}")
    check(folder / FOLDER, {POSITIONS: field(index, "sha256", str, what=str(path))}, again)
    if (path.parent / POSITIONS).stat().st_size != POSITION_BYTES * tokens:
        raise UserError(f"{path.parent / POSITIONS} is not the index of {tokens:,} ids; {again}")
    if tokens == 0:
        return np.zeros(0, dtype=np.uint8)
    return np.memmap(path.parent / POSITIONS, dtype=np.uint8, mode="r")


def _check_finished(folder: Path) -> None:
    if not is_done(folder):
        raise UserError(f"{folder} is not finished; run its stage first")
