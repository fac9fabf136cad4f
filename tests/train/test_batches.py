"""Which window a sample is depends on the seed and its number alone, and an epoch leaves nothing out."""

from __future__ import annotations

import json
import resource
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.errors import UserError
from glassmill.tokens.shards import Shards
from glassmill.train.batches import WindowBatches
from glassmill.train.order import WindowOrder, permuted, unpermuted

Town = tuple[Path, Path]


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**40), epoch=st.integers(0, 5))
def test_permuted_is_a_permutation(size: int, seed: int, epoch: int) -> None:
    assert sorted(permuted(i, size, seed, epoch) for i in range(size)) == list(range(size))


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 10**9), index=st.integers(0, 10**9), seed=st.integers(0, 2**40), epoch=st.integers(0, 5))
def test_the_permutation_can_be_followed_backwards(size: int, index: int, seed: int, epoch: int) -> None:
    assert unpermuted(permuted(index % size, size, seed, epoch), size, seed, epoch) == index % size


@settings(max_examples=60, deadline=None)
@given(places=st.integers(1, 200), length=st.integers(1, 20), first=st.integers(-9, 200), span=st.integers(0, 60))
def test_the_samples_at_some_places_are_those_whose_windows_start_there(
    places: int, length: int, first: int, span: int
) -> None:
    order, count = WindowOrder(places, length, seed=3), 50
    wanted = [sample for sample in range(count) if first <= order.place(sample) <= first + span]
    assert sorted(order.samples(first, first + span, count)) == wanted


def test_seeds_and_epochs_shuffle_differently_and_neighbours_do_not_stay_neighbours() -> None:
    orders = [[permuted(i, 200, seed, epoch) for i in range(200)] for seed, epoch in ((1, 0), (2, 0), (1, 1))]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    adjacent = sum(abs(a - b) == 1 for a, b in pairwise(orders[0]))
    assert adjacent < 12


def test_an_epoch_reads_every_stretch_of_a_shard_once(town: Town) -> None:
    shards = Shards(town[0], "train")
    batches = WindowBatches(shards, rows=4, length=16, seed=3)
    for epoch in range(2):
        first = epoch * batches.order.windows_per_epoch
        places = sorted(batches.place(first + i) for i in range(batches.order.windows_per_epoch))
        assert {b - a for a, b in pairwise(places)} == {16}
        assert 0 <= places[0] < 16 and places[-1] + 16 <= batches.order.num_places + 16
    assert batches.order.windows_per_epoch * 16 > 0.98 * (len(shards) - 3 * 16)


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


def test_thousands_of_shards_are_read_within_few_open_files(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    lengths = [0, 3, *random.integers(5, 40, 1500).tolist(), 20]
    ids = [random.integers(0, 64, length).astype(np.uint16) for length in lengths]
    (tmp_path / "shards").mkdir()
    np.save(tmp_path / "shards" / "documents.npy", np.zeros((1, 2), dtype=np.uint64))
    entries = []
    for number, some in enumerate(ids):
        some.tofile(tmp_path / "shards" / f"train-{number}.bin")
        own = {"file": f"shards/train-{number}.bin", "documents_file": "shards/documents.npy", "corpus": "c"}
        entries.append({**own, "tokens": len(some), "documents": 1, "bytes": len(some)})
    totals = {"tokens": sum(lengths), "documents": len(ids), "bytes": sum(lengths), "shards": entries}
    nothing = {"tokens": 0, "documents": 0, "bytes": 0, "shards": []}
    index = {"dtype": "uint16", "vocab_size": 64, "eos_id": 0, "train": totals, "validation": nothing}
    (tmp_path / "index.json").write_text(json.dumps(index))
    expected = [some[i : i + 5] for some in ids for i in range(len(some) - 4)]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    try:
        shards = Shards(tmp_path, "train")
        assert shards.num_windows(5) == len(expected) and len(shards) == sum(lengths)
        assert all((shards.window(place, 5) == window).all() for place, window in enumerate(expected))
        assert (shards.ids == np.concatenate(ids)).all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for outside in (-1, len(expected)):
        with pytest.raises(IndexError):
            shards.window(outside, 5)


def test_windows_of_five_billion_tokens_are_places_not_a_permutation_in_memory(tmp_path: Path) -> None:
    tokens = 5_000_000_000
    (tmp_path / "shards").mkdir()
    with (tmp_path / "shards" / "train.bin").open("wb") as file:  # sparse: it takes no room
        file.truncate(2 * tokens)
        file.seek(2 * (tokens - 1))
        file.write(b"\x07\x00")
    np.save(tmp_path / "shards" / "documents.npy", np.zeros((1, 2), dtype=np.uint64))
    totals = {"tokens": tokens, "documents": 1, "bytes": tokens}
    entry = {"file": "shards/train.bin", "documents_file": "shards/documents.npy", "corpus": "c", **totals}
    nothing = {"tokens": 0, "documents": 0, "bytes": 0, "shards": []}
    index = {"dtype": "uint16", "vocab_size": 64, "eos_id": 0, "train": {**totals, "shards": [entry]}}
    (tmp_path / "index.json").write_text(json.dumps({**index, "validation": nothing}))
    batches = WindowBatches(Shards(tmp_path, "train"), 4, 1024, seed=3)
    per_epoch = batches.order.windows_per_epoch
    assert per_epoch == (tokens - 1024) // 1024
    picked = [*range(0, per_epoch, per_epoch // 500), per_epoch - 1]
    places = [batches.place(sample) for sample in picked]
    assert len(set(places)) == len(places) and max(places) > 1 << 32 and max(places) <= tokens - 1025
    assert batches.shards.window(tokens - 1025, 1025)[-1] == 7
    later = [batches.place(sample + per_epoch) for sample in picked]
    assert not set(later) & set(places) and later == [batches.place(sample + per_epoch) for sample in picked]
