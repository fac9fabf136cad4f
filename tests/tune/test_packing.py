"""Every conversation once an epoch, whole, with targets only where the assistant speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.tokens.shards import Shards
from glassmill.train.batches import WindowBatches
from glassmill.tune.packing import MixedBatches, PackedConversations, Rendered

PAD = 0


def conversation(first_id: int, length: int) -> Rendered:
    """Ids that count up from `first_id`; the second half is the assistant's."""
    ids = np.arange(first_id, first_id + length, dtype=np.uint32)
    return Rendered(ids, np.arange(length) >= length // 2)


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(2, 30), min_size=1, max_size=40), seed=st.integers(0, 99))
def test_an_epoch_holds_every_conversation_once_and_whole(lengths: list[int], seed: int) -> None:
    conversations = [conversation(1000 * (n + 1), length) for n, length in enumerate(lengths)]
    packed = PackedConversations(conversations, 32, PAD, seed)
    rows = [packed.row(i) for i in range(packed.rows_per_epoch)]
    ids = torch.cat([row[0] for row in rows])
    assert sorted(ids[ids != PAD].tolist()) == sorted(int(i) for c in conversations for i in c.ids)
    for row_ids, targets, _ in rows:
        assert torch.equal(targets[:-1], row_ids[1:])
    learned_ids = sorted(int(t) for _, targets, mask in rows for t in targets[mask == 1])
    assert learned_ids == sorted(int(i) for c in conversations for i, own in zip(c.ids, c.mask, strict=True) if own)


def test_epochs_differ_and_a_row_depends_on_its_number_alone() -> None:
    conversations = [conversation(100 * n, 9) for n in range(1, 30)]
    first, second = (PackedConversations(conversations, 32, PAD, seed=4) for _ in range(2))
    later = second.row(3 * second.rows_per_epoch)
    rows = [first.row(i) for i in range(4 * first.rows_per_epoch)]
    assert all(torch.equal(a, b) for a, b in zip(later, rows[3 * first.rows_per_epoch], strict=True))
    epochs = [torch.stack([ids for ids, *_ in rows[e * 10 : (e + 1) * 10]]) for e in range(2)]
    assert first.rows_per_epoch == 10 and not torch.equal(*epochs)


def test_a_conversation_longer_than_a_row_is_cut_at_its_end() -> None:
    ids, _, mask = PackedConversations([conversation(100, 50)], 16, PAD, seed=1).row(0)
    assert ids.tolist() == list(range(100, 116)) and not mask.any()


def test_without_pages_every_row_is_conversations() -> None:
    packed = PackedConversations([conversation(10, 8), conversation(30, 8)], 16, PAD, seed=1)
    batches = MixedBatches(packed, pages=None, rows=4, page_share=0.5)
    ids, targets, weights = batches.batch(3)
    assert ids.shape == targets.shape == weights.shape == (4, 16) and batches.conversation_rows == 4
    assert float(weights.sum()) == pytest.approx(1)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_pages_take_their_share_of_the_rows_and_of_the_loss(town: tuple[Path, Path], share: float) -> None:
    packed = PackedConversations([conversation(10, 8), conversation(30, 8)], 16, PAD, seed=1)
    pages = WindowBatches(Shards(town[0], "train"), rows=4, length=16, seed=2)
    batches = MixedBatches(packed, pages, rows=4, page_share=share)
    assert batches.page_rows == 4 * share
    weights = batches.batch(1).weights
    assert float(weights[-batches.page_rows :].sum()) == pytest.approx(share)
    assert float(weights.sum()) == pytest.approx(1)
