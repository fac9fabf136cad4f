"""What `gpu_inference.sh` runs: the decoder with CUDA graphs on this machine's GPU, against the CPU and without graphs.

python bench/gpu_inference.py [--dry]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from machine import machine
from safetensors.torch import save_file

from glassmill import native
from glassmill.infer.decoder import Decoder, Piece, new_row
from glassmill.infer.graph_decoder import GraphDecoder
from glassmill.infer.graphs import captures_for
from glassmill.infer.native_decoder import NativeDecoder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters
from glassmill.model.transformer import Transformer

SHAPES = {
    "135M": ModelConfig(49_152, 576, 30, 9, 3, 64, 1536, 2048, qk_norm=False),
    "360M": ModelConfig(49_152, 960, 32, 15, 5, 64, 2560, 2048, qk_norm=False),
    "1.5B": ModelConfig(151_936, 1536, 28, 12, 2, 128, 8960, 2048, qk_norm=False, qkv_bias=True),
}
"""Of SmolLM2-135M, SmolLM2-360M and Qwen2.5-1.5B."""
BATCHES = (1, 8, 32)
PROMPT, BEFORE, CHECKED_TOKENS = 512, 32, 64
TOLERANCE = 2e-3
"""Of logits in float32 whose spread is about 1. Where the CPU's two best lie closer, either token is right."""


def tell(check: str, **facts: object) -> None:
    """One line of JSON."""
    print(json.dumps({"check": check, **facts}), flush=True)


def random_model(config: ModelConfig, device: str, dtype: torch.dtype) -> Transformer:
    """Larger weights than a fresh model's, so that the next token depends on all before it; drawn on the device."""
    with torch.device("meta"):
        model = Transformer(config)
    model = model.to_empty(device=device).to(dtype)
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(0, 1.5 * weight.shape[1] ** -0.5, generator=generator)
            else:
                weight.fill_(1.0)
    return model.eval()


def tokens(device: str, steps: int) -> bool:
    """Greedy answers to four prompts at once, by the CPU; then the device reads them, token by token, at once too."""
    config = ModelConfig(4096, 256, 6, 8, 2, 32, 704, 512)
    model = random_model(config, "cpu", torch.float32)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "config.json").write_text(json.dumps(config.to_hf()))
        save_file(model.state_dict(), Path(name) / "model.safetensors")
        cpu: Decoder = NativeDecoder(Path(name), 4, "float32") if native.available() else TorchDecoder(model, 4)
    gpu = GraphDecoder(random_model(config, "cpu", torch.float32).to(device), 4)
    draw, apart, equal, close, wrong = random.Random(0), 0.0, 0, 0, 0
    pieces = [Piece(cpu.open_row(), draw.choices(range(4096), k=length)) for length in (3, 40, 111, 200)]
    for _ in pieces:
        gpu.open_row()
    for _ in range(steps):
        found = [decoder.forward(pieces) for decoder in (cpu, gpu)]
        best = []
        for expected, got in zip(*(np.concatenate([one.logits_WV for one in side]) for side in found), strict=True):
            best.append(int(expected.argmax()))
            apart = max(apart, float(np.abs(expected - got).max()))
            margin = expected[best[-1]] - np.partition(expected, -2)[-2]
            if best[-1] == int(got.argmax()):
                equal += 1
            elif margin < TOLERANCE:
                close += 1
            else:
                wrong += 1
        pieces = [Piece(piece.row, [token]) for piece, token in zip(pieces, best, strict=True)]
    sound = not wrong and apart < TOLERANCE
    names = {"device": device, "cpu_decoder": type(cpu).__name__}
    tell("greedy tokens", **names, equal=equal, close=close, wrong=wrong, apart=round(apart, 6), sound=sound)
    return sound


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def median_s(device: str, work: Callable[[], object], rounds: int) -> float:
    """Of `rounds`, after three that compile, choose kernels and record."""
    times = []
    for _ in range(rounds + 3):
        wait(device)
        begin = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - begin)
    return median(times[3:])


def prefill(decoder: Decoder, device: str, length: int, rounds: int) -> float:
    """Tokens per second of one prompt."""
    ids = [i * 37 % 199 for i in range(length)]

    def read() -> None:
        with new_row(decoder) as row:
            decoder.forward([Piece(row, ids, greedy=True)])

    return length / median_s(device, read, rounds)


def decode(decoder: Decoder, device: str, batch: int, before: int, rounds: int) -> float:
    """Tokens per second of all rows together, every step's tokens chosen before the next begins."""
    rows = [decoder.open_row() for _ in range(batch)]
    decoder.forward([Piece(row, [(row + i) % 199 for i in range(before)], want=0) for row in rows])
    best = [1] * batch

    def step() -> None:
        pieces = [Piece(row, [token], greedy=True) for row, token in zip(rows, best, strict=True)]
        best[:] = [answer.ids[0] for answer in decoder.forward(pieces)]

    per_s = batch / median_s(device, step, rounds)
    for row in rows:
        decoder.close_row(row)
    return per_s


def bandwidth(device: str, num_bytes: int) -> float:
    """Bytes per second that a sum reads."""
    numbers = torch.ones(num_bytes // 4, dtype=torch.float32, device=device)
    return num_bytes / median_s(device, numbers.sum, 10)


def speed(name: str, config: ModelConfig, device: str, dry: bool) -> None:
    """One line: the decoder with graphs, and its ratios to the one without."""
    dtype = torch.float32 if dry else torch.bfloat16
    prompt, rounds = (16, 2) if dry else (PROMPT, 100)
    model = random_model(config, device, dtype)
    speeds: list[list[float]] = []
    kinds: list[Callable[[], Decoder]] = [
        lambda: TorchDecoder(model, max(BATCHES)),  # first: it takes the layers as they are
        lambda: GraphDecoder(model, max(BATCHES), capture=captures_for(torch.device(device))),
    ]
    for make in kinds:
        decoder = make()
        slow = isinstance(decoder, TorchDecoder) and not isinstance(decoder, GraphDecoder)
        some = max(2, rounds // 4) if slow else rounds
        speeds.append([prefill(decoder, device, prompt, some)])
        speeds[-1] += [decode(decoder, device, batch, min(BEFORE, prompt), some) for batch in BATCHES]
    plain, graphs = speeds
    names = [f"prefill_{prompt}", *(f"rows_{batch}" for batch in BATCHES)]
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    tell(
        name,
        parameters=num_parameters(config),
        dtype=str(dtype).removeprefix("torch."),
        tokens_per_s=dict(zip(names, map(round, graphs), strict=True)),
        times_without_graphs={k: round(a / b, 2) for k, a, b in zip(names, graphs, plain, strict=True)},
        share_of_bandwidth=round(graphs[1] * weights / bandwidth(device, 1 << 20 if dry else 1 << 31), 3),
        memory_mb=round(torch.cuda.max_memory_allocated() / 1e6) if device == "cuda" else None,
    )


def main() -> None:
    dry = "--dry" in sys.argv
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(machine(), torch.cuda.get_device_name() if device == "cuda" else "no GPU: a dry run", flush=True)
    if device == "cpu" and not dry:
        sys.exit("no GPU here; --dry runs the same on the CPU with tiny shapes")
    sound = tokens(device, 3 if dry else CHECKED_TOKENS)
    for name, config in SHAPES.items():
        if dry:
            group = config.num_heads // config.num_kv_heads
            config = ModelConfig(200, 64, 2, group, 1, 16, 96, 128, qk_norm=False, qkv_bias=config.qkv_bias)
        speed(name, config, device, dry)
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
