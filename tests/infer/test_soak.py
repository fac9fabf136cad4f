"""Many clients at once, some leaving early, with every shortcut on: everybody gets what a plain engine gives, alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from glassmill.infer.engine import Engine
from glassmill.infer.sampling import SamplingParams
from glassmill.model.transformer import Transformer

OpenEngine = Callable[..., AbstractContextManager[Engine]]

CLIENTS, REQUESTS = 6, 120
Job = tuple[list[int], SamplingParams]


def some_job(seed: int) -> Job:
    chance = random.Random(seed)
    start = [*b"def one(): return 1\n"] * 3
    prompt = [*start[: chance.choice([0, 40, 60])], *(chance.randrange(256) for _ in range(chance.choice([1, 2, 9])))]
    params = SamplingParams(
        max_tokens=chance.randrange(60),
        temperature=chance.choice([0.0, 0.0, 0.2, 1.0]),
        top_p=chance.choice([1.0, 0.9]),
        repetition_penalty=chance.choice([1.0, 1.0, 1.1]),
        stop=chance.choice([(), ("ab",)]),
        logprobs=chance.choice([None, None, 2]),
        seed=seed,
        ignore_eos=True,
    )
    return prompt, params


@pytest.mark.slow
@pytest.mark.parametrize(("max_rows", "kept_tokens"), [(2, 100), (9, 300)])
def test_everybody_gets_the_same_text_and_no_row_is_lost(
    make_model: Callable[..., Transformer], open_engine: OpenEngine, max_rows: int, kept_tokens: int
) -> None:
    model = make_model(seed=4, num_layers=1)  # it repeats itself
    jobs = [some_job(seed) for seed in range(REQUESTS)]
    with open_engine(model, prefix_cache_bytes=0, speculate=False) as engine:
        plain = [[record.token for record in engine.submit(*job).reply().tokens] for job in jobs]
        token_bytes = engine._decoder.info.token_bytes
    got: dict[int, list[int]] = {}
    with open_engine(model, max_rows=max_rows, prefix_cache_bytes=kept_tokens * token_bytes) as engine:
        engine._batch.pace.break_even = lambda num_rows: 0.0  # type: ignore[method-assign]

        def client(first: int) -> None:
            chance = random.Random(first)
            for number in range(first, REQUESTS, CLIENTS):
                completion = engine.submit(*jobs[number])
                if chance.random() < 0.3:
                    for _ in engine.submit(jobs[number][0], SamplingParams(temperature=0.0, ignore_eos=True)):
                        break
                got[number] = [record.token for record in completion.reply().tokens]

        threads = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.call(lambda decoder: None)  # the last step is over
        stats, decoder, kept = engine.stats(), engine._decoder, engine._batch.prefixes
        assert stats.prefix_hits and stats.drafted_tokens and stats.prefix_bytes <= kept_tokens * token_bytes
        assert len(decoder._lengths) == len(kept) + stats.running  # type: ignore[attr-defined]
    assert [got[number] for number in range(REQUESTS)] == plain
    assert not decoder._lengths  # type: ignore[attr-defined]
