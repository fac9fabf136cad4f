"""Weights into GGUF's blocks in plain numpy: which scales and integers come nearest. Twin of native/gguf/write*.

The reference rounds to a grid that the largest weight (or the range) spans. A grid a little narrower or wider often
comes nearer: every candidate is rounded, its scale (and offset) fitted by least squares over the weights' importance,
and the nearest kept. In Q4_K and Q6_K, whose scales are small integers themselves, each is then chosen among its
neighbours, with all weights rounded anew. In Q8_0 the grid is so fine that a fit is worth nothing, but which weights
fall near it is chance: of 18 grids the best has a fifth less squared error.

Sums run in a fixed order, eight lanes side by side, so that the core computes the same bits.

Source: the search of ggml-quants.c (make_qx_quants, make_qkx2_quants), extended by the choice among neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glassmill.model.plain_formats import Bytes, Floats, Format, Small

STEPS = 9
"""Candidates on each side of the reference, a tenth of a step of the grid apart."""
TINY = np.float32(1e-30)
f32 = np.float32


def quantize(values: Floats, form: Format, importance: Floats) -> Bytes:
    """Blocks, `(n, block_bytes)`, of the weights `(n, W)`; `importance`, of the same shape, is how much errors count.

    Rows of zeros in `importance` ask for the reference's rounding.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _QUANTIZE[form.name](values, importance)


def _sum(products: Floats) -> Floats:
    """Sums over the last axis: eight lanes, then the lanes in pairs. Shape `(..., 1)`."""
    lanes = products.reshape(*products.shape[:-1], -1, 8)
    total = lanes[..., 0, :]
    for place in range(1, lanes.shape[-2]):
        total = total + lanes[..., place, :]
    total = total[..., :4] + total[..., 4:]
    total = total[..., :2] + total[..., 2:]
    return total[..., :1] + total[..., 1:]


def _divided(above: Floats | f32, below: Floats) -> Floats:
    """0 where `below` is as good as 0: scales have no such numbers."""
    quotient: Floats = np.where(np.abs(below) < TINY, f32(0), above / below)
    return quotient


def _half(values: Floats) -> Floats:
    return values.astype(np.float16).astype(f32)


def _half_bytes(values: Floats) -> Bytes:
    return np.ascontiguousarray(values.astype("<f2")).view(np.uint8)


def _rounded(scaled: Floats, low: int, high: int) -> Floats:
    """The nearest integers from `low` to `high`, halves upwards."""
    whole: Floats = np.floor(np.minimum(np.maximum(scaled, f32(low)), f32(high)) - f32(low) + f32(0.5)) + f32(low)
    return whole


def symmetric(x: Floats, weight: Floats, n: int) -> Floats:
    """A scale for each row: `x` is near `scale * q` with integers from `-n` to `n - 1`. Shape `(..., 1)`."""
    largest = np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)
    best = np.full_like(largest, -1)
    scale = largest / f32(-n)
    for step in range(-STEPS, STEPS + 1):
        q = _rounded(_divided(f32(-n) + f32(0.1) * f32(step), largest) * x, -n, n - 1)
        xq, qq = _sum(weight * x * q), _sum(weight * q * q)
        fit = _divided(xq, qq)
        gain = fit * xq  # by how much the squared error is less than that of zeros
        better = gain > best
        best, scale = np.where(better, gain, best), np.where(better, fit, scale)
    return scale


