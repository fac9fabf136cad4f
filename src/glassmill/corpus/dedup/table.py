"""The result of the search for duplicates: of every document the survivor of its cluster, the cluster's size, flags.

A folder of parts, `00000.npy` and so on, each of as many rows as the first but for the last. A row is three uint64:
the survivor's id, how many documents its cluster has, and flags.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glassmill.corpus.dedup.rows import Keys, Numbers
from glassmill.run import kinds
from glassmill.run.files import atomic_path
from glassmill.run.worker import Link

ROWS_AT_ONCE = 1 << 18
EXACT, EARLIER = 1, 2  # flags: same text as the survivor; the survivor is an earlier corpus's


class Table:
    """The rows of a finished search, read in about the order of the documents: one part is open at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = len(self._open(0))

    def row(self, number: int) -> tuple[int, int, int]:
        """The survivor's id, the size of the cluster, and flags of one document."""
        place, inside = divmod(number, self._rows)
        if place != self._place:
            self._open(place)
        survivor, size, flags = self._part[inside].tolist()
        return survivor, size, flags

    def _open(self, place: int) -> np.ndarray:
        self._place = place
        part: np.ndarray = np.load(part_path(self._folder, place), mmap_mode="r", allow_pickle=False)
        self._part = part
        return part


def read_table(folder: Path) -> np.ndarray:
    """All rows, shape `(documents, 3)`, in memory."""
    return np.concatenate([np.load(path, allow_pickle=False) for path in sorted(folder.glob("?????.npy"))])


def part_path(folder: Path, place: int) -> Path:
    """Where a part of the table is."""
    return folder / f"{place:05d}.npy"


class Survivors:
    """What the rows of some documents need to know of `count` survivors: entry `i` of each array is of survivor `i`.

    The first entries are those of the documents themselves, in their order.

    Args:
        filled: Makes an array of zeros: on disk if it is to be.
    """

    def __init__(self, count: int, filled: Callable[[str, int, type[np.generic]], np.ndarray] | None = None) -> None:
        filled = filled or (lambda name, count, kind: np.zeros(count, kind))
        self.ids: Keys = filled("ids.npy", count, np.uint64)
        self.sizes = filled("sizes.npy", count, np.uint32)
        self.exact: Keys = filled("exact.npy", count, np.uint64)


def write_part(
    out: Path, labels: Numbers, places: npt.NDArray[np.integer], survivors: Survivors, earlier: int, link: Link
) -> None:
    """Writes the rows of consecutive documents.

    Args:
        labels: Of every document the number of its survivor.
        places: Of every document where its survivor is in `survivors`.
        earlier: Documents below this number belong to earlier corpora.
    """
    header = {"descr": "<u8", "fortran_order": False, "shape": (len(labels), 3)}
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        step = max(1, min(ROWS_AT_ONCE, len(labels) // 8))
        for begin in range(0, len(labels), step):
            link.tell(kinds.Alive())
            some = slice(begin, begin + step)
            at, own = np.array(places[some]), survivors.exact[: len(labels)][some]
            flags = (own == survivors.exact[at]) * EXACT + (labels[some] < earlier) * EARLIER
            columns = (survivors.ids[at], survivors.sizes[at], flags)
            file.write(np.stack([column.astype(np.uint64) for column in columns], axis=1).tobytes())
