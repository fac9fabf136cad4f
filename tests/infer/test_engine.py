"""Many requests at once get what each would get alone; whoever leaves makes room; nothing waits without bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any

import numpy as np
import pytest
import torch

from glassmill.errors import ContextOverflow, EngineClosed, QueueFull
from glassmill.infer.completion import Reply
from glassmill.infer.decoder import Answer, Decoder, Piece, whole_logits
from glassmill.infer.engine import PREFILL_TOKENS_SHARED, Engine
from glassmill.infer.sampling import SamplingParams
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.transformer import Transformer
from tests.infer.parrot import Parrot

OpenEngine = Callable[..., AbstractContextManager[Engine]]

GREEDY = SamplingParams(max_tokens=16, temperature=0.0, ignore_eos=True)
MIXED = [
    ([1], GREEDY),
    (list(b"a longer prompt than the others, to be padded against"), GREEDY),
    (list(b"seeded"), SamplingParams(max_tokens=24, seed=5)),
    (list(b"cut"), SamplingParams(max_tokens=20, seed=6, top_k=5, top_p=0.9, min_p=0.02, temperature=0.8)),
    (list(b"punished"), SamplingParams(max_tokens=20, temperature=0.0, frequency_penalty=1.0, presence_penalty=0.5)),
    (list(b"repeat"), SamplingParams(max_tokens=12, seed=1, repetition_penalty=1.3, logit_bias={7: 5.0})),
    (list(b"scored"), SamplingParams(max_tokens=4, temperature=0.0, logprobs=3, echo_logprobs=True)),
    (list(b"only scored"), SamplingParams(max_tokens=0, logprobs=1, echo_logprobs=True)),
    (list(b"stopped"), SamplingParams(max_tokens=30, seed=9, stop=("a", "\x01"))),
]


def tokens_of(reply: Reply) -> list[int]:
    return [record.token for record in reply.tokens]


def greedy_by_hand(model: Transformer, prompt: list[int], num_tokens: int) -> list[int]:
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(num_tokens):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def test_greedy_tokens_are_the_argmax_of_the_whole_sequence_at_every_step(
    model: Transformer, open_engine: OpenEngine
) -> None:
    with open_engine(model) as engine:
        for prompt in ([1], list(b"hello"), list(range(100))):
            reply = engine.submit(prompt, GREEDY).reply()
            assert tokens_of(reply) == greedy_by_hand(model, prompt, 16)
            assert (reply.num_prompt_tokens, reply.num_completion_tokens) == (len(prompt), 16)


def test_requests_in_one_batch_get_what_each_gets_alone(model: Transformer, open_engine: OpenEngine) -> None:
    with open_engine(model, max_rows=1) as engine:
        alone = [engine.submit(prompt, params).reply() for prompt, params in MIXED]
    with open_engine(model, max_rows=4) as engine:  # fewer rows than requests: they also join and leave in between
        together = [completion.reply() for completion in engine.submit_all(*zip(*MIXED, strict=True))]
    for one, other in zip(alone, together, strict=True):
        assert (one.text, tokens_of(one), one.finish_reason) == (other.text, tokens_of(other), other.finish_reason)
        scores = [[s.logprob for s in r.prompt_logprobs if s] for r in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.parametrize("length", [1, PREFILL_TOKENS_SHARED, PREFILL_TOKENS_SHARED + 1, 700])
def test_a_prompt_read_in_pieces_beside_others_gives_the_same_tokens(
    make_model: Callable[..., Transformer], open_engine: OpenEngine, length: int
) -> None:
    model = make_model(context_length=1024)
    prompt = [(7 * i) % 256 for i in range(length)]
    with open_engine(model) as engine:
        busy = engine.submit([3], SamplingParams(max_tokens=60, temperature=0.0, ignore_eos=True))
        next(iter_without_cancel(busy))
        assert tokens_of(engine.submit(prompt, GREEDY).reply()) == greedy_by_hand(model, prompt, 16)
        assert tokens_of(busy.reply()) == greedy_by_hand(model, [3], 60)


def iter_without_cancel(completion: Any) -> Any:
    while not completion.num_tokens:
        time.sleep(0.001)
    yield None


def test_prompt_scores_are_the_log_softmax_of_the_model(model: Transformer, open_engine: OpenEngine) -> None:
    prompt = list(b"score me, please")
    with open_engine(model) as engine:
        reply = engine.submit(
            prompt, SamplingParams(max_tokens=1, temperature=0.0, logprobs=2, echo_logprobs=True)
        ).reply()
    with torch.inference_mode():
        expected = model(torch.tensor([prompt]))[0].log_softmax(-1)
    assert reply.prompt_logprobs[0] is None and len(reply.prompt_logprobs) == len(prompt)
    for place, scores in enumerate(reply.prompt_logprobs[1:], start=1):
        assert scores is not None
        assert scores.logprob == pytest.approx(float(expected[place - 1, prompt[place]]), abs=1e-4)
        assert [token for token, _ in scores.top] == expected[place - 1].topk(2).indices.tolist()
    last = reply.tokens[-1].logprobs
    assert last is not None and last.top[0][0] == reply.tokens[-1].token


def test_the_same_seed_gives_the_same_text_whoever_else_is_served(model: Transformer, open_engine: OpenEngine) -> None:
    params = SamplingParams(max_tokens=30, seed=42)
    with open_engine(model) as engine:
        first = engine.submit([1, 2], params).reply()
        others = engine.submit_all([[i] for i in range(9)], [SamplingParams(max_tokens=40)] * 9)
        assert engine.submit([1, 2], params).reply().text == first.text
        assert engine.submit([1, 2], SamplingParams(max_tokens=30, seed=43)).reply().text != first.text
        assert len({completion.reply().text for completion in others}) > 1


def test_a_cancelled_request_leaves_after_one_step_and_makes_room(
    make_model: Callable[..., Transformer], open_engine: OpenEngine
) -> None:
    endless = SamplingParams(max_tokens=None, temperature=0.0, ignore_eos=True)
    with open_engine(make_model(context_length=50_000), max_rows=1) as engine:
        running = engine.submit([1], endless)
        waiting = engine.submit([2], endless)
        next(iter_without_cancel(running))
        waiting.cancel()
        running.cancel()
        assert running.reply().finish_reason == "cancelled"
        assert waiting.reply().finish_reason == "cancelled" and waiting.num_tokens == 0
        assert engine.submit([3], GREEDY).reply().finish_reason == "length"
        assert engine.stats().running <= 1 and engine.stats().waiting == 0


def test_leaving_the_loop_over_a_completion_cancels_it(
    make_model: Callable[..., Transformer], open_engine: OpenEngine
) -> None:
    with open_engine(make_model(context_length=50_000)) as engine:
        completion = engine.submit([1], SamplingParams(temperature=0.0, ignore_eos=True))
        for _ in completion:
            break
        assert completion.reply().finish_reason == "cancelled"
        assert completion.num_tokens < 40_000


def test_a_thousand_cancelled_requests_leave_nothing_behind(model: Transformer, open_engine: OpenEngine) -> None:
    with open_engine(model, max_waiting=2000) as engine:
        many = engine.submit_all([[i % 256] for i in range(1000)], [SamplingParams(max_tokens=100)] * 1000)
        for completion in many[:-1]:
            completion.cancel()
        assert many[-1].reply().finish_reason in ("stop", "length")
        assert all(completion.done for completion in many)
        assert engine.submit([1], GREEDY).reply().finish_reason == "length"


def test_a_long_prompt_stalls_neither_a_running_answer_nor_a_short_question(byte_tokenizer: Any) -> None:
    decoder = Parrot({})
    seen: dict[str, list[int]] = {"running": [], "long": [], "short": []}
    notes = {name: lambda delta, passes=passes: passes.append(decoder.passes) for name, passes in seen.items()}
    endless = SamplingParams(max_tokens=60, temperature=0.0, ignore_eos=True)
    with closing(Engine(decoder, byte_tokenizer, speculate=False)) as engine:
        prompts = [[1], [2] * 4000, [3] * 10]
        for completion in engine.submit_all(prompts, [endless] * 3, list(notes.values())):
            completion.reply()
    assert seen["running"] == list(range(1, 61)), "a token in every pass"
    assert seen["short"][0] <= 4 < 4000 // PREFILL_TOKENS_SHARED <= seen["long"][0]


def test_a_question_does_not_wait_behind_a_long_prompt_that_is_read_alone(byte_tokenizer: Any) -> None:
    decoder = Parrot({})
    first: list[str] = []
    with closing(Engine(decoder, byte_tokenizer)) as engine:
        params = SamplingParams(max_tokens=1, temperature=0.0)
        notes = [lambda delta, name=name: first.append(name) for name in ("long", "short")]
        for completion in engine.submit_all([[2] * 4000, [3] * 10], [params] * 2, notes):
            completion.reply()
    assert first == ["short", "long"]


@pytest.mark.parametrize(
    ("prompt", "params", "error", "message"),
    [
        ([], GREEDY, ValueError, "empty"),
        ([1] * 128, GREEDY, ContextOverflow, "128 tokens; the context holds 128"),
        ([1000], GREEDY, ValueError, "token id 1000 is out of range: the model has 262 tokens"),
        ([-1], GREEDY, ValueError, "token id -1"),
        ([1], SamplingParams(logit_bias={999: 1.0}), ValueError, "token id 999"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_at_once(
    model: Transformer, open_engine: OpenEngine, prompt: list[int], params: SamplingParams, error: type, message: str
) -> None:
    with open_engine(model) as engine, pytest.raises(error, match=message):
        engine.submit(prompt, params)


def test_an_answer_that_would_not_fit_ends_where_the_context_ends(model: Transformer, open_engine: OpenEngine) -> None:
    with open_engine(model) as engine:
        for wanted in (None, 10_000):
            params = SamplingParams(max_tokens=wanted, temperature=0.0, ignore_eos=True)
            reply = engine.submit([1] * 100, params).reply()
            assert (reply.finish_reason, reply.num_completion_tokens) == ("length", 28)


def test_a_full_queue_refuses_all_of_a_request_or_nothing(model: Transformer, open_engine: OpenEngine) -> None:
    with open_engine(model, max_rows=1, max_waiting=3) as engine:
        with pytest.raises(QueueFull, match="try again later"):
            engine.submit_all([[1]] * 4, [GREEDY] * 4)
        assert engine.stats().completions == 0
        assert len(engine.submit_all([[1]] * 4, [GREEDY] * 4, may_exceed_queue=True)[-1].reply().tokens) == 16


def test_memory_for_the_cache_bounds_how_many_are_computed_at_once(model: Transformer, byte_tokenizer: Any) -> None:
    token_bytes = 2 * 2 * 2 * 8 * 4  # keys and values, layers, kv heads, head_dim, float32
    running: list[int] = []
    with closing(Engine(TorchDecoder(model, 16, max_cache_bytes=3 * 17 * token_bytes), byte_tokenizer)) as engine:
        many = engine.submit_all([[1]] * 8, [GREEDY] * 8, [lambda delta: running.append(engine.stats().running)] * 8)
        assert all(len(completion.reply().tokens) == 16 for completion in many)
    assert max(running) == 3


def test_a_step_that_fails_ends_its_requests_and_the_engine_goes_on(
    make_model: Callable[..., Transformer], open_engine: OpenEngine
) -> None:
    with open_engine(make_model()) as engine:
        working, engine._decoder.forward = engine._decoder.forward, broken  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="out of order"):
            engine.submit([1], GREEDY).reply()
        engine._decoder.forward = working  # type: ignore[method-assign]
        assert engine.submit([1], GREEDY).reply().finish_reason == "length"


def test_a_request_that_cannot_begin_ends_alone_and_leaves_no_row(model: Transformer, byte_tokenizer: Any) -> None:
    decoder = TorchDecoder(model, 3)
    with closing(Engine(decoder, byte_tokenizer)) as engine:
        prompt = list(range(40))
        first = engine.submit(prompt, GREEDY).reply()
        reserve = decoder._reserve
        for _ in range(5):  # more often than there are rows
            decoder._reserve = no_memory  # type: ignore[method-assign]
            with pytest.raises(MemoryError):
                engine.submit([*prompt[:30], 9], GREEDY).reply()
            decoder._reserve = reserve  # type: ignore[method-assign]
            assert tokens_of(engine.submit(prompt, GREEDY).reply()) == tokens_of(first)
        assert len(decoder._lengths) == len(engine._batch.prefixes)


def no_memory(num_rows: int, num_tokens: int) -> None:
    raise MemoryError("no room for the cache")


def broken(pieces: Sequence[Piece]) -> list[Answer]:
    raise RuntimeError("out of order")


def test_a_call_runs_between_two_steps_as_soon_as_a_row_is_free(model: Transformer, open_engine: OpenEngine) -> None:
    with open_engine(model, max_rows=1) as engine:
        alone = engine.call(lambda decoder: whole_logits(decoder, [1, 2]))
        busy = engine.submit_all([[1]] * 3, [GREEDY] * 3)
        next(iter_without_cancel(busy[0]))
        made = engine.call(lambda decoder: [completion.num_tokens for completion in busy])
        assert made in ([16, 0, 0], [16, 16, 0], [16, 16, 16])  # never in the middle of one
        assert np.allclose(engine.call(lambda decoder: whole_logits(decoder, [1, 2])), alone, atol=1e-4)
        assert [len(completion.reply().tokens) for completion in busy] == [16] * 3
        with pytest.raises(ZeroDivisionError):
            engine.call(divide_by_zero)
        assert engine.submit([1], GREEDY).reply().finish_reason == "length"


def divide_by_zero(decoder: Decoder) -> float:
    return 1 / 0


def test_closing_ends_everybody_and_the_thread(model: Transformer, open_engine: OpenEngine) -> None:
    before = threading.active_count()
    with open_engine(model, max_rows=1) as engine:
        many = engine.submit_all([[1]] * 5, [SamplingParams(max_tokens=120, ignore_eos=True)] * 5)
    assert threading.active_count() == before
    for completion in many[1:]:
        with pytest.raises(EngineClosed):
            completion.reply()
    with pytest.raises(EngineClosed):
        engine.submit([1], GREEDY)