def asymmetric(x: Floats, weight: Floats, top: int, below_zero: bool) -> tuple[Floats, Floats]:
    """A scale and an offset for each row: `x` is near `scale * q - offset` with integers from 0 to `top`.

    Offsets are at least 0 if `below_zero`: the K formats have no others.
    """
    low, high = x.min(-1, keepdims=True), x.max(-1, keepdims=True)
    if below_zero:
        low = np.minimum(low, f32(0))
    width = high - low
    all_w, all_x = _sum(weight), _sum(weight * x)
    best = np.full_like(low, np.inf)
    scale, offset = np.zeros_like(low), -low
    for step in range(-STEPS, STEPS + 1):
        q = _rounded((x - low) * _divided(f32(top) + f32(0.1) * f32(step), width), 0, top)
        all_q, qq, xq = _sum(weight * q), _sum(weight * q * q), _sum(weight * x * q)
        below = all_w * qq - all_q * all_q
        fit = _divided(all_w * xq - all_x * all_q, below)
        least = _divided(qq * all_x - all_q * xq, below)
        if below_zero:
            fit, least = np.where(least > 0, _divided(xq, qq), fit), np.minimum(least, f32(0))
        away = fit * q + least - x
        error = _sum(weight * away * away)
        better = (error < best) & (fit > 0)
        best = np.where(better, error, best)
        scale, offset = np.where(better, fit, scale), np.where(better, -least, offset)
    return scale, offset + f32(0)  # no zero with a sign


# --- one scale for a block --------------------------------------------------------------------------------------------


def _nibbles(q: Bytes) -> Bytes:
    return q[:, :16] & np.uint8(15) | (q[:, 16:] & np.uint8(15)) << np.uint8(4)


def _q8_0(x: Floats, importance: Floats) -> Bytes:
    largest = np.abs(x).max(-1, keepdims=True)
    d = largest / f32(127)
    scaled = x * _divided(f32(1), d)
    q = np.sign(scaled) * (np.floor(np.abs(scaled)) + np.floor(2 * (np.abs(scaled) - np.floor(np.abs(scaled)))))
    best = np.where(importance.any(-1, keepdims=True), f32(np.inf), f32(-1))
    for steps in range(128, 110, -1):
        scale = _half(largest / f32(steps))
        rounded = _rounded(x * _divided(f32(1), scale), -127, 127)
        away = scale * rounded - x
        error = _sum(importance * away * away)
        better = error < best
        best, d, q = (np.where(better, new, old) for new, old in ((error, best), (scale, d), (rounded, q)))
    small: Small = q.astype(np.int8)
    return np.concatenate([_half_bytes(d), small.view(np.uint8)], axis=1)


def _searched(x: Floats, importance: Floats, n: int) -> tuple[Floats, Bytes]:
    """Scales, and integers from 0 to 2n - 1."""
    largest = np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)
    plain = largest / f32(-n)
    plain_q = np.minimum(np.trunc(x * _divided(f32(1), plain) + f32(n + 0.5)), f32(2 * n - 1))
    d = symmetric(x, importance, n)
    q = _rounded(x * _divided(f32(1), _half(d)), -n, n - 1) + f32(n)
    asked = importance.any(-1, keepdims=True)
    return np.where(asked, d, plain), np.where(asked, q, plain_q).astype(np.uint8)


def _q4_0(x: Floats, importance: Floats) -> Bytes:
    d, q = _searched(x, importance, 8)
    return np.concatenate([_half_bytes(d), _nibbles(q)], axis=1)


def _q5_0(x: Floats, importance: Floats) -> Bytes:
    d, q = _searched(x, importance, 16)
    fifth = np.packbits(q >> 4, axis=1, bitorder="little")
    return np.concatenate([_half_bytes(d), fifth, _nibbles(q)], axis=1)


def _q4_1(x: Floats, importance: Floats) -> Bytes:
    low = x.min(-1, keepdims=True) + f32(0)
    plain = (x.max(-1, keepdims=True) + f32(0) - low) / f32(15)
    plain_q = np.minimum(np.trunc((x - low) * _divided(f32(1), plain) + f32(0.5)), f32(15))
    d, offset = asymmetric(x, importance, 15, below_zero=False)
    q = _rounded((x + _half(offset)) * _divided(f32(1), _half(d)), 0, 15)
    asked = importance.any(-1, keepdims=True)
    d, least = np.where(asked, d, plain), np.where(asked, -offset, low)
    return np.concatenate([_half_bytes(d), _half_bytes(least), _nibbles(np.where(asked, q, plain_q).astype("u1"))], 1)


