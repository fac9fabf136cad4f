"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34; pairs are (i, i + H/2)).

A query at position p and a key at position s meet in a product that depends on p - s alone.

    B batch, T positions, N heads, H channels per head
"""

from __future__ import annotations

import torch
from torch import Tensor


def rope_angles(positions_T: Tensor, head_dim: int, theta: float = 10_000.0) -> Tensor:
    """Angle of every channel pair at every position, in radians.

    Args:
        positions_T: Positions, integers from 0, of any shape `(..., T)`.
        head_dim: `H`, even.
        theta: Pair `i` turns once every `2 pi theta^(2i/H)` positions.

    Returns:
        `(..., T, H/2)`, float32: bfloat16 can't distinguish positions 256 and 257.

    Raises:
        ValueError: `head_dim` is odd.
    """
    if head_dim % 2:
        raise ValueError(f"head_dim = {head_dim} is odd: rotary embeddings turn pairs of channels")
    pairs = torch.arange(0, head_dim, 2, dtype=torch.int64, device=positions_T.device).float()
    frequencies = 1.0 / theta ** (pairs / head_dim)
    return positions_T[..., None].float() * frequencies


class Rotation:
    """Cosine and sine of every pair's angle at the positions of one forward pass, shared by all its layers.

    `cos` and `signed_sin` are `(..., T, 1, H)`, ready to broadcast over heads. `signed_sin` carries the minus of the
    first half, so that turning is two products and a sum: `x cos + swap_halves(x) signed_sin`.
    """

    __slots__ = ("cos", "signed_sin")

    def __init__(self, angles: Tensor, dtype: torch.dtype) -> None:
        cos, sin = angles.cos(), angles.sin()
        self.cos = torch.cat([cos, cos], dim=-1).unsqueeze(-2).to(dtype)
        self.signed_sin = torch.cat([-sin, sin], dim=-1).unsqueeze(-2).to(dtype)


def rotate(x_BTNH: Tensor, rotation: Rotation) -> Tensor:
    """Rotate every channel pair of every head by its angle. Keeps the length of every vector."""
    half = x_BTNH.shape[-1] // 2
    swapped = torch.cat([x_BTNH[..., half:], x_BTNH[..., :half]], dim=-1)
    return torch.addcmul(x_BTNH * rotation.cos, swapped, rotation.signed_sin)
