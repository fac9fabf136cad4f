"""Which windows of the shards a step reads: a pure function of the seed and the number of the sample.

So the state of the loader is one integer, the step: a resumed run reads what an uninterrupted one would have read, and
any number of machines can divide the samples. An epoch reads the shards once, in windows without gaps between them; the
next epoch shifts their borders and takes them in another order.

    B rows, T positions
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from glassmill.errors import UserError
from glassmill.tokens.shards import Shards
from glassmill.train.gradients import Batch

ROUNDS = 4
"""Rounds of the Feistel network; three are enough to look random (Luby and Rackoff 1988)."""


def permuted(index: int, size: int, seed: int, epoch: int) -> int:
    """Where `index` goes in a permutation of `0 .. size - 1` that depends on seed and epoch.

    A Feistel network permutes the next power of four; walking on from results outside the range keeps it a permutation.

    >>> sorted(permuted(i, 10, seed=1, epoch=0) for i in range(10)) == list(range(10))
    True
    """
    assert 0 <= index < size
    half_bits = max(1, (size - 1).bit_length() + 1 >> 1)
    mask = (1 << half_bits) - 1
    while True:
        left, right = index >> half_bits, index & mask
        for number in range(ROUNDS):
            left, right = right, left ^ (_hash(seed, epoch, number, right) & mask)
        index = left << half_bits | right
        if index < size:
            return index


class WindowBatches:
    """Batches of random windows of a split, `rows` windows of `length` tokens each.

    Raises:
        UserError: the split is too short for a single window.
    """

    def __init__(self, shards: Shards, rows: int, length: int, seed: int) -> None:
        self.shards, self.rows, self.length, self.seed = shards, rows, length, seed
        self.num_places = shards.num_windows(length + 1)
        if self.num_places < 1:
            raise UserError(
                f"the {shards.split} split has {len(shards)} tokens, too few for a window of {length}; "
                "read more text or lower model.context_length"
            )
        self.windows_per_epoch = max(1, self.num_places // length)

    def place(self, sample: int) -> int:
        """Where a sample's window starts, as `Shards.window` counts places."""
        epoch, index = divmod(sample, self.windows_per_epoch)
        spare = self.num_places - (self.windows_per_epoch - 1) * self.length
        shift = _hash(self.seed, epoch, ROUNDS, 0) % max(1, min(spare, self.length))
        return shift + self.length * permuted(index, self.windows_per_epoch, self.seed, epoch)

    def window(self, sample: int) -> np.ndarray:
        """The `length + 1` ids of one sample."""
        return self.shards.window(self.place(sample), self.length + 1)

    def rows_of(self, first_sample: int, count: int) -> tuple[Tensor, Tensor]:
        """Ids and targets `(count, length)` of consecutive samples."""
        ids = torch.from_numpy(np.stack([self.window(first_sample + row) for row in range(count)]))
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def batch(self, step: int) -> Batch:
        """What a step reads; every token counts the same."""
        ids, targets = self.rows_of(step * self.rows, self.rows)
        return Batch(ids, targets, torch.full(ids.shape, 1 / ids.numel()))


def _hash(*numbers: int) -> int:
    text = ",".join(map(str, numbers)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
