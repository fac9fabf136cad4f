"""What was read before is not read again, nobody's text changes by it, and what is kept has a bound."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest

from glassmill.infer.completion import Reply
from glassmill.infer.decoder import Piece
from glassmill.infer.engine import Engine
from glassmill.infer.prefixes import MIN_SHARED, PrefixCache, common_length
from glassmill.infer.sampling import SamplingParams
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.transformer import Transformer

OpenEngine = Callable[..., AbstractContextManager[Engine]]

GREEDY = SamplingParams(max_tokens=8, temperature=0.0, ignore_eos=True)
SYSTEM = [(37 * i) % 256 for i in range(64)]


@contextmanager
def counted(engine: Engine) -> Iterator[list[int]]:
    """The number of tokens of every piece that the decoder reads."""
    read: list[int] = []
    forward = engine._decoder.forward

    def counting(pieces: list[Piece]) -> Any:
        read.extend(len(piece.ids) for piece in pieces)
        return forward(pieces)

    engine._decoder.forward = counting  # type: ignore[method-assign, assignment]
    yield read


def tokens_of(reply: Reply) -> list[int]:
    return [record.token for record in reply.tokens]


def test_a_shared_beginning_is_read_once(model: Transformer, open_engine: OpenEngine) -> None:
    with open_engine(model, prefix_cache_bytes=0) as engine:
        plain = engine.submit([*SYSTEM, 3, 4], GREEDY).reply()
    with open_engine(model) as engine, counted(engine) as read:
        engine.submit([*SYSTEM, 1, 2], GREEDY).reply()
        del read[:]
        warm = engine.submit([*SYSTEM, 3, 4], GREEDY).reply()
        assert (read[0], warm.num_cached_tokens) == (2, 64)
        assert (tokens_of(warm), warm.num_prompt_tokens) == (tokens_of(plain), 66)
        stats = engine.stats()
        assert (stats.prefix_hits, stats.prefix_tokens) == (1, 64) and stats.prefix_bytes > 0


def test_a_conversation_goes_on_where_its_last_answer_ended(model: Transformer, open_engine: OpenEngine) -> None:
    with open_engine(model) as engine:
        said = SYSTEM
        for turn in range(3):
            reply = engine.submit(said, GREEDY).reply()
            assert reply.num_cached_tokens == (len(said) - 3 if turn else 0)  # the last token was never read
            said = [*said, *tokens_of(reply), 5, 6]
        assert len(engine._batch.prefixes) == 1, "the longer row stands for the shorter ones"


def test_all_answers_to_one_prompt_read_it_once(model: Transformer, open_engine: OpenEngine) -> None:
    params = [SamplingParams(max_tokens=8, seed=seed) for seed in range(4)]
    with open_engine(model, prefix_cache_bytes=0) as engine:
        alone = [engine.submit(SYSTEM, own).reply().text for own in params]
    with open_engine(model) as engine, counted(engine) as read:
        many = engine.submit_all([SYSTEM] * 4, params)
        assert [one.reply().text for one in many] == alone
        assert sorted(read)[-4:] == [1, 1, 1, 64]


@pytest.mark.parametrize("max_rows", [1, 3])
def test_texts_are_the_same_with_a_cache_however_small(
    model: Transformer, open_engine: OpenEngine, max_rows: int
) -> None:
    chance = random.Random(max_rows)
    starts = [SYSTEM, SYSTEM[:40], [*SYSTEM[:50], 1, 2, 3], [9] * 36]
    jobs = []
    for number in range(40):
        prompt = chance.choice(starts) + [chance.randrange(256) for _ in range(chance.randrange(1, 30))]
        params = SamplingParams(max_tokens=chance.randrange(12), seed=number, temperature=chance.choice([0.0, 1.0]))
        jobs.append((prompt, params))
    with open_engine(model, prefix_cache_bytes=0) as engine:
        plain = [engine.submit(*job).reply() for job in jobs]
        token_bytes = engine._decoder.info.token_bytes
    with open_engine(model, max_rows=max_rows, prefix_cache_bytes=200 * token_bytes) as engine:
        kept: list[int] = []
        note = [lambda delta: kept.append(engine.stats().prefix_bytes)] * 40
        several = [one.reply() for one in engine.submit_all(*zip(*jobs, strict=True), on_delta=note)]
        assert engine.stats().prefix_hits > 5 and max(kept) <= 200 * token_bytes
    assert [tokens_of(reply) for reply in several] == [tokens_of(reply) for reply in plain]


def test_log_probabilities_of_a_known_prompt_are_computed(model: Transformer, open_engine: OpenEngine) -> None:
    params = SamplingParams(max_tokens=1, temperature=0.0, logprobs=0, echo_logprobs=True)
    with open_engine(model) as engine:
        first, second = (engine.submit(SYSTEM, params).reply() for _ in range(2))
    assert [s and s.logprob for s in second.prompt_logprobs] == [s and s.logprob for s in first.prompt_logprobs]
    assert len(second.prompt_logprobs) == 64 and second.num_cached_tokens == 0


def test_no_row_stays_open_but_those_that_are_kept(model: Transformer, byte_tokenizer: Any) -> None:
    decoder, chance = TorchDecoder(model, 4), random.Random(0)
    engine = Engine(decoder, byte_tokenizer)
    many = engine.submit_all(
        [SYSTEM[: chance.randrange(20, 64)] for _ in range(100)], [SamplingParams(max_tokens=20)] * 100
    )
    for completion in many:
        if chance.random() < 0.5:
            completion.cancel()
    for completion in many:
        completion.reply()
    assert engine.call(lambda decoder: decoder.open_row()) not in decoder._slots, "a kept row makes way"
    assert len(decoder._lengths) - 1 == len(engine._batch.prefixes) <= 3
    engine.close()
    assert len(decoder._lengths) == 1


def test_what_was_used_longest_ago_leaves_first(model: Transformer) -> None:
    decoder = TorchDecoder(model, 8)
    cache = PrefixCache(decoder, 3 * 40 * decoder.info.token_bytes)
    texts = [np.full(40, fill) for fill in range(4)]

    def read(text: np.ndarray) -> int:
        row, shared = cache.begin(text, 60, [])
        decoder.forward([Piece(row, text[shared:].tolist(), want=0)])
        cache.keep(row, text.tolist())
        return shared

    assert [read(texts[i]) for i in (0, 1, 2)] == [0, 0, 0]
    assert read(texts[0]) == 39
    assert read(texts[3]) == 0  # 1 leaves for it
    assert [read(texts[i]) for i in (0, 2, 3)] == [39] * 3
    assert read(texts[1]) == 0
    assert len(cache) == len(decoder._lengths) == 3 and cache.num_tokens == 120
    cache.keep(decoder.open_row(), [1] * (MIN_SHARED - 1))
    assert len(cache) == len(decoder._lengths) == 3, "a short text is not worth a row"


def test_a_kept_row_that_goes_on_makes_the_others_leave_if_it_needs_their_room(model: Transformer) -> None:
    decoder = TorchDecoder(model, 8)
    decoder.max_cache_bytes = 4 * 50 * decoder.info.token_bytes
    cache = PrefixCache(decoder, decoder.max_cache_bytes)
    for fill in range(3):
        text = np.full(40, fill)
        row, shared = cache.begin(text, 50, [])
        decoder.forward([Piece(row, text[shared:].tolist(), want=0)])
        cache.keep(row, text.tolist())
    assert cache.begin(np.array([*[2] * 40, 7, 7]), 110, [])[1] == 40
    assert len(cache) == 0 and len(decoder._lengths) == 1


def test_common_beginnings() -> None:
    for one, other, length in [([], [], 0), ([1], [], 0), ([1], [1, 2], 1), ([1, 2], [3, 2], 0), ([1, 2], [1, 3], 1)]:
        assert common_length(np.array(one), np.array(other)) == common_length(np.array(other), np.array(one)) == length
