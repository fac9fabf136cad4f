"""Guesses save steps where a text repeats itself; no text changes by them; who guesses badly stops."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

import pytest

from glassmill.infer.drafts import FIRST_REST, LONGEST, MATCH, SHORTEST, Drafts, Pace
from glassmill.infer.engine import Engine
from glassmill.infer.sampling import SamplingParams
from glassmill.model.transformer import Transformer
from tests.infer.parrot import VOCABULARY, Parrot

OpenEngine = Callable[..., AbstractContextManager[Engine]]


def test_a_draft_is_what_followed_the_same_tokens_last_time() -> None:
    ids = [*range(20), 99, *range(20)]
    drafts = Drafts(ids)
    assert drafts.next(9, 0.0) == [99, 0, 1, 2][:SHORTEST]
    assert drafts.next(2, 0.0) == [99, 0]
    ids.append(98)
    assert drafts.next(9, 0.0) == [], "these eight tokens are new"
    ids.extend([*range(3, 20), 97, *range(3, 20)])
    assert drafts.next(1, 0.0) == [97], "the last occurrence counts"


def test_a_draft_of_a_loop_goes_round() -> None:
    drafts = Drafts([1, 2, 3] * 5)
    for _ in range(4):
        drafts.judge(4, 4)
    assert drafts.next(99, 0.0) == ([1, 2, 3] * 11)[:LONGEST]
    assert Drafts([1] * MATCH).next(9, 0.0) == []
    assert Drafts([1] * (MATCH + 1)).next(9, 0.0) == [1] * SHORTEST


def test_who_guesses_badly_rests_longer_each_time() -> None:
    drafts, drafted = Drafts([1] * 50), []
    for _ in range(300):
        draft = drafts.next(99, 0.3)
        drafted.append(len(draft))
        if draft:
            drafts.judge(len(draft), 0)
    assert 0 < sum(map(bool, drafted)) < 30 and sum(map(bool, drafted[-100:])) < 8
    assert 0 in drafted[:FIRST_REST]
    sure = Drafts([1] * 50)
    for _ in range(20):
        draft = sure.next(99, 0.9)
        assert draft
        sure.judge(len(draft), len(draft))


def test_a_guess_must_be_worth_what_it_costs() -> None:
    pace = Pace()
    assert pace.break_even(1) > 1, "nothing is known"
    for _ in range(50):
        pace.measure(1, 0, 0.010, reading=False)
        pace.measure(1, 4, 0.014, reading=False)
        pace.measure(8, 0, 0.016, reading=False)
        pace.measure(1, 99, 0.100, reading=True)
    assert pace.break_even(1) == pytest.approx(0.1, rel=0.05)
    assert pace.break_even(8) == pytest.approx(0.5, rel=0.05)
    assert pace.break_even(3) > 1
    assert pace.prompt_tokens(0.1, 256) == 64 and pace.prompt_tokens(0.001, 256) == 32


LOOP = [*b"def one(): return 1\n"] * 3
WAYS = [
    SamplingParams(max_tokens=60, temperature=0.0, ignore_eos=True),
    SamplingParams(max_tokens=60, temperature=0.3, seed=1, ignore_eos=True),
    SamplingParams(max_tokens=60, temperature=0.0, repetition_penalty=1.01, ignore_eos=True),
    SamplingParams(max_tokens=33, temperature=0.2, top_k=3, seed=5, logprobs=2, ignore_eos=True),
    SamplingParams(max_tokens=None, temperature=0.0, stop=("\x01\x02", "zz"), ignore_eos=True),
]


def always(engine: Engine) -> Engine:
    """An engine to which every guess is worth while."""
    engine._batch.pace.break_even = lambda num_rows: 0.0  # type: ignore[method-assign]
    return engine


def seen(engine: Engine, prompts: Sequence[list[int]], params: Sequence[SamplingParams]) -> list[Any]:
    """What the callers get, token by token."""
    replies = [one.reply() for one in engine.submit_all(prompts, params)]
    return [(reply.text, [(r.token, r.piece) for r in reply.tokens], reply.finish_reason) for reply in replies]


def test_texts_are_the_same_with_and_without_guesses(
    make_model: Callable[..., Transformer], open_engine: OpenEngine
) -> None:
    model = make_model(seed=4, num_layers=1)
    prompts = [[*LOOP, seed] for seed in range(len(WAYS))]
    with open_engine(model, speculate=False) as engine:
        plain = [seen(engine, [prompt], [params])[0] for prompt, params in zip(prompts, WAYS, strict=True)]
        assert engine.stats().drafted_tokens == 0
    for max_rows in (1, 5):
        with open_engine(model, max_rows=max_rows) as engine:
            assert seen(always(engine), prompts, WAYS) == plain
            stats = engine.stats()
            assert 0 < stats.accepted_tokens < stats.drafted_tokens
            assert stats.new_tokens == sum(len(tokens) for _, tokens, _ in plain)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_text_that_repeats_itself_takes_few_passes(byte_tokenizer: Any, noise: float) -> None:
    follows = {token: (token + 1) % 40 for token in range(VOCABULARY)}
    params = SamplingParams(max_tokens=800, seed=3, temperature=0.35 if noise else 0.0, ignore_eos=True)
    made = []
    for speculate in (False, True):
        decoder = Parrot(follows, noise)
        with closing(always(Engine(decoder, byte_tokenizer, speculate=speculate))) as engine:
            made.append(seen(engine, [[0]], [params]))
        assert decoder.passes == 800 if not speculate else decoder.passes < (500 if noise else 100), decoder.passes
        assert not decoder.lengths, "a row is still open"
    assert made[0] == made[1]


def test_what_the_calculator_says_is_read_in_one_pass(byte_tokenizer: Any) -> None:
    names = ("<|tool_call|>", "<|tool_result|>", "<|tool_end|>")
    call, result, end = (byte_tokenizer.special[name] for name in names)
    stop = byte_tokenizer.stop_ids[0]
    said = [ord("?"), call, *b"9*7", result]
    follows = {**dict(itertools.pairwise(said)), end: ord("!"), ord("!"): stop}
    decoder = Parrot(follows, 0.0)
    with closing(Engine(decoder, byte_tokenizer)) as engine:
        reply = engine.submit([ord("?")], SamplingParams(temperature=0.0, tools=True, max_tokens=60)).reply()
    assert reply.text == "!" and [use.result for use in reply.tools] == ["63"]
    assert reply.num_completion_tokens == len(said) - 1 + len("63") + 3
    assert decoder.passes == reply.num_completion_tokens - len("63") - 1


def test_a_mix_of_rows_with_guesses_draws_what_each_draws_alone(byte_tokenizer: Any) -> None:
    chance = random.Random(1)
    follows = {token: (token + 1) % 17 for token in range(VOCABULARY)}
    params = [replace(chance.choice(WAYS), seed=seed, max_tokens=chance.randrange(1, 200)) for seed in range(20)]
    prompts = [[chance.randrange(17) for _ in range(chance.randrange(1, 60))] for _ in params]
    with closing(Engine(Parrot(follows, 1.0), byte_tokenizer, prefix_cache_bytes=0, speculate=False)) as engine:
        alone = [seen(engine, [prompt], [own])[0] for prompt, own in zip(prompts, params, strict=True)]
    with closing(always(Engine(Parrot(follows, 1.0), byte_tokenizer))) as engine:
        assert seen(engine, prompts, params) == alone
