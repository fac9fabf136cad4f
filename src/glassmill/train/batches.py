"""Which windows of the shards a step reads: a pure function of the seed and the number of the sample.

So the state of the loader is one integer, the step: a resumed run reads what an uninterrupted one would have read, and
any number of machines can divide the samples. An epoch reads the shards once, in windows without gaps between them; the
next epoch shifts their borders and takes them in another order. A mixture reads several corpora so, each with its own
epochs.

    B rows, T positions
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glassmill.errors import UserError
from glassmill.tokens.shards import Shards
from glassmill.train.gradients import Batch
from glassmill.train.order import MixtureOrder, WindowOrder


class Windows(ABC):
    """Batches of `rows` windows of `length` tokens each.

    Attributes:
        document_end: The id at which attention starts anew; None: it sees the whole window.
    """

    def __init__(self, rows: int, length: int, seed: int) -> None:
        self.rows, self.length, self.seed = rows, length, seed
        self.document_end: int | None = None

    @abstractmethod
    def window(self, sample: int) -> np.ndarray:
        """The `length + 1` ids of one sample."""

    def rows_of(self, first_sample: int, count: int) -> tuple[Tensor, Tensor]:
        """Ids and targets `(count, length)` of consecutive samples."""
        ids = torch.from_numpy(np.stack([self.window(first_sample + row) for row in range(count)]))
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def batch(self, step: int) -> Batch:
        """What a step reads; every token counts the same."""
        ids, targets = self.rows_of(step * self.rows, self.rows)
        return Batch(ids, targets, torch.full(ids.shape, 1 / ids.numel()))


class WindowBatches(Windows):
    """Random windows of a split.

    Raises:
        UserError: the split is too short for a single window.
    """

    def __init__(self, shards: Shards, rows: int, length: int, seed: int) -> None:
        super().__init__(rows, length, seed)
        self.shards = shards
        num_places = shards.num_windows(length + 1)
        if num_places < 1:
            raise UserError(
                f"the {shards.split} split has {len(shards)} tokens, too few for a window of {length}; "
                "read more text or lower model.context_length"
            )
        self.order = WindowOrder(num_places, length, seed)

    def place(self, sample: int) -> int:
        """Where a sample's window starts, as `Shards.window` counts places."""
        return self.order.place(sample)

    def window(self, sample: int) -> np.ndarray:
        """The `length + 1` ids of one sample."""
        return self.shards.window(self.place(sample), self.length + 1)


class MixtureBatches(Windows):
    """Random windows of several corpora, each with its share of the samples, see `MixtureOrder`.

    Args:
        sources: Their own windows.
        shares: Of the samples.
    """

    def __init__(self, sources: Sequence[WindowBatches], shares: Sequence[float], seed: int) -> None:
        super().__init__(sources[0].rows, sources[0].length, seed)
        self.sources, self.order = tuple(sources), MixtureOrder(shares, seed)

    def place(self, sample: int) -> tuple[int, int]:
        """The number of a sample's corpus, and which of that corpus's samples it is."""
        return self.order.place(sample)

    def window(self, sample: int) -> np.ndarray:
        """The `length + 1` ids of one sample."""
        source, its_sample = self.place(sample)
        return self.sources[source].window(its_sample)
