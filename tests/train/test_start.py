"""What a new model knows of its text before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from glassmill.model.transformer import Transformer
from glassmill.train import start as start_module
from glassmill.train.start import start_of
from tests.train.builders import MODEL, TRAIN

Town = tuple[Path, Path]


def fresh(town: Town, seed: int = 7, **changes: object) -> Transformer:
    tied = MODEL.model_copy(update={"tie_embeddings": changes.pop("tied", False)})
    return start_of(TRAIN.model_copy(update=changes), seed, town[0], tied).model()


@torch.no_grad()
def nats(model: Transformer, town: Town) -> float:
    """Loss of a token on what the first step reads."""
    batch = start_of(TRAIN, 7, town[0], MODEL).batches.batch(0)
    return float(cross_entropy(model.logits(model.hidden(batch.ids)).flatten(0, 1), batch.targets.flatten()))


def test_a_new_model_with_a_head_of_its_own_knows_what_follows_what(town: Town) -> None:
    knowing, without, tied = fresh(town), fresh(town, bigrams=False), fresh(town, tied=True)
    assert nats(knowing, town) < 0.6 * min(nats(without, town), nats(tied, town))
    assert torch.equal(fresh(town).head_weight, knowing.head_weight)
    assert not torch.equal(fresh(town, seed=8).head_weight, knowing.head_weight)


def test_pairs_are_counted_once_over_the_text_and_no_further_than_so_many_tokens(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read is what the training reads first, whatever corpora that comes from."""
    read = start_of(TRAIN, 7, town[0], MODEL)
    bigrams, tokens = read._bigrams(), sum(own for _, own in read.num_ids.values())
    assert bigrams is not None and 0.9 * tokens < bigrams.counts.sum() <= tokens
    monkeypatch.setattr(start_module, "BIGRAM_TOKENS", 100)
    some = read._bigrams()
    assert some is not None and some.counts.sum() == 100 // MODEL.context_length * MODEL.context_length
