"""Stretched rotations: how published models read further than they were first trained to.

    linear   every angle is divided by `factor` (Chen et al. 2023, arXiv 2306.15595)
    llama3   slow pairs are divided, fast ones stay, those between are blended (Llama 3.1's model card and code)
    yarn     the same with a ramp over the pairs, and products are sharpened (Peng et al. 2023, arXiv 2309.00071)

`dynamic` scaling starts beyond `max_position_embeddings`, where we never read, so it is the plain rotation here. Any
other kind is refused by name. Torch is not imported; `rope.py` computes the angles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from glassmill.errors import UserError
from glassmill.foreign_json import field

LARGEST_FACTOR = 10_000.0


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """What a rotation is stretched by; the names are those of `config.json`.

    Attributes:
        kind: `linear`, `llama3` or `yarn`.
        factor: How many times longer the context became.
        original_context: Positions it was first trained on; unused by `linear`.
        low_freq_factor: Pairs that turn fewer times in the original context are divided (`llama3`).
        high_freq_factor: Pairs that turn more times stay as they are (`llama3`).
        beta_fast: As `high_freq_factor` (`yarn`).
        beta_slow: As `low_freq_factor` (`yarn`).
        attention_factor: What cosines and sines are multiplied by (`yarn`).
        truncate: Whether the ramp begins and ends at whole pairs (`yarn`).
    """

    kind: Literal["linear", "llama3", "yarn"]
    factor: float
    original_context: int = 0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float = 1.0
    truncate: bool = True

    def to_hf(self) -> dict[str, object]:
        """The same as `rope_scaling` has it."""
        named: dict[str, object] = {"rope_type": self.kind, "factor": self.factor}
        if self.kind == "linear":
            return named
        named["original_max_position_embeddings"] = self.original_context
        if self.kind == "llama3":
            return named | {"low_freq_factor": self.low_freq_factor, "high_freq_factor": self.high_freq_factor}
        return named | {
            "beta_fast": self.beta_fast,
            "beta_slow": self.beta_slow,
            "attention_factor": self.attention_factor,
            "truncate": self.truncate,
        }


def read_scaling(hf: dict[str, Any], context: int, what: str) -> RopeScaling | None:
    """The stretching that a `config.json` asks for; None for the plain rotation.

    Args:
        hf: The file's object. `rope_scaling` counts before `rope_parameters`, as in transformers.
        context: `max_position_embeddings`.
        what: How messages name the file.

    Raises:
        UserError: An unsupported kind, or numbers that make no sense.
    """
    asked = field(hf, "rope_scaling", dict, what=what, default={}) or field(
        hf, "rope_parameters", dict, what=what, default={}
    )
    what = f"{what}, rope scaling"
    if any(isinstance(value, dict) for value in asked.values()):
        raise UserError(f"{what}: it differs by kind of layer ({', '.join(map(repr, asked))}); not supported")
    if asked.get("mrope_section"):
        raise UserError(f"{what}: mrope_section is not supported")
    kind = asked.get("rope_type") or asked.get("type") or "default"
    if kind in ("default", "dynamic"):
        return None
    if kind not in ("linear", "llama3", "yarn"):
        raise UserError(f"{what} {str(kind)[:40]!r}: supported are default, linear, dynamic, llama3 and yarn")

    def number(name: str, default: float | None = None, low: float = 0.0) -> float:
        options = {} if default is None else {"default": default}
        return field(asked, name, float, what=what, low=low, high=LARGEST_FACTOR, **options)

    original = field(hf, "original_max_position_embeddings", int, what=what, default=0, low=1)
    original = original or field(asked, "original_max_position_embeddings", int, what=what, default=context, low=1)
    factor = number("factor", context / original if kind == "yarn" else None, low=1.0)
    if kind == "linear":
        return RopeScaling("linear", factor)
    if kind == "llama3":
        slow, fast = number("low_freq_factor", low=1e-3), number("high_freq_factor", low=1e-3)
        if slow >= fast:
            raise UserError(f"{what}: low_freq_factor = {slow:g} is not below high_freq_factor = {fast:g}")
        return RopeScaling("llama3", factor, original, slow, fast)
    fast, slow = number("beta_fast", 0.0) or 32.0, number("beta_slow", 0.0) or 1.0
    if slow >= fast:
        raise UserError(f"{what}: beta_slow = {slow:g} is not below beta_fast = {fast:g}")
    sharpened = number("attention_factor", 0.0) or _sharpened(
        factor, number("mscale", 0.0), number("mscale_all_dim", 0.0)
    )
    truncate = field(asked, "truncate", bool, what=what, default=True)
    return RopeScaling(
        "yarn", factor, original, beta_fast=fast, beta_slow=slow, attention_factor=sharpened, truncate=truncate
    )


def _sharpened(factor: float, mscale: float, mscale_all_dim: float) -> float:
    """YaRN's `0.1 ln(factor) + 1`, and DeepSeek's quotient of two such."""

    def one(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    return one(mscale) / one(mscale_all_dim) if mscale and mscale_all_dim else one(1.0)
