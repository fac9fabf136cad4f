"""Parts of tensors, in memory and in the files of a checkpoint: a part is a box of rows and columns.

A rank writes its parts, and reads other boxes than were written where there are more or fewer ranks, or they share the
model in another way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Box = tuple[slice, ...]
"""Of a tensor some rows and, where there is a second slice, some columns; each with start and stop."""


class Part(NamedTuple):
    """A box of a tensor: from row `first` on, of `total`; of these rows from `column` on, of `columns` (0: all)."""

    values: Tensor
    first: int
    total: int
    column: int = 0
    columns: int = 0

    @classmethod
    def at(cls, values: Tensor, box: Box, shape: Sequence[int]) -> Part:
        """The `values` in the `box` of a tensor of that shape."""
        whole_rows = len(shape) == 1 or box[1] == slice(0, shape[1])
        columns = () if whole_rows else (box[1].start, shape[1])
        return cls(values, box[0].start, shape[0], *columns)


Value = Tensor | Part


class OnDisk:
    """A part of a tensor in a file.

    Attributes:
        shape: Of the whole tensor.
    """

    def __init__(self, values: Any, lengths: list[int], first: int, total: int, column: int = 0, columns: int = 0):
        self.values, self.lengths = values, lengths
        self.starts = [first, column, *(0 for _ in lengths[2:])][: len(lengths)]
        self.shape = [total, columns or lengths[1], *lengths[2:]] if len(lengths) > 1 else [total][: len(lengths)]

    def within(self, wanted: Box) -> tuple[Tensor, Box] | None:
        """What it has of the box that is wanted, and where in that box it is; None: nothing."""
        here, there = [], []
        for side, start, length in zip(wanted, self.starts, self.lengths, strict=True):
            low, high = max(side.start, start), min(side.stop, start + length)
            if low >= high:
                return None
            here.append(slice(low - start, high - start))
            there.append(slice(low - side.start, high - side.start))
        return (self.values[tuple(here)] if here else self.values), tuple(there)


def joined(parts: Sequence[OnDisk], name: str, box: Box | None = None) -> Tensor:
    """A tensor, or a `box` of it, from parts that do not overlap.

    Raises:
        KeyError: the parts are not all of it; it has the `name`.
    """
    shape = parts[0].shape
    known = box if box and shape else ()
    wanted = (*known, *(slice(0, length) for length in shape[len(known) :]))
    found = [one for part in parts if (one := part.within(wanted)) is not None]
    lengths = [side.stop - side.start for side in wanted]
    if sum(values.numel() for values, _ in found) != math.prod(lengths):
        raise KeyError(name)
    if len(found) == 1:
        return found[0][0]
    whole = torch.empty(lengths, dtype=found[0][0].dtype if found else torch.float32)
    for values, where in found:
        whole[where] = values
    return whole


def place_of(value: Value) -> list[int]:
    """Where in the whole tensor it is: the first row and the number of all, and the same of columns if it has some."""
    if isinstance(value, Part):
        return list(value[1:] if value.columns else value[1:3])
    return [0, len(value) if value.ndim else 1]


def copied(value: Value) -> Value:
    if isinstance(value, Part):
        return value._replace(values=_copied_tensor(value.values))
    return _copied_tensor(value)


def _copied_tensor(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())
