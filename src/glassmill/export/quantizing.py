"""The verb `quantize`: a model folder whose matrices take 4 to 8 bits a weight, and what that costs.

In: a model folder. Out: another, which chat, serve and export open like any other, of a quarter to half the size, and a
table: perplexity, and how far the distribution of the next token moves (KL, in nats a token), on text.

Matrices are rounded one by one to GGUF's blocks (`glassmill.model.blocks`), by a search for the nearest grid; the head
always has 8 bits, norms and biases stay as they are. Matrices whose rows are no whole blocks of 256 take Q4_1 for Q4_K.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from glassmill import native
from glassmill.errors import UserError
from glassmill.evals.drift import Drift, drift
from glassmill.infer.decoder import Decoder
from glassmill.infer.find import find_model_folder
from glassmill.infer.folder import in_blocks, load_folder, write_folder
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.model.blocks import FORMATS, LARGEST, Format, format_for, quantize
from glassmill.textfiles import read_text

TARGETS = ("q8_0", "q4_0", "q4_k")
HELD_OUT = Path(__file__).with_name("held_out.txt")
WINDOW = 512
FEWEST = 64
"""Tokens below which a table would mean nothing."""


def quantize_folder(model: str | Path, out: Path, to: str) -> Path:
    """Writes the folder `out` atomically.

    Raises:
        UserError: No model, an unknown format, a model that is in blocks already, or a weight too large for them.
    """
    wanted = known_format(to)
    source = find_model_folder(model)
    if out.exists():
        raise UserError(f"{out} exists; choose another folder with --out")
    loaded = load_folder(source, dtype=torch.float32)
    if "blocks" in loaded.meta:
        raise UserError(f"{model} is in blocks already ({loaded.meta['blocks']}); quantise the model it was made from")
    weights, formats = {}, {}
    for name, parameter in loaded.model.state_dict().items():
        form = format_for(name, tuple(parameter.shape), wanted, loaded.config.tie_embeddings)
        if form is None:
            weights[name] = parameter.contiguous()
            continue
        if float(parameter.abs().max()) > LARGEST:
            raise UserError(f"{model}: {name} has a weight beyond {LARGEST:g}, which no block can hold")
        weights[name] = torch.from_numpy(quantize(parameter.numpy(), form))
        formats[name] = form.name
    note = {**loaded.meta, "blocks": to, "quantized_from": source.name}
    write_folder(out, in_blocks(loaded.config, formats), weights, loaded.tokenizer, note)
    return out


def known_format(to: str) -> Format:
    """Raises UserError: unknown, or not one that is written as a whole model."""
    if to not in TARGETS:
        raise UserError(f"unknown format {to!r}; use one of {', '.join(TARGETS)}")
    return FORMATS[to]


def measure(
    model: str | Path, quantized: Path, text: Path | None, num_tokens: int, notify: Callable[[str], None] = print
) -> Drift:
    """What rounding costs where the model will run: the native core, which rounds activations too, if it is there.

    Keys and values have float32 on both sides, so that the difference is that of the weights and their products.

    Args:
        model: The model that was quantised; it computes in float32.
        quantized: What became of it.
        text: Held-out text; by default one that comes with glassmill.
        num_tokens: Read about so many tokens of it.
        notify: Called with a line that says what is compared.

    Raises:
        UserError: The text is too short.
    """
    loaded = load_folder(model, dtype=torch.float32)
    path = text or HELD_OUT
    ids = loaded.tokenizer.encode(read_held_out(path))[: num_tokens + 1]
    if len(ids) <= FEWEST:
        raise UserError(f"{path} has {len(ids)} tokens; give a text of more than {FEWEST}")
    window = min(WINDOW, loaded.config.context_length)
    notify(f"comparing with the original on {len(ids) - 1:,} tokens of {path.name}, in windows of {window}")
    return drift(TorchDecoder(loaded.model), quantised_decoder(quantized), ids, window)


def read_held_out(path: Path) -> str:
    """Raises UserError: there is no such file, or it is no text."""
    try:
        return read_text(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def quantised_decoder(folder: Path) -> Decoder:
    """The decoder that a quantised folder gets: the native core's, or torch's over the widened weights."""
    if native.available():
        from glassmill.infer.native_decoder import NativeDecoder

        return NativeDecoder(folder, weights="float32")
    return TorchDecoder(load_folder(folder, dtype=torch.float32).model)


def table(model: str | Path, quantized: Path, to: str, found: Drift) -> str:
    """What was measured, as lines of text."""
    before, after = (_megabytes(find_model_folder(one)) for one in (model, quantized))
    formats = Counter(form for form in load_formats(quantized).values())
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(formats.items()))
    kl = f"{found.kl:.5f} ± {found.kl_error:.5f}"
    rows = [
        ("", "size", "perplexity", "KL, nats a token", "same best token"),
        ("original", f"{before:.1f} MB", f"{found.perplexity_before:.3f}", "", ""),
        (
            to,
            f"{after:.1f} MB",
            f"{found.perplexity:.3f}",
            kl,
            f"{found.same_best:.1%}",
        ),
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, f"matrices: {kinds}"])


def load_formats(folder: Path) -> dict[str, str]:
    """Parameter -> format."""
    from glassmill.infer.weights import block_formats

    return {name: form.name for name, form in block_formats(folder).items()}


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
