"""Clusters of documents from pairs of neighbours: union-find over an array, vectorised.

In: keys a band, or pairs of document numbers. Out: for each document the least number of its cluster. Which document
that is depends on the pairs alone, not on their order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Labels = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.unsignedinteger]

PAIRS_AT_ONCE = 1 << 20
LABELS_AT_ONCE = 1 << 20


class Clusters:
    """Clusters of the documents 0 to `count` - 1.

    Args:
        count: How many documents there are.
        labels: Where to keep the one number a document needs: an array of `count` unsigned integers, on disk if it
            is to be; `labels[i] = i`. In memory where none is given.
    """

    def __init__(self, count: int, labels: Numbers | None = None) -> None:
        self.count = count
        self._parents: Numbers = np.arange(count, dtype=np.uint64) if labels is None else labels

    def add_band(self, keys: Keys) -> None:
        """Joins documents with equal keys. `keys` has shape `(count,)`."""
        order = np.argsort(keys, kind="stable")
        in_order = keys[order]
        equal = np.flatnonzero(in_order[1:] == in_order[:-1])
        self.join(order[equal], order[equal + 1])

    def join(self, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> None:
        """Makes each pair `(left[i], right[i])` members of one cluster."""
        for begin in range(0, len(left), PAIRS_AT_ONCE):
            self._join(left[begin : begin + PAIRS_AT_ONCE], right[begin : begin + PAIRS_AT_ONCE])

    def _join(self, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> None:
        """Hooks every root to the least root that it is paired with, until no pair disagrees."""
        while True:
            left, right = self._root(left), self._root(right)
            apart = left != right
            if not apart.any():
                return
            left, right = left[apart], right[apart]
            np.minimum.at(self._parents, np.maximum(left, right), np.minimum(left, right))

    def _root(self, numbers: npt.NDArray[np.integer]) -> Numbers:
        """The roots of some documents; those that are asked for point at their root afterwards.

        Every round doubles the step: what a document points at has just been pointed twice as far itself.
        """
        above: Numbers = self._parents[numbers]
        while True:
            further = self._parents[above]
            if np.array_equal(further, above):
                return above
            self._parents[numbers] = further
            above = further

    def settle(self) -> None:
        """Points every document at its root. A parent has a smaller number, so one pass from the front is enough."""
        for begin in range(0, self.count, LABELS_AT_ONCE):
            self._root(np.arange(begin, min(begin + LABELS_AT_ONCE, self.count)))

    @property
    def survivors(self) -> Labels:
        """For each document, the number of the first one of its cluster, which stays."""
        self.settle()
        return self._parents.astype(np.int64)

    @property
    def sizes(self) -> Labels:
        """For each document, how many its cluster holds."""
        survivors = self.survivors
        return np.bincount(survivors, minlength=self.count)[survivors]
