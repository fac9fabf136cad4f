"""Pairs of documents on disk, of which a task reads those of one range of documents, a bounded number at a time.

A file of pairs is two: `<side>.bin`, rows (larger number, smaller number) in blocks, each sorted by one side and
without repetitions; `<side>.npy`, shape `(blocks, ranges + 1)`: the rows at which each range of that side begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from glassmill.corpus.dedup.rows import Numbers, Ranges, Task

Side = Literal["larger", "smaller"]


def folder_of_pairs(task: Task, column: int, place: int) -> Path:
    """Where the pairs are that share a key of one column, in one range of keys."""
    return Path(task["folder"]) / f"pairs-{column:02d}" / f"{place:05d}"


class PairWriter:
    """A file of pairs that grows, sorted by one side. `written` makes it."""

    def __init__(self, file: BinaryIO, side: Side, ranges: Ranges) -> None:
        self._file, self._side, self._ranges = file, side, ranges
        self._places: list[np.ndarray] = []
        self._rows = 0

    def add(self, larger: Numbers, smaller: Numbers) -> None:
        """Writes one block; everything is in memory at once."""
        if not len(larger):
            return
        first, second = (larger, smaller) if self._side == "larger" else (smaller, larger)
        order = np.lexsort((second, first))
        first, second = first[order], second[order]
        new = np.concatenate([[True], (first[1:] != first[:-1]) | (second[1:] != second[:-1])])
        first, second = first[new], second[new]
        self._places.append(self._rows + np.searchsorted(first, self._ranges.bounds))
        self._rows += len(first)
        pairs = (first, second) if self._side == "larger" else (second, first)
        self._file.write(np.stack(pairs, axis=1).astype(self._ranges.kind).tobytes())

    @property
    def places(self) -> np.ndarray:
        """Of every block, where its ranges begin."""
        return np.array(self._places, np.int64).reshape(-1, len(self._ranges) + 1)


@contextmanager
def written(folder: Path, side: Side, ranges: Ranges) -> Iterator[PairWriter]:
    """A new file of pairs in `folder`, whole when the block ends."""
    with (folder / f"{side}.bin").open("wb") as file:
        writer = PairWriter(file, side, ranges)
        yield writer
    np.save(folder / f"{side}.npy", writer.places, allow_pickle=False)


def read_pairs(folders: Sequence[Path], side: Side, ranges: Ranges, place: int, at_once: int) -> Iterator[np.ndarray]:
    """The pairs of which one side lies in range `place`, shape `(up to at_once, 2)`, columns larger and smaller."""
    some: list[np.ndarray] = []
    room = at_once
    for folder in folders:
        places = np.load(folder / f"{side}.npy", allow_pickle=False)[:, place : place + 2]
        with (folder / f"{side}.bin").open("rb") as file:
            for begin, end in places[places[:, 0] < places[:, 1]].tolist():
                file.seek(begin * 2 * ranges.kind().itemsize)
                while begin < end:
                    take = min(end - begin, room)
                    some.append(np.fromfile(file, ranges.kind, 2 * take).reshape(-1, 2))
                    begin, room = begin + take, room - take
                    if not room:
                        yield np.concatenate(some)
                        some, room = [], at_once
    if some:
        yield np.concatenate(some)
