"""What `gpu_training.sh` runs: the training loop on this machine's GPU, against the CPU and against its own peak.

python bench/gpu_training.py [--dry]
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from statistics import median

import torch
from machine import machine

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.sizes import num_parameters, training_bytes, training_flops_per_token
from glassmill.model.transformer import Transformer
from glassmill.recipe import TrainSettings
from glassmill.recipe.depth import shape_of
from glassmill.train.gradients import Batch
from glassmill.train.plan import set_up
from glassmill.train.trainer import Trainer

VOCABULARY, CONTEXT = 32_768, 1024
SIZES = {"124M": 12, "350M": 18, "1.5B": 32}
"""Depths whose models come nearest to these sizes; the line says how large they are."""
SECONDS = {"124M": 40.0, "350M": 50.0, "1.5B": 80.0}
CURVE_STEPS = 20
TOLERANCE = 0.02
"""Nats: float32 on both sides, but products on the GPU round differently, and Muon amplifies that."""


class Learnable:
    """Batches of counting rows, from a start and with a stride that differ by row: losses fall within a few steps."""

    def __init__(self, rows: int, length: int, vocab_size: int) -> None:
        self.rows, self.length, self.vocab_size = rows, length, vocab_size

    def batch(self, step: int) -> Batch:
        """The batch of any step."""
        generator = torch.Generator().manual_seed(step)
        start, stride = (torch.randint(1, high, (self.rows, 1), generator=generator) for high in (self.vocab_size, 8))
        ids = (start + stride * torch.arange(self.length + 1)) % self.vocab_size
        return Batch(ids[:, :-1], ids[:, 1:], torch.full((self.rows, self.length), 1 / (self.rows * self.length)))


def trainer(config: ModelConfig, rows: int, **settings: object) -> Trainer:
    """A fresh one."""
    chosen = TrainSettings.model_validate({"steps": 10**6, "warmup_steps": 0, **settings})
    setup = set_up(chosen, config.d_model)
    model = Transformer(config)
    initialize(model, 1)
    batches = Learnable(rows, config.context_length, config.vocab_size)
    return Trainer(model.to(setup.device.torch_device), batches, chosen, setup)


def tell(check: str, **facts: object) -> None:
    """One line of JSON."""
    print(json.dumps({"check": check, **facts}), flush=True)


def curves(device: str, steps: int) -> None:
    """The losses of one small model on the CPU and on the device."""
    config = ModelConfig(512, 128, 4, 4, 2, 32, 352, 128)
    losses = {}
    for name in {"cpu": 0, device: 0}:
        one = trainer(config, 8, device=name, dtype="float32", step="autograd", micro_batch_tokens=512)
        losses[name] = [one.step(step, 10**6).loss for step in range(steps)]
    apart = max(abs(a - b) for a, b in zip(losses["cpu"], losses[device], strict=True))
    fell = losses[device][0] - losses[device][-1]
    tell("loss curve", device=device, apart=round(apart, 5), fell=round(fell, 3), sound=apart < TOLERANCE and fell > 0)


def repeat(device: str) -> None:
    """Twice the same steps give the same bits."""
    config, hashes = ModelConfig(512, 128, 4, 4, 2, 32, 352, 128), []
    for _ in range(2):
        one = trainer(config, 8, device=device)
        for step in range(2):
            one.step(step, 10**6)
        weights = b"".join(p.detach().float().cpu().numpy().tobytes() for p in one.model.parameters())
        hashes.append(hashlib.sha256(weights).hexdigest()[:12])
    tell("equal bits", device=device, hashes=hashes, sound=hashes[0] == hashes[1])


def peak(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """FLOP/s of matrix products, the median of ten."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(12):
        begin = time.perf_counter()
        a @ b
        wait(device)
        times.append(time.perf_counter() - begin)
    return 2 * size**3 / median(times[2:])


def speed(name: str, config: ModelConfig, rows: int, seconds: float, product: int) -> None:
    """Tokens per second, as share of what this device multiplies."""
    tokens = rows * config.context_length
    one = trainer(config, rows, micro_batch_tokens=tokens, optimizer="muon")
    device, times, begin = one.setup.device.torch_device, list[float](), time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        one.step(len(times), 10**6)
        wait(device)
        times.append(time.perf_counter() - start)
    per_s = tokens / median(times[1:])
    best = peak(device, one.dtype, product)
    used = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    tell(
        name,
        parameters=num_parameters(config),
        dtype=str(one.dtype),
        tokens_per_s=round(per_s),
        tflops=round(per_s * training_flops_per_token(config) / 1e12, 3),
        share_of_peak=round(per_s * training_flops_per_token(config) / best, 3),
        peak_tflops=round(best / 1e12, 3),
        memory_mb=round(used / 1e6),
        planned_mb=round(training_bytes(config, rows, config.context_length) / 1e6),
    )


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    dry = "--dry" in sys.argv
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(machine(), torch.cuda.get_device_name() if device == "cuda" else "no GPU: a dry run", flush=True)
    if device == "cpu" and not dry:
        sys.exit("no GPU here; --dry runs the same on the CPU with tiny shapes")
    curves(device, 3 if dry else CURVE_STEPS)
    repeat(device)
    for name, depth in SIZES.items():
        if dry:
            shape = {**shape_of(1), "d_model": 64, "num_layers": depth // 6, "head_dim": 16, "d_ff": 128}
            config = ModelConfig(vocab_size=256, context_length=64, rope_theta=1e4, tie_embeddings=True, **shape)
            speed(name, config, 2, 0.2, 256)
        else:
            config = ModelConfig(VOCABULARY, context_length=CONTEXT, rope_theta=1e5, tie_embeddings=True,
                                 **shape_of(depth))  # fmt: skip
            speed(name, config, 16 if depth < 32 else 8, SECONDS[name], 8192)
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
