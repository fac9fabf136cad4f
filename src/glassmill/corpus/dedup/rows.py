"""What the tasks of the search for duplicates share: rows of keys on disk, ranges of documents, what a task is told.

Files of keys are `.npy`, one document a row, column after column: its id, the whole text's key, the bands' keys.
Documents are numbered in the order of the input, those of earlier corpora first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.unsignedinteger]
"""Documents: 4 bytes each below 2^32, else 8."""

Map = Callable[[str, Sequence[Mapping[str, object]]], Sequence[Mapping[str, Any]]]
"""Runs a task function, by its name, on tasks; returns what it returned for each."""
Cut = tuple[str, int, int]
"""A file of keys, and the first row and the one behind the last."""


class Task(TypedDict):
    """What all tasks need.

    folder: of the intermediate files. columns: of keys, without the id. ranges: of keys. count: documents in all.
    per_run: documents of one run, which is also one range of documents. pairs_at_once: what is worked on at a time.
    """

    folder: str
    columns: int
    ranges: int
    count: int
    per_run: int
    pairs_at_once: int


class RunTask(Task):
    """One `run` of documents, and where their keys are."""

    run: int
    sources: Sequence[Cut]


@dataclass(frozen=True)
class Rows:
    """Some rows of a file of keys."""

    path: Path
    begin: int
    end: int


@dataclass(frozen=True)
class Ranges:
    """The documents 0 to `count` - 1 in consecutive ranges of `size`; the last may be shorter."""

    count: int
    size: int

    @classmethod
    def of(cls, task: Task) -> Ranges:
        """The ranges of a search: its runs."""
        return cls(task["count"], task["per_run"])

    def __len__(self) -> int:
        return max(1, -(-self.count // self.size))

    @property
    def kind(self) -> type[np.unsignedinteger]:
        """The type of a document's number."""
        return np.uint32 if self.count < 2**32 else np.uint64

    @property
    def bounds(self) -> Numbers:
        """Where each range begins and, last, where all end."""
        begins = [min(place * self.size, self.count) for place in range(len(self) + 1)]
        return np.array(begins, self.kind)

    def span(self, place: int) -> tuple[int, int]:
        """The first document of a range, and the one behind its last."""
        return min(place * self.size, self.count), min((place + 1) * self.size, self.count)


def rows_of(sources: Sequence[Cut]) -> list[Rows]:
    """The rows behind a task's cuts."""
    return [Rows(Path(path), begin, end) for path, begin, end in sources]


def read_column(sources: Sequence[Rows], column: int) -> Keys:
    """One column of all rows."""
    return np.concatenate([_read(rows, column) for rows in sources]) if sources else np.zeros(0, np.uint64)


def _read(rows: Rows, column: int) -> Keys:
    """One column of some rows, read without mapping the file: mapped pages would count as this process's memory."""
    with rows.path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        assert version == (1, 0), version
        (length, _), fortran_order, kind = np.lib.format.read_array_header_1_0(file)
        assert (fortran_order or length <= 1) and kind == np.uint64, rows.path  # of one row, both orders are the same
        file.seek((column * length + rows.begin) * 8, 1)
        return np.fromfile(file, np.uint64, rows.end - rows.begin)
