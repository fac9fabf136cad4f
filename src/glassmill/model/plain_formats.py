"""GGUF's block formats in plain numpy: what the bytes of a block mean. The readable twin of native/gguf/.

A block holds 32 or 256 weights of one row. Whatever the format, a weight is `scale * q - offset`: a small integer `q`,
and one scale and one offset for a group of 16 or 32 weights. The formats differ in how many bits the three get.

    n blocks, W weights of a block, G groups of a block

Source: ggml's ggml-common.h (the structs) and ggml-quants.c (the order of bits); equal to `gguf.quants`, see the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Small = NDArray[np.int8]


class Format(NamedTuple):
    """A block format.

    Attributes:
        name: In lower case.
        number: Its number in GGUF files.
        block: Weights of a block; rows are whole blocks.
        block_bytes: Bytes of a block.
        group: Weights that share a scale and an offset.
    """

    name: str
    number: int
    block: int
    block_bytes: int
    group: int

    @property
    def bits(self) -> float:
        """Bits a weight, with the scales."""
        return 8 * self.block_bytes / self.block


FORMATS = {
    one.name: one
    for one in (
        Format("q4_0", 2, 32, 18, 32),
        Format("q4_1", 3, 32, 20, 32),
        Format("q5_0", 6, 32, 22, 32),
        Format("q5_1", 7, 32, 24, 32),
        Format("q8_0", 8, 32, 34, 32),
        Format("q2_k", 10, 256, 84, 16),
        Format("q3_k", 11, 256, 110, 16),
        Format("q4_k", 12, 256, 144, 32),
        Format("q5_k", 13, 256, 176, 32),
        Format("q6_k", 14, 256, 210, 16),
    )
}


class Groups(NamedTuple):
    """Blocks taken apart: a weight is `scale * q - offset`.

    Attributes:
        q: `(n, W)`, int8.
        scales, offsets: `(n, G)`, float32.
    """

    q: Small
    scales: Floats
    offsets: Floats

    def values(self) -> Floats:
        """`(n, W)`, float32."""
        num_groups = self.scales.shape[1]
        q = self.q.reshape(len(self.q), num_groups, -1).astype(np.float32)
        return (self.scales[..., None] * q - self.offsets[..., None]).reshape(self.q.shape)


def unpack(blocks: Bytes, form: Format) -> Groups:
    """Takes blocks, `(n, block_bytes)`, apart."""
    with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may hold any scale
        return _UNPACK[form.name](blocks)


def _half(part: Bytes) -> Floats:
    """Two bytes a row as float16; `(n, 1)`, float32."""
    return np.ascontiguousarray(part).view("<f2").astype(np.float32)


def _nibbles(part: Bytes) -> Bytes:
    """Two integers a byte: of every 16 bytes (or 32, in K formats: `_k_nibbles`) first the low halves."""
    return np.concatenate([part & 15, part >> 4], axis=1)


def _k_nibbles(part: Bytes) -> Bytes:
    chunks = part.reshape(len(part), 4, 1, 32)
    return np.concatenate([chunks & 15, chunks >> 4], axis=2).reshape(len(part), 256)


def _quarters(part: Bytes) -> Bytes:
    """Four integers a byte: of every 32 bytes first the lowest two bits."""
    chunks = part.reshape(len(part), -1, 1, 32) >> np.array([0, 2, 4, 6], dtype=np.uint8)[:, None]
    return (chunks & np.uint8(3)).reshape(len(part), 256)


def _fifth_bits(part: Bytes) -> Bytes:
    return np.unpackbits(part, axis=1, bitorder="little") << np.uint8(4)


def _none(scales: Floats) -> Floats:
    return np.zeros_like(scales)


def _q8_0(blocks: Bytes) -> Groups:
    d = _half(blocks[:, :2])
    return Groups(blocks[:, 2:].view(np.int8), d, _none(d))


def _q4_0(blocks: Bytes) -> Groups:
    d = _half(blocks[:, :2])
    return Groups(_nibbles(blocks[:, 2:]).view(np.int8) - np.int8(8), d, _none(d))


def _q4_1(blocks: Bytes) -> Groups:
    return Groups(_nibbles(blocks[:, 4:]).view(np.int8), _half(blocks[:, :2]), -_half(blocks[:, 2:4]))


def _q5_0(blocks: Bytes) -> Groups:
    d = _half(blocks[:, :2])
    q = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return Groups(q.view(np.int8) - np.int8(16), d, _none(d))


def _q5_1(blocks: Bytes) -> Groups:
    q = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return Groups(q.view(np.int8), _half(blocks[:, :2]), -_half(blocks[:, 2:4]))


def _q2_k(blocks: Bytes) -> Groups:
    pairs, q, d, least = np.split(blocks, [16, 80, 82], axis=1)
    scales, offsets = (pairs & 15).astype(np.float32), (pairs >> 4).astype(np.float32)
    return Groups(_quarters(q).view(np.int8), _half(d) * scales, _half(least) * offsets)


def _q3_k(blocks: Bytes) -> Groups:
    high, q, packed, d = np.split(blocks, [32, 96, 108], axis=1)
    low = np.concatenate([packed[:, :8] & 15, packed[:, :8] >> 4], axis=1)
    upper = (packed[:, None, 8:] >> np.array([0, 2, 4, 6], dtype=np.uint8)[:, None]) & np.uint8(3)
    six_bits = (low | upper.reshape(-1, 16) << np.uint8(4)).view(np.int8) - np.int8(32)
    scales = _half(d) * six_bits.astype(np.float32)
    third = (high[:, None, :] >> np.arange(8, dtype=np.uint8)[:, None]) & np.uint8(1)
    signed = _quarters(q).view(np.int8) - np.int8(4) + (third.reshape(-1, 256) << np.uint8(2)).view(np.int8)
    return Groups(signed, scales, _none(scales))


def six_bit_pairs(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Eight scales and eight offsets of 6 bits in 12 bytes, as Q4_K and Q5_K have them; each `(n, 8)`."""
    first, second, rest = np.split(packed, 3, axis=1)
    scales = np.concatenate([first & 63, (rest & 15) | (first >> 2 & 48)], axis=1)
    offsets = np.concatenate([second & 63, (rest >> 4) | (second >> 2 & 48)], axis=1)
    return scales, offsets


