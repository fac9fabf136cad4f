"""Tokens per second of the engine, random weights: `python bench/engine.py [small|smol ...] [float32|bfloat16 ...]`.

Greedy decode at batch 1, 8 and 32 and prefill of 480 tokens, best of 3; then 600 short questions at once, as the eval
asks them. Prints the machine's load beside the figures: with foreign load on the cores they mean little.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from machine import machine

from glassmill.infer.engine import Engine
from glassmill.infer.sampling import SamplingParams
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer

SHAPES = {
    "small": ModelConfig(2048, 160, 4, 5, 5, 32, 448, 512),
    "smol": ModelConfig(49152, 576, 30, 9, 3, 64, 1536, 2048, qk_norm=False),
}


class Nothing:
    """A tokenizer without special tokens, so that nothing ends a completion early."""

    special: dict[str, int] = {}  # noqa: RUF012
    stop_ids = ()

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        return b"x"


def seconds(engine: Engine, prompts: list[list[int]], new_tokens: list[int]) -> float:
    params = [SamplingParams(max_tokens=n, temperature=0.0) for n in new_tokens]
    start = time.perf_counter()
    for completion in engine.submit_all(prompts, params, may_exceed_queue=True):
        completion.reply()
    return time.perf_counter() - start


def main(shape: str, dtype: str) -> None:
    model = Transformer(SHAPES[shape])
    initialize(model, seed=0)
    model = model.to(getattr(torch, dtype)).eval()
    million = num_parameters(model.config) / 1e6
    print(f"{shape} {million:.1f} M {dtype}, {torch.get_num_threads()} threads; {machine()}")
    new = 64 if shape == "small" else 24
    for batch in (1, 8, 32):
        engine = Engine(TorchDecoder(model, batch), Nothing())
        best = min(seconds(engine, [[1] * 32] * batch, [new] * batch) for _ in range(3))
        print(f"  batch {batch:2}: {batch * new / best:7.0f} tok/s")
        engine.close()
    engine = Engine(TorchDecoder(model, 32), Nothing())
    best = min(seconds(engine, [[1] * 480], [1]) for _ in range(3))
    print(f"  prefill 480: {480 / best:6.0f} tok/s")
    if shape == "small":
        draw = np.random.default_rng(0)
        prompts = [draw.integers(1, 2000, draw.integers(14, 30)).tolist() for _ in range(600)]
        print(f"  600 questions: {seconds(engine, prompts, draw.integers(8, 24, 600).tolist()):.1f} s")
    engine.close()


if __name__ == "__main__":
    words = sys.argv[1:]
    for shape in [word for word in words if word in SHAPES] or list(SHAPES):
        for dtype in [word for word in words if word in ("float32", "bfloat16")] or ["float32", "bfloat16"]:
            main(shape, dtype)
