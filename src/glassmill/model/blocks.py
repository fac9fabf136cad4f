"""Weights in GGUF's block formats: 2.6 to 8.5 bits each instead of 16.

In: rows of float32. Out: rows of bytes, as a GGUF file or a quantised model folder holds them, and back. The native
core does the work where it is there; `plain_formats` and `plain_quantize` are its twins and give the same bytes.
"""

from __future__ import annotations

import numpy as np

from glassmill import native
from glassmill.model import plain_quantize
from glassmill.model.plain_formats import FORMATS, Bytes, Floats, Format, unpack

WRITABLE = plain_quantize.WRITABLE
LARGEST = 60_000.0
"""Weights beyond this are refused: a scale of 16 bits could not hold theirs."""
PLAIN_BLOCKS = 1 << 14


def row_bytes(width: int, form: Format) -> int:
    """Bytes of a row of `width` weights.

    Raises:
        ValueError: It is not a whole number of blocks.
    """
    if width % form.block:
        raise ValueError(f"{form.name} needs rows of a multiple of {form.block} weights, not {width}")
    return width // form.block * form.block_bytes


def dequantize(rows: Bytes, form: Format) -> Floats:
    """The weights in rows of blocks: `(..., bytes)` uint8 to `(..., width)` float32."""
    shape = (*rows.shape[:-1], rows.shape[-1] // form.block_bytes * form.block)
    blocks = np.ascontiguousarray(rows).reshape(-1, form.block_bytes)
    values = np.empty((len(blocks), form.block), dtype=np.float32)
    if native.available():
        native._core.dequantize(blocks, form.number, values)
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any scale
            for start in range(0, len(blocks), PLAIN_BLOCKS):
                values[start : start + PLAIN_BLOCKS] = unpack(blocks[start : start + PLAIN_BLOCKS], form).values()
    return values.reshape(shape)


def quantize(rows: Floats, form: Format, importance: Floats | None = None, search: bool = True) -> Bytes:
    """The blocks nearest to the weights: `(..., width)` float32 to `(..., bytes)` uint8.

    Args:
        rows: Finite weights.
        form: One of `WRITABLE`.
        importance: How much the square of an error counts, for each column of a row, `(width,)`; by default all alike.
        search: Look for the nearest grid. False is the reference's rounding, the same bytes as `gguf.quants`; K formats
            are always searched, and Q8_0 never: its reference is as near.

    Raises:
        ValueError: The format is not written, rows are no whole blocks, or a weight is not finite or beyond `LARGEST`.
    """
    if form.name not in WRITABLE:
        raise ValueError(f"{form.name} is read, not written; written are {', '.join(WRITABLE)}")
    shape = (*rows.shape[:-1], row_bytes(rows.shape[-1], form))
    if not (np.abs(rows).max(initial=0) <= LARGEST):
        raise ValueError(f"weights must be finite and at most {LARGEST:g}")
    values = np.ascontiguousarray(rows, dtype=np.float32).reshape(-1, form.block)
    counts = _importance(rows.shape, importance, search or form.block == 256).reshape(-1, form.block)
    blocks = np.empty((len(values), form.block_bytes), dtype=np.uint8)
    if native.available():
        native._core.quantize(values, counts, form.number, blocks)
    else:
        for start in range(0, len(blocks), PLAIN_BLOCKS):
            part = slice(start, start + PLAIN_BLOCKS)
            blocks[part] = plain_quantize.quantize(values[part], form, counts[part])
    return blocks.reshape(shape)


def _importance(shape: tuple[int, ...], given: Floats | None, search: bool) -> Floats:
    if not search:
        return np.zeros(shape, dtype=np.float32)
    if given is None:
        return np.ones(shape, dtype=np.float32)
    if given.shape != shape[-1:] or not (np.isfinite(given).all() and (given >= 0).all()):
        raise ValueError(f"importance must be {shape[-1]} finite numbers from 0")
    mean = float(given.mean(dtype=np.float64))
    scaled = (given / mean if mean > 0 else np.ones_like(given)).astype(np.float32)
    floor = np.float32(1e-4)  # a block of unimportant weights is still rounded with care
    return np.ascontiguousarray(np.broadcast_to(np.maximum(scaled, floor), shape))


def format_for(name: str, shape: tuple[int, ...], wanted: Format, tied: bool) -> Format | None:
    """The format of a parameter (Hugging Face's name) in a model of the `wanted` one; None keeps it as it is.

    Norms and biases stay. The head, which tied embeddings are, decides every logit: 8 bits. Rows that are no whole
    number of blocks take the nearest format with blocks of 32.
    """
    if len(shape) < 2:
        return None
    head = name == "lm_head.weight" or (tied and name == "model.embed_tokens.weight")
    form = FORMATS["q8_0"] if head else wanted
    if shape[-1] % form.block:
        form = FORMATS["q4_1" if form.bits < 5 else "q8_0"]
    return None if shape[-1] % form.block else form


__all__ = ["FORMATS", "LARGEST", "WRITABLE", "Format", "dequantize", "format_for", "quantize", "row_bytes"]
