"""What 4 and 8 bits a weight cost, with our rounding and with llama.cpp's: KL and perplexity against the original.

    npm install --prefix PLACE --ignore-scripts @node-llama-cpp/linux-x64@3.22.1
    python bench/weight_formats.py models/smollm2 --ggml PLACE/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64

Both quantise the same matrices to the same blocks (llama.cpp by `ggml_quantize_chunk` in its own library); torch then
computes in float32 with what the blocks hold, so that nothing but the rounding differs.

Weights that come from a file of blocks lie on its grid, which no other format hits as it would hit a trained model's:
with --blur every weight gets back a rounding error, uniform within half a step of its group of 32.
"""

from __future__ import annotations

import argparse
import ctypes
from pathlib import Path

import numpy as np
import torch

from glassmill.evals.drift import drift
from glassmill.export.quantizing import HELD_OUT
from glassmill.infer.folder import LoadedModel, load_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.blocks import FORMATS, Format, dequantize, format_for, quantize
from glassmill.model.transformer import Transformer
from glassmill.textfiles import read_text

TARGETS = ("q8_0", "q4_0", "q4_1", "q4_k")
WINDOW = 512


def blurred(weight: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Every weight moved within half a step of a grid of 16 over its group of 32."""
    groups = weight.reshape(-1, 32)
    step = (groups.max(1, keepdims=True) - groups.min(1, keepdims=True)) / 15
    return (groups + step * (chance.random(groups.shape) - 0.5)).reshape(weight.shape).astype(np.float32)


class Ggml:
    """llama.cpp's own rounding."""

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(str(folder / "libggml-base.so"))
        self._library.ggml_quantize_chunk.restype = ctypes.c_size_t

    def quantize(self, weight: np.ndarray, form: Format) -> np.ndarray:
        values = np.ascontiguousarray(weight, dtype=np.float32)
        rows, width = values.shape
        blocks = np.empty((rows, width // form.block * form.block_bytes), dtype=np.uint8)
        self._library.ggml_quantize_chunk(
            ctypes.c_int(form.number),
            values.ctypes.data_as(ctypes.c_void_p),
            blocks.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(0),
            ctypes.c_int64(rows),
            ctypes.c_int64(width),
            None,
        )
        return blocks


def rounded(loaded: LoadedModel, to: str, ggml: Ggml | None) -> tuple[Transformer, float]:
    """The model with what blocks hold of its matrices, and bits a weight."""
    model = Transformer(loaded.config).eval()
    weights, bits, count = {}, 0.0, 0
    for name, tensor in loaded.model.state_dict().items():
        form = format_for(name, tuple(tensor.shape), FORMATS[to], loaded.config.tie_embeddings)
        if form is None:
            weights[name] = tensor
            continue
        blocks = ggml.quantize(tensor.numpy(), form) if ggml else quantize(tensor.numpy(), form)
        weights[name] = torch.from_numpy(dequantize(blocks, form))
        bits, count = bits + 8 * blocks.size, count + tensor.numel()
    model.load_state_dict(weights)
    return model, bits / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--ggml", type=Path, required=True, help="the folder of libggml-base.so")
    parser.add_argument("--text", type=Path, default=HELD_OUT)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--blur", action="store_true")
    given = parser.parse_args()
    ggml = Ggml(given.ggml)
    loaded = load_folder(given.model, dtype=torch.float32)
    if given.blur:
        chance = np.random.default_rng(1)
        state = loaded.model.state_dict()
        moved = {name: torch.from_numpy(blurred(t.numpy(), chance)) if t.ndim == 2 else t for name, t in state.items()}
        loaded.model.load_state_dict(moved)
    ids = loaded.tokenizer.encode(read_text(given.text))[: given.tokens + 1]
    before = TorchDecoder(loaded.model)
    print(f"{'':8} {'bits':>6} {'':10} {'perplexity':>11} {'KL, nats a token':>20} {'same best':>10}")
    for to in TARGETS:
        for name, of in (("glassmill", None), ("llama.cpp", ggml)):
            model, bits = rounded(loaded, to, of)
            found = drift(before, TorchDecoder(model), ids, WINDOW)
            kl = f"{found.kl:.5f} ± {found.kl_error:.5f}"
            print(f"{to:8} {bits:6.2f} {name:10} {found.perplexity:11.3f} {kl:>20} {found.same_best:10.1%}", flush=True)
    print(f"original {'':17} {found.perplexity_before:11.3f}   {found.num_tokens:,} tokens of {given.text.name}")


if __name__ == "__main__":
    main()
