"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34; pairs are (i, i + H/2)), plain or stretched.

A query at position p and a key at position s meet in a product that depends on p - s alone.

    B batch, T positions, N heads, H channels per head
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassmill.model.scaling import RopeScaling


def rope_angles(
    positions_T: Tensor, head_dim: int, theta: float = 10_000.0, scaling: RopeScaling | None = None
) -> Tensor:
    """Angle of every channel pair at every position, in radians.

    Args:
        positions_T: Positions, integers from 0, of any shape `(..., T)`.
        head_dim: `H`, even.
        theta: Pair `i` turns once every `2 pi theta^(2i/H)` positions.
        scaling: What stretches that, if anything.

    Returns:
        `(..., T, H/2)`, float32: bfloat16 can't distinguish positions 256 and 257.

    Raises:
        ValueError: `head_dim` is odd.
    """
    if head_dim % 2:
        raise ValueError(f"head_dim = {head_dim} is odd: rotary embeddings turn pairs of channels")
    pairs = torch.arange(0, head_dim, 2, dtype=torch.int64, device=positions_T.device).float()
    frequencies = 1.0 / theta ** (pairs / head_dim)
    if scaling is not None:
        frequencies = _stretched(frequencies, head_dim, theta, scaling)
    return positions_T[..., None].float() * frequencies


def _stretched(frequencies: Tensor, head_dim: int, theta: float, scaling: RopeScaling) -> Tensor:
    """The frequencies of every pair, `(H/2,)`, after `scaling`, in the order of operations of transformers."""
    divided = frequencies / scaling.factor
    if scaling.kind == "linear":
        return divided
    if scaling.kind == "llama3":
        turns = scaling.original_context / (2 * math.pi / frequencies)
        slow, fast = scaling.low_freq_factor, scaling.high_freq_factor
        share = ((turns - slow) / (fast - slow)).clamp(0, 1)
        return (1 - share) * divided + share * frequencies

    def pair(turns: float) -> float:
        """Where in the row of pairs those are that turn so often in the original context."""
        return head_dim * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = pair(scaling.beta_fast), pair(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_dim - 1)
    width = (last - first) or 0.001
    steps = torch.arange(head_dim // 2, dtype=torch.float32, device=frequencies.device)
    kept = 1 - ((steps - first) / width).clamp(0, 1)
    return divided * (1 - kept) + frequencies * kept


class Rotation:
    """Cosine and sine of every pair's angle at the positions of one forward pass, shared by all its layers.

    `cos` and `signed_sin` are `(..., T, 1, H)`, ready to broadcast over heads. `signed_sin` carries the minus of the
    first half, so that turning is two products and a sum: `x cos + swap_halves(x) signed_sin`. Both are multiplied by
    `scale` (YaRN's; 1 in any other model).
    """

    __slots__ = ("cos", "signed_sin")

    def __init__(self, angles: Tensor, dtype: torch.dtype, scale: float = 1.0) -> None:
        cos, sin = angles.cos(), angles.sin()
        if scale != 1.0:
            cos, sin = cos * scale, sin * scale
        self.cos = torch.cat([cos, cos], dim=-1).unsqueeze(-2).to(dtype)
        self.signed_sin = torch.cat([-sin, sin], dim=-1).unsqueeze(-2).to(dtype)

    def at(self, places_BT: Tensor) -> Rotation:
        """Of these places among its positions, which must be in one row `(T,)`; any shape `(..., T)`, int64."""
        found = object.__new__(Rotation)
        found.cos, found.signed_sin = self.cos[places_BT], self.signed_sin[places_BT]
        return found


def rotate(x_BTNH: Tensor, rotation: Rotation) -> Tensor:
    """Rotate every channel pair of every head by its angle. Lengths change by its scale alone."""
    half = x_BTNH.shape[-1] // 2
    swapped = torch.cat([x_BTNH[..., half:], x_BTNH[..., :half]], dim=-1)
    return torch.addcmul(x_BTNH * rotation.cos, swapped, rotation.signed_sin)
