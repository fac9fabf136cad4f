"""Claim: the held-out loss that nanoGPT and nanochat reach in ten minutes is reached here in a fraction of the time.

    python bench/time_to_loss.py --text FILE... --nanogpt DIR --nanochat DIR [--minutes 10] [--seeds 3]

All train the 14M shape (bench/training_vs_peers.py) on steps of 2,048 tokens of one text in one vocabulary, each by its
own schedule for the steps that fit into its minutes: nanoGPT eager in float32 (linear warm-up, cosine to a tenth),
nanochat compiled in bf16 with the schedules of its base_train.py (without weight decay), ours by the recipe as it
stands. Rates of both peers are tuned: of `--rates`, factors on their defaults, the best after a fifth of the minutes.
Ours gets `1 / --sooner` of the minutes; the table has held-out bits per byte.

A step's time is measured first, in turn, on a quiet machine (compilation and the first steps are not counted), and
minutes become steps by it: what comes out after so many steps doesn't depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from machine import machine
from speedrun import SHAPES, Text, Windows, fresh
from speedrun import train as train_ours
from torch import Tensor
from training_vs_peers import nanochat_model, nanogpt_model

from glassmill.evals.bits_per_byte import bits_per_byte
from glassmill.model.config import ModelConfig
from glassmill.recipe import TrainSettings
from glassmill.train.gradients import Batch
from glassmill.train.plan import set_up
from glassmill.train.trainer import Trainer

SHAPE, STEP_TOKENS, HELD_OUT_TOKENS = "14M", 2048, 65_536
CONTEXT = SHAPES[SHAPE][-1]
LAPS = 4


class Peer:
    """A model, its step at a share of the schedule, and its losses of held-out windows."""

    def __init__(self, model: Any, step: Callable[[Batch, int, int], None], logits: Callable[[Tensor], Tensor]) -> None:
        self.model, self.step, self.logits = model, step, logits

    @torch.no_grad()
    def token_losses(self, windows_BT: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        ids = torch.from_numpy(windows_BT)
        logits_BTV = self.logits(ids[:, :-1].contiguous()).float()
        losses: npt.NDArray[np.float32] = torch.nn.functional.cross_entropy(
            logits_BTV.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
        ).numpy()
        return losses.reshape(len(windows_BT), -1)


def nanogpt(folder: Path, rate: float) -> Peer:
    torch.manual_seed(1)
    model, optimizer = nanogpt_model(folder, SHAPE)

    def step(batch: Batch, number: int, steps: int) -> None:
        warm = max(1, steps // 20)
        falling = 0.5 * (1 + math.cos(math.pi * max(0, number - warm) / max(1, steps - warm)))
        for group in optimizer.param_groups:
            group["lr"] = 6e-4 * rate * min((number + 1) / warm, 0.1 + 0.9 * falling)
        model(batch.ids, batch.targets)[1].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return Peer(model, step, lambda ids: model(ids, ids)[0])


def nanochat(folder: Path, rate: float) -> Peer:
    torch.manual_seed(1)
    model, optimizer = nanochat_model(folder, SHAPE)
    compiled = torch.compile(model, dynamic=False)
    scale = rate * (STEP_TOKENS / 2**19) ** 0.5  # its own rule for the batch

    def step(batch: Batch, number: int, steps: int) -> None:
        left = (steps - number) / (0.65 * steps)
        share = min((number + 1) / 40, 1.0, left + (1 - left) * 0.05)
        momentum = 0.85 + 0.12 * min(1.0, number / 400) if left >= 1 else 0.97 * left + 0.9 * (1 - left)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale * share
            if group["kind"] == "muon":
                group["momentum"], group["weight_decay"] = momentum, 0.0
        compiled(batch.ids, batch.targets).backward()
        optimizer.step()
        model.zero_grad(set_to_none=True)

    return Peer(model, step, model)


def ours(text: Text, tied: bool) -> Peer:
    """Our trainer, for measuring its speed alone; `speedrun` trains."""
    config = ModelConfig(text.vocabulary, *SHAPES[SHAPE][1:], tie_embeddings=tied)
    model, settings = fresh(text, config, 1), TrainSettings(batch_tokens=STEP_TOKENS)
    windows = Windows(text, STEP_TOKENS // CONTEXT, CONTEXT, 1)
    trainer = Trainer(model, windows, settings, set_up(settings, config.d_model))
    return Peer(model, lambda batch, number, steps: trainer.step(number, steps), model)


def seconds_a_step(engines: dict[str, Peer], text: Text, rounds: int) -> dict[str, float]:
    """Median seconds of a step of each, in turn; the first two, which compile, are not counted."""
    windows = Windows(text, STEP_TOKENS // CONTEXT, CONTEXT, 1)
    laps: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds + 1):
        for name, engine in engines.items():
            for lap in range(2 if number == 0 else LAPS):
                begin = time.perf_counter()
                engine.step(windows.batch(lap), 0, 10**9)  # at the start of a warm-up: the rate is next to nothing
                if number:
                    laps[name].append(time.perf_counter() - begin)
    return {name: median(times) for name, times in laps.items()}


def train_peer(peer: Peer, text: Text, steps: int) -> float:
    """Bits per byte of held-out text after so many steps."""
    windows = Windows(text, STEP_TOKENS // CONTEXT, CONTEXT, 1)
    for number in range(steps):
        peer.step(windows.batch(number), number, steps)
    bits = bits_per_byte(peer, text.held_out, text.token_bytes, CONTEXT, HELD_OUT_TOKENS, STEP_TOKENS)
    print(f"    {steps} steps: {bits:.4f}", flush=True)
    return bits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--nanochat", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--sooner", type=float, nargs=2, default=[4, 2], help="than nanoGPT, and than nanochat")
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, nargs="+", help="of a step of ours and each peer, measured before")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tied", action="store_true", help="ours with tied embeddings, as nanoGPT")
    given = parser.parse_args()
    print(machine())
    text = Text(given.text, SHAPES[SHAPE][0])
    wanted = {
        "nanoGPT": (nanogpt, given.nanogpt, given.sooner[0]),
        "nanochat": (nanochat, given.nanochat, given.sooner[1]),
    }
    peers = {name: peer for name, peer in wanted.items() if peer[1] is not None}
    names = ["ours", *peers]
    if given.seconds:
        seconds = dict(zip(names, given.seconds, strict=True))
    else:
        engines = {"ours": ours(text, given.tied)} | {
            name: make(folder, 1.0) for name, (make, folder, _) in peers.items()
        }
        seconds = seconds_a_step(engines, text, given.rounds)
    for name in names:
        print(f"{name}: {seconds[name]:.3f} s a step, {STEP_TOKENS / seconds[name]:,.0f} tokens/s", flush=True)
    begin = time.perf_counter()
    fresh(text, ModelConfig(text.vocabulary, *SHAPES[SHAPE][1:], tie_embeddings=given.tied), 1)
    start = time.perf_counter() - begin
    print(f"ours starts in {start:.1f} s, which its minutes include", flush=True)
    for name, (make, folder, sooner) in peers.items():
        steps, rate = int(60 * given.minutes / seconds[name]), given.rates[0]
        if len(given.rates) > 1:
            print(f"{name}, its rates tuned", flush=True)
            tuned = {rate: train_peer(make(folder, rate), text, steps // 5) for rate in given.rates}
            rate = min(tuned, key=tuned.__getitem__)
        print(f"{name}, {given.minutes:g} min at {rate:g} times its rate", flush=True)
        theirs = train_peer(make(folder, rate), text, steps)
        our_steps = int((60 * given.minutes / sooner - start) / seconds["ours"])
        settings = TrainSettings(batch_tokens=STEP_TOKENS, minutes=None, steps=our_steps)
        for seed in range(1, given.seeds + 1):
            bits, _, _ = train_ours(text, SHAPES[SHAPE], settings, seed, HELD_OUT_TOKENS, given.tied)
            print(f"  ours, {given.minutes / sooner:.2f} min, seed {seed}", flush=True)
            print(f"    {our_steps} steps: {bits:.4f} ({bits - theirs:+.4f})", flush=True)


if __name__ == "__main__":
    main()
