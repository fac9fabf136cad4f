"""Claim: the hand-written training step of `glassmill.train.fused` is faster than eager autograd on a CPU in float32.

    python bench/training_speed.py [--pairs 5] [--threads 2]

Three ways to train a model of the demo's size take turns on the same tokens in one process: an eager GPT-2-shaped block
(LayerNorm, GELU, learned positions, AdamW with clipping: the recipe of the small trainers everybody starts with), this
project's `Transformer` under autograd, and the hand-written step, the last two with Muon. Wall time tells what a user
sees; CPU time is printed beside it, because on a busy machine it is the number to trust.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer
from glassmill.train.gradients import AutogradGradients, Batch, FusedGradients, Gradients
from glassmill.train.optimizer import Optimizer

CONFIG = ModelConfig(1024, 160, 4, 5, 5, 32, 448, 256)
ROWS = 16


class EagerBlock(nn.Module):
    """Attention and a four times wider GELU layer, as in GPT-2."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = (p.view(B, T, self.heads, -1).transpose(1, 2) for p in self.qkv(self.norm1(x)).split(D, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(B, T, D))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class EagerModel(nn.Module):
    """Embeddings, blocks, tied head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.places = nn.Embedding(config.context_length, config.d_model)
        self.blocks = nn.Sequential(*(EagerBlock(config.d_model, config.num_heads) for _ in range(config.num_layers)))
        self.norm = nn.LayerNorm(config.d_model)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        return F.linear(self.norm(self.blocks(x)), self.tokens.weight)


def eager_step(config: ModelConfig, batch: Batch) -> Callable[[], object]:
    model = EagerModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(batch.ids).flatten(0, 1), batch.targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def own_step(config: ModelConfig, batch: Batch, by_hand: bool) -> Callable[[], object]:
    model = Transformer(config)
    initialize(model, 1)
    gradients: Gradients = (
        FusedGradients(model, ROWS, config.context_length) if by_hand else AutogradGradients(model, ROWS, torch.float32)
    )
    optimizer = Optimizer(model, "muon", momentum=0.95, weight_decay=0.0)

    def step() -> None:
        gradients(batch)
        optimizer.step(0.02, 0.004)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = torch.Generator().manual_seed(0)
    shape = (ROWS, CONFIG.context_length)
    ids, targets = (torch.randint(0, CONFIG.vocab_size, shape, generator=generator) for _ in range(2))
    batch = Batch(ids, targets, torch.full(shape, 1 / ids.numel()))
    steps = {
        "eager GPT-2 block, AdamW": eager_step(CONFIG, batch),
        "Qwen3 shape under autograd, Muon": own_step(CONFIG, batch, by_hand=False),
        "Qwen3 shape by hand, Muon": own_step(CONFIG, batch, by_hand=True),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for turn in range(arguments.pairs + 1):
        for name, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            if turn:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    print(f"{num_parameters(CONFIG):,} parameters, {ids.numel()} tokens a step, {arguments.threads} threads")
    first = next(iter(times.values()))
    for name, measured in times.items():
        wall_ratio = median(a[0] / b[0] for a, b in zip(first, measured, strict=True))
        cpu_ratio = median(a[1] / b[1] for a, b in zip(first, measured, strict=True))
        wall, cpu = (median(column) for column in zip(*measured, strict=True))
        print(
            f"{name:34} {ids.numel() / wall:8,.0f} tokens/s ({wall_ratio:.2f}x)"
            f"   {ids.numel() / cpu:8,.0f} tokens/CPU-s ({cpu_ratio:.2f}x)"
        )


if __name__ == "__main__":
    main()
