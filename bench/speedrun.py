"""What a recipe is worth: held-out bits per byte after the same steps or minutes on the same text, over several seeds.

    python bench/speedrun.py --text FILE... --steps 400 --seeds 3 [--vary NAME:key=value,key=value ...]

Every variant changes settings of `[train]`, or ties the model's head to its embeddings (`tied=true`); the first line is
the recipe as it stands. All variants of a seed read the same tokens, and start from the same weights if they have the
same; so differences are taken pair by pair, with a 95 % confidence interval.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from machine import machine

from glassmill.evals.bits_per_byte import bits_per_byte
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.bigrams import count_bigrams
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.recipe import TrainSettings
from glassmill.tokens import bpe
from glassmill.train.gradients import Batch
from glassmill.train.plan import set_up
from glassmill.train.start import BIGRAM_TOKENS
from glassmill.train.trainer import Trainer

STUDENT = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""97.5 % quantile of Student's t, by degrees of freedom."""
SHAPES = {  # vocabulary, ModelConfig's d_model, num_layers, num_heads, num_kv_heads, head_dim, d_ff, context_length
    "1M": (2048, 160, 4, 5, 5, 32, 448, 256),
    "3M": (4096, 224, 5, 7, 7, 32, 608, 256),
    "14M": (8192, 384, 6, 6, 6, 64, 1024, 512),
    "30M": (8192, 512, 9, 8, 8, 64, 1408, 512),
}
HELD_OUT = 0.04
"""Share of the text, from its end."""
CURVES = 8
"""Parts of a run in which the held-out text is scored."""


class Text:
    """Token ids of a text, learnt and held out, by a vocabulary of its own."""

    def __init__(self, paths: Sequence[Path], vocabulary: int) -> None:
        text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
        cut = int(len(text) * (1 - HELD_OUT))
        symbols = bpe.train([text[:cut]], vocabulary, "llama3")
        from glassmill.native import Encoder

        encoder = Encoder({symbol: rank for rank, symbol in enumerate(symbols)}, "llama3", special={})
        self.train, self.held_out = (encoder.encode(part).astype(np.int64) for part in (text[:cut], text[cut:]))
        self.token_bytes = np.array([len(symbol) for symbol in symbols])
        self.vocabulary = -(-len(symbols) // 64) * 64


class Windows:
    """Random windows of the learnt part, a pure function of seed and step."""

    def __init__(self, text: Text, rows: int, length: int, seed: int) -> None:
        self.text, self.rows, self.length, self.seed = text, rows, length, seed

    def batch(self, step: int) -> Batch:
        random = np.random.default_rng((self.seed, step))
        starts = random.integers(0, len(self.text.train) - self.length - 1, self.rows)
        ids = torch.from_numpy(np.stack([self.text.train[start : start + self.length + 1] for start in starts]))
        return Batch(
            ids[:, :-1].contiguous(),
            ids[:, 1:].contiguous(),
            torch.full((self.rows, self.length), 1 / (self.rows * self.length)),
        )


def train(
    text: Text, shape: tuple[int, ...], settings: TrainSettings, seed: int, held_out_tokens: int, tied: bool = False
) -> tuple[float, float, int]:
    """Bits per byte at the end, seconds of the steps, and their number."""
    config = ModelConfig(text.vocabulary, *shape[1:], tie_embeddings=tied)
    model = fresh(text, config, seed, settings.bigrams)
    rows = max(1, settings.batch_tokens // config.context_length)
    trainer = Trainer(
        model, Windows(text, rows, config.context_length, seed), settings, set_up(settings, config.d_model)
    )
    begin, steps = time.perf_counter(), settings.steps or 10**9
    if settings.minutes is not None:  # the schedule of the steps that fit
        for step in range(3):
            trainer.gradients(trainer.batches.batch(step))
            begin, lap = time.perf_counter(), time.perf_counter() - begin
        steps = min(steps, int(60 * settings.minutes / (1.1 * lap)))
    for step in range(steps):
        trainer.step(step, steps)
    seconds = time.perf_counter() - begin
    published = trainer.whole_model()
    assert published is not None
    decoder = TorchDecoder(published)
    bits = bits_per_byte(decoder, text.held_out, text.token_bytes, config.context_length, held_out_tokens)
    return bits, seconds, steps


def fresh(text: Text, config: ModelConfig, seed: int, bigrams: bool = True) -> Transformer:
    """A new model, as the stage makes it."""
    model = Transformer(config)
    tokens = min(BIGRAM_TOKENS, len(text.train)) // config.context_length * config.context_length
    rows = text.train[:tokens].reshape(-1, config.context_length)
    initialize(model, seed, count_bigrams(rows, config.vocab_size) if bigrams and not config.tie_embeddings else None)
    return model


def interval(differences: Sequence[float]) -> str:
    """Mean and half the width of the 95 % confidence interval."""
    if len(differences) < 2:
        return f"{mean(differences):+.4f}"
    half = STUDENT[min(9, len(differences) - 1)] * stdev(differences) / math.sqrt(len(differences))
    return f"{mean(differences):+.4f} ± {half:.4f}"


def variant(given: str) -> tuple[str, dict[str, str]]:
    name, _, changes = given.partition(":")
    return name, dict(change.split("=", 1) for change in changes.split(",") if change)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--shape", choices=SHAPES, default="1M")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--minutes", type=float, help="instead of steps: as many as fit, measured first")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out-tokens", type=int, default=65_536)
    parser.add_argument("--vary", type=variant, action="append", default=[], metavar="NAME:KEY=VALUE,...")
    arguments = parser.parse_args()
    if (arguments.steps is None) == (arguments.minutes is None):
        parser.error("give --steps or --minutes")
    shape = SHAPES[arguments.shape]
    text = Text(arguments.text, shape[0])
    print(machine())
    parameters = num_parameters(ModelConfig(text.vocabulary, *shape[1:], tie_embeddings=False))
    print(f"{parameters:,} parameters, {len(text.train):,} tokens to learn from")
    print(f"{'variant':28}{'bits per byte, by seed':36}{'mean':>8}   difference (95 %)     steps  tokens/s")
    base: list[float] = []
    length = {"steps": arguments.steps, "minutes": arguments.minutes}
    for name, changes in [("as it stands", {}), *arguments.vary]:
        tied = changes.pop("tied", "false") == "true"
        settings = TrainSettings.model_validate({"batch_tokens": 2048, **length, **changes})
        runs = [
            train(text, shape, settings, seed, arguments.held_out_tokens, tied)
            for seed in range(1, arguments.seeds + 1)
        ]
        bits = [run[0] for run in runs]
        base = base or bits
        pace = mean(run[2] * settings.batch_tokens / run[1] for run in runs)
        difference = interval([a - b for a, b in zip(bits, base, strict=True)]) if bits is not base else ""
        by_seed = " ".join(f"{value:.4f}" for value in bits)
        print(f"{name:28}{by_seed:36}{mean(bits):8.4f}   {difference:20} {runs[0][2]:6} {pace:9,.0f}", flush=True)


if __name__ == "__main__":
    main()
