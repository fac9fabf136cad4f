"""Which window a sample is depends on the seed and its number alone, and an epoch leaves nothing out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.errors import UserError
from glassmill.tokens.shards import Shards
from glassmill.train.batches import WindowBatches, permuted

Town = tuple[Path, Path]


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**40), epoch=st.integers(0, 5))
def test_permuted_is_a_permutation(size: int, seed: int, epoch: int) -> None:
    assert sorted(permuted(i, size, seed, epoch) for i in range(size)) == list(range(size))


def test_seeds_and_epochs_shuffle_differently_and_neighbours_do_not_stay_neighbours() -> None:
    orders = [[permuted(i, 200, seed, epoch) for i in range(200)] for seed, epoch in ((1, 0), (2, 0), (1, 1))]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    adjacent = sum(abs(a - b) == 1 for a, b in pairwise(orders[0]))
    assert adjacent < 12


def test_an_epoch_reads_every_stretch_of_a_shard_once(town: Town) -> None:
    shards = Shards(town[0], "train")
    batches = WindowBatches(shards, rows=4, length=16, seed=3)
    for epoch in range(2):
        first = epoch * batches.windows_per_epoch
        places = sorted(batches.place(first + i) for i in range(batches.windows_per_epoch))
        assert {b - a for a, b in pairwise(places)} == {16}
        assert 0 <= places[0] < 16 and places[-1] + 16 <= batches.num_places + 16
    assert batches.windows_per_epoch * 16 > 0.98 * (len(shards) - 3 * 16)


def test_targets_are_the_next_ids_and_a_batch_depends_on_its_step_alone(town: Town) -> None:
    batches = WindowBatches(Shards(town[0], "train"), rows=4, length=16, seed=3)
    later = WindowBatches(Shards(town[0], "train"), rows=4, length=16, seed=3)
    for step in (0, 1):
        batches.batch(step)
    ids, targets, weights = batches.batch(50)
    assert ids.shape == targets.shape == (4, 16) and ids.dtype == torch.int64
    assert torch.equal(ids[:, 1:], targets[:, :-1]) and float(weights.sum()) == pytest.approx(1)
    assert all(torch.equal(a, b) for a, b in zip(later.batch(50), (ids, targets, weights), strict=True))


def test_too_little_text_is_told_with_what_to_do(town: Town) -> None:
    with pytest.raises(UserError, match=r"too few for a window of 100000; .*model\.context_length"):
        WindowBatches(Shards(town[0], "train"), rows=1, length=100_000, seed=1)
