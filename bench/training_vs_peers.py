"""Claim: this project's training step is faster on a CPU than nanoGPT's, Hugging Face's Trainer's and nanochat's.

    python bench/training_vs_peers.py --nanogpt DIR [--nanochat DIR] [--tokens 2048 4096] [--pairs 5] [--shape 14M]

DIR is a checkout. All train a model of one shape (14M parameters: width 384, 6 layers, vocabulary 8,192, context 512)
on the same random tokens, in one process, in turn: nanoGPT eager in float32 (its only type on a CPU), Hugging Face's
Trainer on a GPT-2 of that shape with bf16, nanochat compiled with NANOCHAT_DTYPE=bfloat16, and this project's own step
with AdamW and with Muon, the default. Medians; wall time decides, CPU time is what to trust on a busy machine. With
--first every one is then started in a process of its own, and the time until its first step is done is taken.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from machine import machine
from torch import Tensor

Step = Callable[[], object]
SHAPES = {  # d_model, layers, heads, d_ff, vocabulary, context
    "14M": (384, 6, 6, 1024, 8192, 512),
    "demo": (160, 4, 5, 448, 2048, 256),
}


def some_tokens(shape: str, tokens: int) -> tuple[Tensor, Tensor]:
    *_, vocabulary, context = SHAPES[shape]
    generator = torch.Generator().manual_seed(0)
    ids, targets = (torch.randint(0, vocabulary, (tokens // context, context), generator=generator) for _ in range(2))
    return ids, targets


def ours(shape: str, tokens: int, optimizer: str) -> tuple[Step, Step, float]:
    """A whole step, the optimiser's part alone, and floating point operations of a step."""
    from glassmill.model.config import ModelConfig
    from glassmill.model.initial import initialize
    from glassmill.model.sizes import training_flops_per_token
    from glassmill.model.transformer import Transformer
    from glassmill.recipe import TrainSettings
    from glassmill.train.gradients import Batch
    from glassmill.train.plan import set_up
    from glassmill.train.trainer import Trainer

    width, layers, heads, d_ff, vocabulary, context = SHAPES[shape]
    config = ModelConfig(vocabulary, width, layers, heads, heads, width // heads, d_ff, context)
    settings = TrainSettings(optimizer=optimizer, batch_tokens=tokens)  # type: ignore[arg-type]
    model = Transformer(config)
    initialize(model, 1)
    ids, targets = some_tokens(shape, tokens)

    class Same:
        rows, length = ids.shape

        def batch(self, step: int) -> Batch:
            return Batch(ids, targets, torch.full(ids.shape, 1 / ids.numel()))

    trainer = Trainer(model, Same(), settings, set_up(settings, width))
    return (
        lambda: trainer.step(1000, 10**9),
        lambda: trainer.optimizer.step(0.02, 0.004),
        training_flops_per_token(config) * tokens,
    )


def nanogpt_model(folder: Path, shape: str) -> tuple[Any, Any]:
    """Its model and optimiser, as in its train.py with device=cpu, compile=False."""
    sys.path.insert(0, str(folder))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    sys.path.remove(str(folder))
    width, layers, heads, _, vocabulary, context = SHAPES[shape]
    model = GPT(GPTConfig(context, vocabulary, layers, heads, width, dropout=0.0, bias=False))
    return model, model.configure_optimizers(0.1, 6e-4, (0.9, 0.95), "cpu")


def nanogpt(folder: Path, shape: str, tokens: int) -> Step:
    model, optimizer = nanogpt_model(folder, shape)
    ids, targets = some_tokens(shape, tokens)

    def step() -> None:
        _, loss = model(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def hugging_face(shape: str, tokens: int) -> Step:
    """The Trainer's own `training_step` and optimiser, bf16, on a GPT-2."""
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    width, layers, heads, _, vocabulary, context = SHAPES[shape]
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=context, n_embd=width, n_layer=layers, n_head=heads,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    arguments = TrainingArguments(
        tempfile.mkdtemp(), use_cpu=True, bf16=True, per_device_train_batch_size=tokens // context, report_to=[]
    )
    model = GPT2LMHeadModel(config)
    trainer = Trainer(model, arguments)
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1
    wrapped = trainer.accelerator.prepare(model)
    wrapped.train()
    ids, _ = some_tokens(shape, tokens)

    def step() -> None:
        trainer.training_step(wrapped, {"input_ids": ids, "labels": ids})
        torch.nn.utils.clip_grad_norm_(wrapped.parameters(), 1.0)
        trainer.optimizer.step()
        wrapped.zero_grad(set_to_none=True)

    return step


def nanochat_model(folder: Path, shape: str) -> tuple[Any, Any]:
    """Its model, to be compiled, and its Muon and AdamW, as in its base_train.py on a CPU."""
    os.environ["NANOCHAT_DTYPE"] = "bfloat16"
    sys.path.insert(0, str(folder))
    from nanochat.gpt import GPT, GPTConfig  # type: ignore[import-not-found]

    width, layers, heads, _, vocabulary, context = SHAPES[shape]
    config = GPTConfig(context, vocabulary, layers, heads, heads, width, window_pattern="L")
    with torch.device("meta"):
        model: Any = GPT(config)
    model.to_empty(device="cpu")
    model.init_weights()
    return model, model.setup_optimizer()


def nanochat(folder: Path, shape: str, tokens: int) -> Step:
    model, optimizer = nanochat_model(folder, shape)
    compiled = torch.compile(model, dynamic=False)
    ids, targets = some_tokens(shape, tokens)

    def step() -> None:
        compiled(ids, targets).backward()
        optimizer.step()
        model.zero_grad(set_to_none=True)

    return step


def matrix_peak() -> float:
    """FLOP/s of a bfloat16 product of 2048 x 2048 matrices."""
    a, b = (torch.randn(2048, 2048).bfloat16() for _ in range(2))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    begin = time.perf_counter()
    for _ in range(3):
        torch.mm(a, b, out=out)
    return 3 * 2 * 2048**3 / (time.perf_counter() - begin)


def ways(arguments: argparse.Namespace, tokens: int) -> dict[str, Callable[[], Step]]:
    """How to make each step."""
    shape = arguments.shape
    found: dict[str, Callable[[], Step]] = {"nanoGPT, float32": lambda: nanogpt(arguments.nanogpt, shape, tokens)}
    found["HF Trainer, bf16"] = lambda: hugging_face(shape, tokens)
    if arguments.nanochat:
        found["nanochat, bf16, compiled"] = lambda: nanochat(arguments.nanochat, shape, tokens)
    found["glassmill, AdamW"] = lambda: ours(shape, tokens, "adamw")[0]
    found["glassmill, Muon"] = lambda: ours(shape, tokens, "muon")[0]
    return found


def compare(arguments: argparse.Namespace, tokens: int) -> None:
    """The table for one number of tokens a step."""
    steps = {name: make() for name, make in ways(arguments, tokens).items()}
    whole, optimizer, flops = ours(arguments.shape, tokens, "muon")
    whole()  # so that there are gradients
    steps["Muon's part of it"] = optimizer
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    peaks = []
    for turn in range(arguments.pairs + 2):
        for name, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            if turn > 1:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        if turn > 1:
            peaks.append(matrix_peak())
    peak = median(peaks)
    print(f"\n{tokens} tokens a step; bfloat16 matrix peak {peak / 1e9:.0f} GFLOP/s")
    print(f"{'':28}{'tokens/s':>10}{'ratio':>8}{'per CPU s':>11}{'ratio':>8}{'of peak':>9}")
    first = next(iter(times.values()))
    share = [b[0] / a[0] for a, b in zip(times["glassmill, Muon"], times.pop("Muon's part of it"), strict=True)]
    for name, measured in times.items():
        ratios = [median(a[k] / b[k] for a, b in zip(first, measured, strict=True)) for k in (0, 1)]
        wall, cpu = (median(column) for column in zip(*measured, strict=True))
        of_peak = f"{flops / wall / peak:8.0%}" if name.startswith("glass") else ""
        print(f"{name:28}{tokens / wall:10,.0f}{ratios[0]:7.2f}x{tokens / cpu:11,.0f}{ratios[1]:7.2f}x {of_peak}")
    print(f"Muon and AdamW take {median(share):.1%} of a step")


def first_steps(arguments: argparse.Namespace) -> None:
    """Seconds from the start of a process to the end of its first step."""
    print("\nseconds to the first step")
    for name in ways(arguments, 2048):
        command = [sys.executable, *sys.argv, "--one", name]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"{name:28}{time.perf_counter() - begin:10.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nanogpt", type=Path, required=True)
    parser.add_argument("--nanochat", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="14M")
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 4096])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--first", action="store_true", help="measure the time to the first step too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        ways(arguments, arguments.tokens[0])[arguments.one]()()
        return
    print(f"{machine()}, {arguments.threads} threads, shape {arguments.shape}")
    for tokens in arguments.tokens:
        compare(arguments, tokens)
    if arguments.first:
        first_steps(arguments)


if __name__ == "__main__":
    main()