def _k_scales(blocks: Bytes) -> tuple[Floats, Floats]:
    scales, offsets = six_bit_pairs(blocks[:, 4:16])
    return _half(blocks[:, :2]) * scales.astype("f4"), _half(blocks[:, 2:4]) * offsets.astype("f4")


def _q4_k(blocks: Bytes) -> Groups:
    return Groups(_k_nibbles(blocks[:, 16:]).view(np.int8), *_k_scales(blocks))


def _q5_k(blocks: Bytes) -> Groups:
    fifth = (blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None]) & np.uint8(1)
    q = _k_nibbles(blocks[:, 48:]) | fifth.reshape(-1, 256) << np.uint8(4)
    return Groups(q.view(np.int8), *_k_scales(blocks))


def _q6_k(blocks: Bytes) -> Groups:
    low, high, small, d = np.split(blocks, [128, 192, 208], axis=1)
    low = low.reshape(-1, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 256)
    scales = _half(d) * small.view(np.int8).astype(np.float32)
    return Groups((low | _quarters(high) << np.uint8(4)).view(np.int8) - np.int8(32), scales, _none(scales))


_UNPACK: dict[str, Callable[[Bytes], Groups]] = {
    "q4_0": _q4_0,
    "q4_1": _q4_1,
    "q5_0": _q5_0,
    "q5_1": _q5_1,
    "q8_0": _q8_0,
    "q2_k": _q2_k,
    "q3_k": _q3_k,
    "q4_k": _q4_k,
    "q5_k": _q5_k,
    "q6_k": _q6_k,
}
