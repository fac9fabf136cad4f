"""Tokens per second of a model as a Python program gets them: `python bench/engine.py MODEL [MODEL ...]`.

`Model.load`, then completions of 1, 8 and 32 streams, greedy and drawn; a prompt of 480, or what fits; 600
short questions at once, as the eval asks them. Medians of 5. GLASSMILL_DECODER chooses the decoder.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
from machine import machine

from glassmill.infer.generate import Model
from glassmill.infer.sampling import SamplingParams

ROUNDS, PROMPT, BATCHES = 5, 480, (1, 8, 32)
NEW_TOKENS = {1: 192, 8: 96, 32: 48}
WAYS = {"greedy": {"temperature": 0.0}, "drawn": {"temperature": 0.8, "top_p": 0.95, "seed": 1}}


def seconds(model: Model, prompts: list[list[int]], new_tokens: list[int], **sampling: float) -> float:
    """Median time of all completions together."""
    params = [SamplingParams(max_tokens=count, ignore_eos=True, **sampling) for count in new_tokens]  # type: ignore[arg-type]
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for completion in model.engine.submit_all(prompts, params, may_exceed_queue=True):
            completion.reply()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main(path: str) -> None:
    model = Model.load(path, prefix_cache_bytes=0, speculate=False)
    words = min(model.config.vocab_size, 2000)
    random = np.random.default_rng(0)

    def prompts(count: int, length: int) -> list[list[int]]:
        return random.integers(256, words, (count, length)).tolist()

    print(f"{path}: {model.num_parameters / 1e6:.1f}M parameters, {type(model.decoder).__name__}; {machine()}")
    for way, sampling in WAYS.items():
        for batch in BATCHES:
            new = NEW_TOKENS[batch]
            taken = seconds(model, prompts(batch, 16), [new] * batch, **sampling)
            print(f"  {way}, {batch:2} streams: {batch * new / taken:8,.0f} tokens/s")
    length = min(PROMPT, model.engine.max_length - 1)
    print(f"  a prompt of {length}: {length / seconds(model, prompts(1, length), [1], temperature=0.0):8,.0f} tokens/s")
    asked = [prompts(1, int(length))[0] for length in random.integers(14, 30, 600)]
    taken = seconds(model, asked, random.integers(8, 24, 600).tolist(), temperature=0.0)
    print(f"  600 questions: {taken:.1f} s")
    model.close()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        main(path)
