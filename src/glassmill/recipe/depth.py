"""One dial for the size of a model: `model.depth` layers, and the numbers that go with them.

A table of settings in, the same table out with what nobody set by hand filled in; what is set by hand wins.

- Width: 64 a layer (nanochat; its authors found 128 a layer worse). Heads of 64 channels, of 128 from depth 12 on, and
  then half as many kv heads as heads, as in Qwen3-0.6B. The feed-forward layer is 8/3 of the width (SwiGLU, arXiv
  2002.05202), rounded up to 64. Depth 6 is the default shape.
- Rates: Muon's steps don't depend on the width, so its rate stays; that of the embeddings falls with the root of the
  width (nanochat).
- Batch: 4,096 tokens at depth 6, where it was measured, times (depth / 6)^1.15, rounded to a power of two. The
  exponent is that of Bergsma et al. 2025 (arXiv 2505.13738): tokens^0.383, at tokens in proportion to depth^3. Above
  depth 6 this is extrapolated. On GPUs, larger batches use the hardware better: set `train.batch_tokens` there.
- Length: 12 tokens for every parameter of the matrices and the head (nanochat), if there is neither a time box nor a
  number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypedDict, get_args

from pydantic import BaseModel

WIDTH_PER_LAYER = 64
WIDE_HEADS_FROM = 12
"""The depth from which heads have 128 channels and share keys and values."""
TOKENS_PER_PARAMETER = 12
MEASURED_DEPTH, MEASURED_BATCH, MEASURED_EMBEDDING_LR = 6, 4096, 0.004


class Shape(TypedDict):
    """The settings of `model` that `depth` gives."""

    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    d_ff: int


ShapeName = Literal["d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff"]
SHAPE_NAMES: tuple[ShapeName, ...] = get_args(ShapeName)


class Rates(TypedDict):
    """The settings of `train` that go with a depth."""

    peak_lr: float
    embedding_lr: float
    batch_tokens: int


def follow_depth(values: object, default_vocab_size: int) -> object:
    """A recipe's table with the rates, batch and length of `model.depth` filled in, or `values` as they are.

    Args:
        values: What a `Recipe` is made from; sections are tables or settings.
        default_vocab_size: Where the table has no `tokenizer.vocab_size`.
    """
    if not isinstance(values, Mapping):
        return values
    model, train, tokenizer = (_table(values.get(name)) for name in ("model", "train", "tokenizer"))
    depth = model.get("depth")
    if not isinstance(depth, int) or not 1 <= depth <= 64:
        return values  # not given, or refused by the section itself
    form = shape_of(depth)
    for name in SHAPE_NAMES:
        form[name] = _number(model, name, form[name])
    rates = rates_of(depth, form["d_model"])
    filled: dict[str, object] = {**rates, **train}
    if filled.get("steps") is None and filled.get("minutes") is None:
        vocab_size = _number(tokenizer, "vocab_size", default_vocab_size)
        filled["steps"] = steps_for(form, vocab_size, _number(train, "batch_tokens", rates["batch_tokens"]))
    return {**values, "train": filled}


def _table(section: object) -> Mapping[str, object]:
    """What a section sets by hand."""
    if isinstance(section, BaseModel):
        return section.model_dump(exclude_unset=True)
    return section if isinstance(section, Mapping) else {}


def _number(table: Mapping[str, object], name: str, default: int) -> int:
    """A value set by hand; the default if there is none, or one that its section will refuse."""
    value = table.get(name)
    return value if isinstance(value, int) and value > 0 else default


def shape_of(depth: int) -> Shape:
    """The shape of a model of `depth` layers.

    >>> shape_of(6)
    {'d_model': 384, 'num_layers': 6, 'num_heads': 6, 'num_kv_heads': 6, 'head_dim': 64, 'd_ff': 1024}
    >>> shape_of(12)
    {'d_model': 768, 'num_layers': 12, 'num_heads': 6, 'num_kv_heads': 3, 'head_dim': 128, 'd_ff': 2048}
    """
    wide = depth >= WIDE_HEADS_FROM
    head_dim = 128 if wide else 64
    heads = math.ceil(WIDTH_PER_LAYER * depth / head_dim)
    d_model = heads * head_dim
    return {
        "d_model": d_model,
        "num_layers": depth,
        "num_heads": heads,
        "num_kv_heads": heads // 2 if wide and heads % 2 == 0 else heads,
        "head_dim": head_dim,
        "d_ff": 64 * math.ceil(8 * d_model / 3 / 64),
    }


def rates_of(depth: int, d_model: int) -> Rates:
    """Learning rates and batch of a model of `depth` layers.

    >>> rates_of(6, 384)
    {'peak_lr': 0.02, 'embedding_lr': 0.004, 'batch_tokens': 4096}
    """
    batch = MEASURED_BATCH * (depth / MEASURED_DEPTH) ** 1.15
    width = WIDTH_PER_LAYER * MEASURED_DEPTH / d_model
    return {
        "peak_lr": 0.02,
        "embedding_lr": float(f"{MEASURED_EMBEDDING_LR * width**0.5:.2g}"),
        "batch_tokens": 2 ** round(math.log2(batch)),
    }


def steps_for(form: Shape, vocab_size: int, batch_tokens: int) -> int:
    """Steps in which a model of this shape reads `TOKENS_PER_PARAMETER` tokens for every matrix parameter."""
    attention = 2 * form["d_model"] * form["head_dim"] * (form["num_heads"] + form["num_kv_heads"])
    layer = attention + 3 * form["d_model"] * form["d_ff"]
    parameters = form["num_layers"] * layer + vocab_size * form["d_model"]
    return math.ceil(TOKENS_PER_PARAMETER * parameters / batch_tokens)


DECIDED = frozenset(
    {*(f"model.{name}" for name in Shape.__annotations__), *(f"train.{name}" for name in Rates.__annotations__)}
)
"""The settings that a depth decides. A depth on the command line replaces them in the recipe's file."""
