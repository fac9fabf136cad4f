"""fastText's compressed model file, for the native core.

In: the bytes of a `.ftz` file: a supervised model, quantised, with a tree over its labels (hierarchical softmax), as
lid.176.ftz is. Out: `LabelModel`, which predicts as fastText does. Source: Joulin et al. 2016 (arXiv 1612.03651) for
what is quantised; the layout of the file is version 12 of https://github.com/facebookresearch/fastText.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC, VERSION = 793712314, 12
HIERARCHICAL, SUPERVISED = 1, 3
LABEL = "__label__"
CENTROIDS = 256
FREE = 10**15
"""More than any label was seen: what an inner node counts before it has children."""

Floats = npt.NDArray[np.float32]


class LabelModel:
    """The model in `data`.

    Raises:
        ValueError: not such a file, or a model of another shape.
    """

    def __init__(self, data: bytes, core: Any) -> None:
        parts = _Parts(data)
        if len(data) < 100 or parts.take("ii") != (MAGIC, VERSION):
            raise ValueError(f"not a fastText model of version {VERSION}")
        _, _, _, _, _, word_ngrams, loss, kind, buckets, shortest, longest, _, _ = parts.take("12id")
        if (word_ngrams, loss, kind) != (1, HIERARCHICAL, SUPERVISED):
            raise ValueError("expected a model without word n-grams and with a tree over its labels")
        entries, kept = _dictionary(parts)
        words = {entry.text: number for number, entry in enumerate(entries) if not entry.is_label}
        labels = [entry for entry in entries if entry.is_label]
        rows = _quantised(parts)
        if parts.take("?")[0]:
            raise ValueError("its output is quantised too, which is not supported")
        self.labels = [label.text.decode().removeprefix(LABEL) for label in labels]
        self._native = core.LanguageModel(
            rows.ravel(), words, kept[:, 0], kept[:, 1] + np.uint32(len(words)), buckets, shortest, longest,
            parts.array(np.float32, int(np.prod(parts.take("qq")))), tree([label.count for label in labels]).ravel(),
        )  # fmt: skip

    def predict(self, line: bytes, count: int) -> list[tuple[str, float]]:
        """The `count` likeliest labels of a line of UTF-8, with their probabilities."""
        return [(self.labels[label], probability) for label, probability in self._native.predict(line, count)]


@dataclass(frozen=True, slots=True)
class _Entry:
    text: bytes
    count: int
    is_label: bool


class _Parts:
    """The file from front to back; numbers are little-endian and packed."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        self._at += struct.calcsize(layout)
        return struct.unpack_from(layout, self._data, self._at - struct.calcsize(layout))

    def array(self, kind: type[np.generic], size: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self._data, kind, size, self._at)
        self._at += found.nbytes
        return found

    def string(self) -> bytes:
        end = self._data.index(b"\0", self._at)
        found, self._at = self._data[self._at : end], end + 1
        return found


def _dictionary(parts: _Parts) -> tuple[list[_Entry], npt.NDArray[np.uint32]]:
    """Words, most frequent first, then labels; and the kept buckets of n-grams with their numbers."""
    size, _, _, _, num_kept = parts.take("iiiqq")
    entries = []
    for _ in range(size):
        text = parts.string()
        count, kind = parts.take("qb")
        entries.append(_Entry(text, count, kind == 1))
    return entries, parts.array(np.int32, 2 * max(num_kept, 0)).reshape(-1, 2).astype(np.uint32)


def _quantised(parts: _Parts) -> Floats:
    """A matrix of which every row is a norm times one centroid for each group of columns."""
    quantised, has_norms, num_rows, _, num_codes = parts.take("??qqi")
    if not (quantised and has_norms):
        raise ValueError("expected a quantised model with norms")
    codes = parts.array(np.uint8, num_codes).reshape(num_rows, -1)
    centroids = _centroids(parts)
    norms = parts.array(np.uint8, num_rows)
    rows = np.concatenate([group[codes[:, number]] for number, group in enumerate(centroids)], axis=1)
    found: Floats = rows * _centroids(parts)[0][norms]
    return found


def _centroids(parts: _Parts) -> Floats:
    """Shape `(groups, 256, columns of a group)`."""
    width, groups, columns, last = parts.take("4i")
    if columns != last:
        raise ValueError("its last group of columns is smaller than the others")
    return parts.array(np.float32, width * CENTROIDS).reshape(groups, CENTROIDS, columns)


def tree(counts: list[int]) -> npt.NDArray[np.uint32]:
    """Huffman's tree over labels, the rarest joined first: two children an inner node, shape `(labels - 1, 2)`.

    A child below `len(counts)` is a label, another one inner node `child - len(counts)`; `counts` fall.

    Example:
        >>> tree([5, 2, 1]).tolist()
        [[2, 1], [3, 0]]
    """
    totals = [*counts, *[FREE] * (len(counts) - 1)]
    children = np.zeros((len(counts) - 1, 2), np.uint32)
    label, inner = len(counts) - 1, len(counts)
    for node, pair in enumerate(children, len(counts)):
        for side in range(2):
            if label >= 0 and totals[label] < totals[inner]:
                pair[side], label = label, label - 1
            else:
                pair[side], inner = inner, inner + 1
        totals[node] = totals[pair[0]] + totals[pair[1]]
    return children