# --- small integers as scales -----------------------------------------------------------------------------------------


def _q4_k(x: Floats, importance: Floats) -> Bytes:
    x, weight = x.reshape(-1, 8, 32), importance.reshape(-1, 8, 32)
    scales, offsets = asymmetric(x, weight, 15, below_zero=True)
    d, least = (_half(part.max(1, keepdims=True) / f32(63)) for part in (scales, offsets))
    middle = [_rounded(_divided(part, unit), 0, 63) for part, unit in ((scales, d), (offsets, least))]
    best = np.full_like(scales, np.inf)
    kept = [np.zeros_like(scales), np.zeros_like(scales)]
    q = np.zeros_like(x)
    for step in range(9):
        tried = [np.minimum(np.maximum(middle[0] + f32(step // 3 - 1), f32(0)), f32(63))]
        tried.append(np.minimum(np.maximum(middle[1] + f32(step % 3 - 1), f32(0)), f32(63)))
        scale, offset = d * tried[0], least * tried[1]
        rounded = _rounded((x + offset) * _divided(f32(1), scale), 0, 15)
        away = scale * rounded - offset - x
        error = _sum(weight * away * away)
        better = error < best
        best, q = np.where(better, error, best), np.where(better, rounded, q)
        kept = [np.where(better, new, old) for new, old in zip(tried, kept, strict=True)]
    nibbles = q.astype(np.uint8).reshape(-1, 4, 2, 32)
    pairs = _six_bit_pairs(*(part.reshape(-1, 8).astype(np.uint8) for part in kept))
    packed = (nibbles[:, :, 0] | nibbles[:, :, 1] << 4).reshape(-1, 128)
    return np.concatenate([_half_bytes(d[:, 0]), _half_bytes(least[:, 0]), pairs, packed], axis=1)


def _six_bit_pairs(scales: Bytes, offsets: Bytes) -> Bytes:
    first = scales[:, :4] | (scales[:, 4:] >> 4) << 6
    second = offsets[:, :4] | (offsets[:, 4:] >> 4) << 6
    return np.concatenate([first, second, scales[:, 4:] & 15 | (offsets[:, 4:] & 15) << 4], axis=1)


def _q6_k(x: Floats, importance: Floats) -> Bytes:
    x, weight = x.reshape(-1, 16, 16), importance.reshape(-1, 16, 16)
    scales = symmetric(x, weight, 32)
    largest = np.take_along_axis(scales, np.abs(scales).argmax(1)[:, None], 1)
    d = _half(largest / f32(-128))
    middle = _rounded(_divided(scales, d), -128, 127)
    best, kept, q = np.full_like(scales, np.inf), np.zeros_like(scales), np.zeros_like(x)
    for step in (-1, 0, 1):
        tried = np.minimum(np.maximum(middle + f32(step), f32(-128)), f32(127))
        scale = d * tried
        rounded = _rounded(x * _divided(f32(1), scale), -32, 31)
        away = scale * rounded - x
        error = _sum(weight * away * away)
        better = error < best
        best, q = np.where(better, error, best), np.where(better, rounded, q)
        kept = np.where(better, tried, kept)
    integers = (q + f32(32)).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = integers[:, :, :2] & 15 | (integers[:, :, 2:] & 15) << 4
    upper = integers >> 4
    high = upper[:, :, 0] | upper[:, :, 1] << 2 | upper[:, :, 2] << 4 | upper[:, :, 3] << 6
    small: Small = kept.reshape(-1, 16).astype(np.int8)
    return np.concatenate(
        [low.reshape(-1, 128), high.reshape(-1, 64), small.view(np.uint8), _half_bytes(d[:, 0])], axis=1
    )


_QUANTIZE: dict[str, Callable[[Floats, Floats], Bytes]] = {
    "q8_0": _q8_0,
    "q4_0": _q4_0,
    "q4_1": _q4_1,
    "q5_0": _q5_0,
    "q4_k": _q4_k,
    "q6_k": _q6_k,
}
WRITABLE = tuple(_QUANTIZE)
