"""Cuts keep what they say, draws follow the probabilities, penalties follow OpenAI's and transformers' formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glassmill.infer.sampling import Sampler, SamplingParams, draw, kept_tokens, token_logprobs

LOGITS = np.log(np.array([0.1, 0.4, 0.05, 0.3, 0.15], dtype=np.float32))
any_logits = arrays(np.float32, st.integers(1, 40), elements=st.floats(-20, 20, width=32))


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p", "kept"),
    [
        (0, 1.0, 0.0, [0, 1, 2, 3, 4]),
        (2, 1.0, 0.0, [1, 3]),
        (99, 1.0, 0.0, [0, 1, 2, 3, 4]),
        (0, 0.5, 0.0, [1, 3]),
        (0, 0.71, 0.0, [1, 3, 4]),
        (0, 1e-9, 0.0, [1]),
        (0, 1.0, 0.3, [1, 3, 4]),
        (0, 1.0, 1.0, [1]),
        (3, 0.99, 0.5, [1, 3]),
    ],
)
def test_the_cuts_keep_the_likeliest_tokens(top_k: int, top_p: float, min_p: float, kept: list[int]) -> None:
    ids, probabilities = kept_tokens(LOGITS, 1.0, top_k, top_p, min_p)
    assert sorted(ids.tolist()) == kept
    assert probabilities.sum() == pytest.approx(1.0)


@given(logits=any_logits, top_p=st.floats(0.01, 1.0), min_p=st.floats(0, 1), top_k=st.integers(0, 50))
def test_cut_distributions_are_the_plain_ones_sorted_and_cut(
    logits: np.ndarray, top_p: float, min_p: float, top_k: int
) -> None:
    ids, probabilities = kept_tokens(logits, 0.7, top_k, top_p, min_p)
    scaled = logits.astype(np.float64) / 0.7
    order = np.argsort(-scaled, kind="stable")[: top_k or None]
    weights = np.exp(scaled[order] - scaled.max())
    weights /= weights.sum()
    keep = [
        i == 0 or ((top_p == 1 or weights[:i].sum() < top_p) and weights[i] >= min_p * weights[0])
        for i in range(len(order))
    ]
    near_bound = np.isclose(np.cumsum(weights) - weights, top_p).any() or np.isclose(weights, min_p * weights[0]).any()
    narrow = set(weights.astype(np.float32))
    equal_only_as_weights = len(narrow) < len(set(scaled[order]))  # 0 and 1e-38: either may come first
    if not near_bound and not equal_only_as_weights:
        assert sorted(ids.tolist()) == sorted(order[keep].tolist())
    assert probabilities.sum() == pytest.approx(1.0)


def test_top_p_over_a_large_flat_vocabulary_sorts_all_of_it_only_when_it_must() -> None:
    logits = np.zeros(5000, dtype=np.float32)
    assert len(kept_tokens(logits, 1.0, 0, 0.9, 0.0)[0]) in (
        4500,
        4501,
    )  # the sum of 4500 shares is 0.9 but for rounding
    logits[17] = 20.0
    assert kept_tokens(logits, 1.0, 0, 0.9, 0.0)[0].tolist() == [17]


def flat_and_peaked(size: int) -> np.ndarray:
    chance = np.random.default_rng(size)
    return (chance.integers(-8, 8, size) * chance.random()).astype(np.float32)  # with many equal ones


@pytest.mark.parametrize("size", [1, 255, 256, 257, 5000, 20_001])
def test_a_draw_is_found_where_the_plain_running_sum_has_it(size: int) -> None:
    logits = flat_and_peaked(size)
    for temperature, top_k, top_p, min_p in [(1, 0, 1, 0), (0.5, 0, 0.9, 0), (2, 40, 1, 0), (1, 300, 0.8, 0.01)]:
        weights = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
        order = np.argsort(-weights, kind="stable")[: top_k or None]
        share = weights[order] / weights[order].sum()
        order = order[(np.cumsum(share) - share < top_p) & (share >= min_p * share[0])]
        kept = np.zeros(size)
        kept[order] = weights[order] / weights[order].sum()
        ends = np.cumsum(kept)
        for uniform in np.random.default_rng(1).random(20):
            token = draw(logits, temperature, top_k, top_p, min_p, uniform)
            slack = 2 / len(order) if top_p < 1 else 1e-5  # one of many equal tokens more or less at the bound of top_p
            assert ends[token] - kept[token] - slack <= uniform <= ends[token] + slack


@pytest.mark.parametrize("size", [3, 4096, 20_001])
@pytest.mark.parametrize("k", [1, 3, 40, 700])
def test_top_k_of_a_large_vocabulary_is_the_start_of_the_sorted_one(size: int, k: int) -> None:
    logits = flat_and_peaked(size)
    ids, _ = kept_tokens(logits, 1.0, k, 1.0, 0.0)
    assert ids.tolist() == sorted(np.argsort(-logits, kind="stable")[:k].tolist())


def test_what_a_mask_forbids_is_never_drawn() -> None:
    logits = np.full(2000, -np.inf, dtype=np.float32)
    logits[[7, 1234]] = -50.0, -51.0
    for uniform in (0.0, 0.5, 0.999999999):
        for cuts in ((0, 1.0, 0.0), (5, 1.0, 0.0), (0, 0.99, 0.0), (0, 1.0, 0.1)):
            assert draw(logits, 1e-9, *cuts, uniform) == 7
            assert draw(logits, 1.0, *cuts, uniform) in (7, 1234)


def test_draws_come_as_often_as_their_probability_says() -> None:
    generator = np.random.default_rng(0)
    counts = np.bincount([draw(LOGITS, 1.0, 0, 1.0, 0.0, generator.random()) for _ in range(20_000)], minlength=5)
    assert counts / 20_000 == pytest.approx(np.exp(LOGITS), abs=0.015)


@given(logits=any_logits, uniform=st.floats(0, 1, exclude_max=True))
def test_a_draw_is_always_a_token(logits: np.ndarray, uniform: float) -> None:
    assert 0 <= draw(logits, 1.0, 0, 0.95, 0.0, uniform) < len(logits)


def test_penalties_and_bias_follow_their_formulas() -> None:
    params = SamplingParams(
        frequency_penalty=0.5, presence_penalty=0.25, repetition_penalty=2.0, logit_bias={3: 1.0}, temperature=0.0
    )
    sampler = Sampler(params, prompt=[0])
    for token in (1, 1, 2):
        sampler.saw(token)
    logits = np.array([2.0, 4.0, -1.0, 0.0], dtype=np.float32)
    # repetition: /2 where positive, *2 where negative, prompt included; then 0.25 + 0.5 a time for generated ones
    assert sampler.adjusted(logits).tolist() == [1.0, 2.0 - 0.25 - 1.0, -2.0 - 0.25 - 0.5, 1.0]
    assert logits[0] == 2.0


def test_log_probabilities_are_natural_logs_of_the_softmax() -> None:
    scores = token_logprobs(LOGITS, token=2, num_top=2)
    assert scores.logprob == pytest.approx(math.log(0.05), abs=1e-6)
    assert [token for token, _ in scores.top] == [1, 3]
    assert scores.top[0][1] == pytest.approx(math.log(0.4), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": -1.0}, "temperature = -1.0: must be from 0 to 100"),
        ({"temperature": math.nan}, "temperature = nan"),
        ({"top_p": 0.0}, "top_p = 0.0"),
        ({"min_p": 2.0}, "min_p = 2.0"),
        ({"top_k": -1}, "top_k = -1"),
        ({"max_tokens": -1}, "max_tokens = -1"),
        ({"stop": ("",)}, "stop = "),
        ({"logprobs": 21}, "logprobs = 21"),
        ({"logit_bias": {1: 101.0}}, "logit_bias"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused_by_name(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplingParams(**values)


class Countdown:
    """A grammar in which every token is one less than the one before."""

    def begin(self) -> Countdown:
        made = Countdown()
        made.following = 3
        return made

    def mask(self, logits_V: np.ndarray) -> None:
        logits_V[np.arange(len(logits_V)) != self.following] = -np.inf

    def accept(self, token: int) -> None:
        self.following = token - 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_grammar_decides_over_logits_and_bias_and_begins_anew_for_every_completion(temperature: float) -> None:
    params = SamplingParams(temperature=temperature, grammar=Countdown(), logit_bias={5: 100.0}, logprobs=2)
    assert not params.is_plain_greedy
    logits = np.linspace(0.0, 9.0, 6, dtype=np.float32)
    for _ in range(2):
        sampler, chosen = Sampler(params, [1]), []
        for _ in range(3):
            chosen.append(sampler.choose(logits))
            sampler.saw(chosen[-1])
        assert chosen == [3, 2, 1]
    assert logits[0] == 0.0  # the engine's own row stays as it is
