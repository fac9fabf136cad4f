"""Suffix arrays in plain NumPy: the readable twin of `native/trace/`, and what takes over where there is no core.

In: parts, which are ids and, 3 bytes each, the positions of their suffixes in order. Sorting doubles the number of ids
that count (Manber and Myers 1993): O(n log n) sorts, about a hundred times slower than the core.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

MOST_SUFFIXES = 1 << 24
"""Ids of a part, so that a position takes 3 bytes."""
POSITION_BYTES = 3

Part = tuple[np.ndarray, np.ndarray]
"""Ids, `(n,)` uint16 or uint32, and positions, `(3n,)` uint8, little-endian."""


def sort_suffixes(ids: np.ndarray) -> np.ndarray:
    """The positions of all suffixes, in order, `(3n,)` uint8; a suffix that starts another comes before it."""
    rank, step, size = ids.astype(np.int64), 1, len(ids)
    order = np.argsort(rank, kind="stable")
    while size:
        after = np.concatenate([rank[step:], np.full(min(step, size), -1)])
        order = np.lexsort((after, rank))
        differs = (np.diff(rank[order]) != 0) | (np.diff(after[order]) != 0)
        rank[order] = np.concatenate([[0], np.cumsum(differs)])
        if differs.all():
            break
        step *= 2
    return order.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :POSITION_BYTES].ravel()


def unpacked(positions: np.ndarray) -> np.ndarray:
    """Positions as numbers: `(3n,)` uint8 to `(n,)` int64."""
    low, middle, high = positions.reshape(-1, POSITION_BYTES).astype(np.int64).T
    return low | middle << 8 | high << 16


class PlainSuffixes:
    """Sorted parts, searched as one. See `Suffixes` in `native/_core.pyi`."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [(ids, positions.reshape(-1, POSITION_BYTES)) for ids, positions in parts]

    def longest(self, query: ArrayLike) -> np.ndarray:
        """For each id of the query, how many ids from it on occur in some part, `(m,)` uint64."""
        wanted = np.asarray(query).tolist()
        starts = range(len(wanted))
        found = [max((self._longest(part, wanted[at:]) for part in self._parts), default=0) for at in starts]
        return np.array(found, dtype=np.uint64)

    def find(self, query: ArrayLike) -> np.ndarray:
        """First and one after the last rank, in each part, of the suffixes that start with the query, uint64."""
        wanted = np.asarray(query).tolist()
        found: list[int] = []
        for part in self._parts:
            ranks = range(len(part[1]))
            for side in (bisect_left, bisect_right):
                found.append(side(ranks, wanted, key=lambda rank, part=part: _suffix(part, rank, len(wanted))))  # type: ignore[misc]
        return np.array(found, dtype=np.uint64)

    def _longest(self, part: Part, wanted: list[int]) -> int:
        ranks = range(len(part[1]))
        at = bisect_left(ranks, wanted, key=lambda rank: _suffix(part, rank, len(wanted)))
        beside = [_suffix(part, rank, len(wanted)) for rank in (at - 1, at) if rank in ranks]
        return max((_shared(wanted, suffix) for suffix in beside), default=0)


def _suffix(part: Part, rank: int, length: int) -> list[int]:
    first = int(unpacked(part[1][rank])[0])
    ids: list[int] = part[0][first : first + length].tolist()
    return ids


def _shared(one: list[int], other: list[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
