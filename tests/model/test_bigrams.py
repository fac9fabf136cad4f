"""A new model with a head of its own predicts what follows what before its first step."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from glassmill.model.bigrams import SMOOTHING, Bigrams, count_bigrams, first_tables
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer

V = 64
CONFIG = ModelConfig(V, 96, 2, 3, 3, 32, 256, 64, tie_embeddings=False)


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    """Rows of a chain in which each token has a few frequent successors, some of them for several tokens."""
    chance = np.random.default_rng(1)
    rows = np.zeros((200, 65), np.uint16)
    rows[:, 0] = chance.integers(0, V - 4, 200)
    for column in range(1, 65):
        rows[:, column] = (rows[:, column - 1] // 2 * 7 + chance.geometric(0.4, 200)) % (V - 4)
    return rows


def smoothed(ids: np.ndarray) -> torch.Tensor:
    """`log P(v | t)` by the counts, `(V, V)`: the plain twin."""
    counts = torch.zeros(V, V, dtype=torch.float64)
    for row in ids.tolist():
        for token, successor in itertools.pairwise(row):
            counts[token, successor] += 1
    single = counts.sum(0) + 0.5
    single /= single.sum()
    return ((counts + SMOOTHING * single) / (counts.sum(1, keepdim=True) + SMOOTHING)).log()


def test_pairs_are_counted_within_rows_alone() -> None:
    found = count_bigrams(np.array([[1, 2, 1, 2], [2, 2, 1, 0]], np.uint16), 4)
    assert dict(zip(map(tuple, found.pairs.T.tolist()), found.counts.tolist(), strict=True)) == {
        (1, 0): 1, (1, 2): 2, (2, 1): 2, (2, 2): 1,
    }  # fmt: skip


def test_tables_of_full_rank_give_the_smoothed_probabilities_of_every_token(ids: np.ndarray) -> None:
    """But for one factor a token: all embeddings are as long."""
    tables = first_tables(count_bigrams(ids, V), V, torch.Generator().manual_seed(1))
    likelier_VV = smoothed(ids).float() - tables.frequency_V
    likelier_VV -= likelier_VV.min(dim=1, keepdim=True).values
    products_VV = tables.embedding_VR @ tables.head_VR.T
    torch.testing.assert_close(tables.embedding_VR.norm(dim=1)[: V - 4], torch.ones(V - 4))
    assert torch.cosine_similarity(products_VV, likelier_VV)[: V - 4].min() > 0.9999


def first_loss(ids: np.ndarray, bigrams: Bigrams | None) -> float:
    model = Transformer(CONFIG)
    initialize(model, 1, bigrams)
    rows = torch.from_numpy(ids.astype(np.int64))
    with torch.no_grad():
        logits = model.logits(model.hidden(rows[:, :-1]))
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()))


def test_before_its_first_step_a_model_is_near_the_bigrams_of_its_text(ids: np.ndarray) -> None:
    rows = torch.from_numpy(ids.astype(np.int64))
    ideal = -float(smoothed(ids)[rows[:, :-1].flatten(), rows[:, 1:].flatten()].mean())
    blind = float(np.log(V))
    assert ideal < first_loss(ids, count_bigrams(ids, V)) < ideal + (blind - ideal) / 2
    assert first_loss(ids, None) > blind - 0.5


def test_a_tied_head_cannot_hold_them(ids: np.ndarray) -> None:
    with pytest.raises(AssertionError, match="tied"):
        initialize(Transformer(replace(CONFIG, tie_embeddings=True)), 1, count_bigrams(ids, V))


def test_the_first_weights_are_a_function_of_seed_and_text(ids: np.ndarray) -> None:
    def weights(seed: int, rows: np.ndarray) -> torch.Tensor:
        model = Transformer(CONFIG)
        initialize(model, seed, count_bigrams(rows, V))
        return model.head_weight.detach().clone()

    assert torch.equal(weights(1, ids), weights(1, ids))
    assert not torch.equal(weights(1, ids), weights(2, ids))
    assert not torch.equal(weights(1, ids), weights(1, ids[:100]))


def test_the_tables_do_not_depend_on_the_number_of_threads(ids: np.ndarray) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(first_tables(count_bigrams(ids, V), 32, torch.Generator().manual_seed(1)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_token_without_successors_gets_an_embedding_by_chance(ids: np.ndarray) -> None:
    tables = first_tables(count_bigrams(ids, V), 16, torch.Generator().manual_seed(1))
    assert tables.embedding_VR[V - 4 :].norm(dim=1).max() < 0.05
    initialize(model := Transformer(CONFIG), 1, count_bigrams(ids, V))
    embeddings = model.model.embed_tokens.weight.detach()[V - 4 :]
    torch.testing.assert_close(embeddings.norm(dim=1), torch.full((4,), float(embeddings[0].norm())))
    own = embeddings - embeddings.mean(0)
    assert torch.nn.functional.cosine_similarity(own[0], own[1], dim=0) < 0.5


def test_tokens_that_never_occur_get_finite_weights() -> None:
    initialize(model := Transformer(CONFIG), 1, count_bigrams(np.zeros((1, 2), np.uint16), V))
    assert all(parameter.isfinite().all() for parameter in model.parameters())
