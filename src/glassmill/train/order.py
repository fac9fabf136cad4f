"""Which sample of a training reads which window: a permutation of each epoch, computed one number at a time, forwards
and backwards. Nothing here needs torch.

An epoch reads the shards once, in windows without gaps between them; the next epoch shifts their borders and takes them
in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate

BLOCK = 4096
"""Samples in which every corpus of a mixture has its exact share."""
ROUNDS = 4
"""Rounds of the Feistel network; three are enough to look random (Luby and Rackoff 1988)."""


def permuted(index: int, size: int, seed: int, epoch: int) -> int:
    """Where `index` goes in a permutation of `0 .. size - 1` that depends on seed and epoch.

    A Feistel network permutes the next power of four; walking on from results outside the range keeps it a permutation.

    >>> sorted(permuted(i, 10, seed=1, epoch=0) for i in range(10)) == list(range(10))
    True
    """
    assert 0 <= index < size
    half_bits, mask = _halves(size)
    while True:
        left, right = index >> half_bits, index & mask
        for number in range(ROUNDS):
            left, right = right, left ^ (_hash(seed, epoch, number, right) & mask)
        index = left << half_bits | right
        if index < size:
            return index


def unpermuted(place: int, size: int, seed: int, epoch: int) -> int:
    """The index that `permuted` sends to `place`.

    >>> unpermuted(permuted(3, 10, seed=1, epoch=0), 10, seed=1, epoch=0)
    3
    """
    assert 0 <= place < size
    half_bits, mask = _halves(size)
    while True:
        left, right = place >> half_bits, place & mask
        for number in reversed(range(ROUNDS)):
            left, right = right ^ (_hash(seed, epoch, number, left) & mask), left
        place = left << half_bits | right
        if place < size:
            return place


class WindowOrder:
    """The windows of a split, sample by sample.

    Args:
        num_places: Where a window can start, as `Shards.num_windows(length + 1)` counts.
        length: From one window to the next.
        seed: Of the training.
    """

    def __init__(self, num_places: int, length: int, seed: int) -> None:
        self.num_places, self.length, self.seed = num_places, length, seed
        self.windows_per_epoch = max(1, num_places // length)

    def place(self, sample: int) -> int:
        """Where a sample's window starts."""
        epoch, index = divmod(sample, self.windows_per_epoch)
        return self._shift(epoch) + self.length * permuted(index, self.windows_per_epoch, self.seed, epoch)

    def samples(self, first: int, last: int, count: int) -> Iterator[int]:
        """Which of the first `count` samples start at a place from `first` to `last`, epoch by epoch."""
        size = self.windows_per_epoch
        for epoch in range(-(-count // size)):
            shift = self._shift(epoch)
            low, high = max(0, -((shift - first) // self.length)), min(size - 1, (last - shift) // self.length)
            for window in range(low, high + 1):
                sample = epoch * size + unpermuted(window, size, self.seed, epoch)
                if sample < count:
                    yield sample

    def _shift(self, epoch: int) -> int:
        spare = self.num_places - (self.windows_per_epoch - 1) * self.length
        return _hash(self.seed, epoch, ROUNDS, 0) % max(1, min(spare, self.length))


class MixtureOrder:
    """Which corpus of a mixture a sample comes from.

    Of every `BLOCK` samples each corpus has the same number, at places that a permutation of the block decides. So how
    many of a corpus's samples came before follows from the number of the sample alone.

    Args:
        shares: Of the samples, rounded to a `BLOCK`th.
    """

    def __init__(self, shares: Sequence[float], seed: int) -> None:
        self.seed, self.counts = seed, apportioned(shares, BLOCK)
        self.ends = tuple(accumulate(self.counts))

    def place(self, sample: int) -> tuple[int, int]:
        """The number of a sample's corpus, and which of that corpus's samples it is."""
        block, index = divmod(sample, BLOCK)
        at = permuted(index, BLOCK, self.seed, block)
        source = next(number for number, end in enumerate(self.ends) if at < end)
        return source, (block + 1) * self.counts[source] - (self.ends[source] - at)


def apportioned(shares: Sequence[float], total: int) -> tuple[int, ...]:
    """`total` seats by shares; what rounding down leaves goes to the largest remainders.

    >>> apportioned([0.5, 0.3, 0.2], 4)
    (2, 1, 1)
    """
    exact = [share * total / sum(shares) for share in shares]
    seats = [int(share) for share in exact]
    by_remainder = sorted(range(len(shares)), key=lambda number: seats[number] - exact[number])
    for number in by_remainder[: total - sum(seats)]:
        seats[number] += 1
    return tuple(seats)


def _halves(size: int) -> tuple[int, int]:
    """Bits of half a number of the network, and their mask."""
    half_bits = max(1, (size - 1).bit_length() + 1 >> 1)
    return half_bits, (1 << half_bits) - 1


def _hash(*numbers: int) -> int:
    text = ",".join(map(str, numbers)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
