"""The native core's kernels for a training step on a CPU, over contiguous tensors.

A thin skin: it checks types, shapes and layout, because the core gets addresses. What each kernel does says
`native/train/step.hpp`; all add and reduce in float32, in an order that depends on nothing but shapes.

    M rows (tokens), D width, F width of the feed-forward layer, V vocabulary; heads see `Heads`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassmill import native

if TYPE_CHECKING:
    from glassmill.native._core import HeadShape

MOST_CHANNELS = 1024
"""Of a head."""


class Heads:
    """Layout and rotation of the heads of every layer.

    B rows, T positions, N heads of queries, K of keys and values, H channels, R = B K. Queries, and what is mixed for
    them, lie in blocks of `block` positions, so that a block is one matrix for each of R: `(R, N / K * positions, H)`.

    Args:
        cos_TH, sin_TH: Of the angles, float32, half a head wide.
        scale: Of the queries.
    """

    def __init__(
        self, B: int, T: int, N: int, K: int, cos_TH: Tensor, sin_TH: Tensor, eps: float, scale: float, block: int
    ) -> None:
        self.B, self.T, self.N, self.K, self.H = B, T, N, K, 2 * cos_TH.shape[1]
        assert cos_TH.shape == sin_TH.shape == (T, self.H // 2)
        self.cos, self.sin, self.eps, self.scale, self.block = cos_TH, sin_TH, eps, scale, block
        self.bounds = [(start, min(start + block, T)) for start in range(0, T, block)]

    def blocks(self, flat: Tensor) -> list[Tensor]:
        """Views of the blocks in what `heads` and `mix` write."""
        sizes = [self.B * self.N * (end - start) * self.H for start, end in self.bounds]
        return [part.view(self.B * self.K, -1, self.H) for part in torch.split(flat.view(-1), sizes)]

    def shape(self, gains: tuple[Tensor, Tensor] | None) -> HeadShape:
        """For the core, with the gains of the norms of queries and keys."""
        q, k = (0, 0) if gains is None else (_at(gain.detach(), torch.float32, (self.H,)) for gain in gains)
        cos, sin = (_at(table, torch.float32, (self.T, self.H // 2)) for table in (self.cos, self.sin))
        return native._core.head_shape(
            self.B, self.T, self.N, self.K, self.H, self.block, self.eps, self.scale, cos, sin, q, k
        )


class Kernels:
    """The kernels for values of one type, on so many threads."""

    def __init__(self, dtype: torch.dtype, threads: int) -> None:
        self.dtype = dtype
        step = {torch.float32: native._core.FloatStep, torch.bfloat16: native._core.Bf16Step}[dtype]
        self._step = step(threads)

    def norm(self, x_MD: Tensor, add: Tensor | None, normed: Tensor, inverse_M: Tensor, eps: float) -> None:
        """`x += add`, `inverse = 1 / rms(x)`, `normed = x inverse`."""
        M, D = x_MD.shape
        self._step.norm(
            _at(x_MD, torch.float32, (M, D)),
            0 if add is None else self._at(add, (M, D)),
            self._at(normed, (M, D)),
            _at(inverse_M, torch.float32, (M,)),
            M, D, eps,
        )  # fmt: skip

    def norm_back(self, grad_MD: Tensor, g: Tensor, normed: Tensor, inverse_M: Tensor, low: Tensor) -> None:
        """Add the gradient through a norm to `grad`, and round the sum to `low`."""
        M, D = grad_MD.shape
        inverse = _at(inverse_M, torch.float32, (M,))
        g_at, normed_at, low_at = (self._at(tensor, (M, D)) for tensor in (g, normed, low))
        self._step.norm_back(_at(grad_MD, torch.float32, (M, D)), g_at, normed_at, inverse, low_at, M, D)

    def heads(
        self, heads: Heads, gains: tuple[Tensor, Tensor] | None, qkv: Tensor, q: Tensor, k: Tensor, v: Tensor,
        inverse: Tensor,
    ) -> None:  # fmt: skip
        """All heads from `qkv (M, (N + 2 K) H)`; queries and keys normalised and rotated."""
        M, J = heads.B * heads.T, heads.N + heads.K
        at = self._of_heads(heads, qkv, q, k, v)
        self._step.heads(heads.shape(gains), *at, _at(inverse, torch.float32, (M, J)))

    def heads_back(
        self, heads: Heads, gains: tuple[Tensor, Tensor] | None, qkv: Tensor, inverse: Tensor,
        grad_q: Tensor, grad_k: Tensor, grad_v: Tensor, grad_qkv: Tensor, grad_gains_2H: Tensor,
    ) -> None:  # fmt: skip
        """The gradient of `qkv`; those of the gains are added to `grad_gains`."""
        M, J = heads.B * heads.T, heads.N + heads.K
        grad_qkv_at, *grads = self._of_heads(heads, grad_qkv, grad_q, grad_k, grad_v)
        self._step.heads_back(
            heads.shape(gains),
            self._at(qkv, (M, (J + heads.K) * heads.H)),
            _at(inverse, torch.float32, (M, J)),
            grads[0],
            grads[1],
            grads[2],
            grad_qkv_at,
            _at(grad_gains_2H, torch.float32, (2, heads.H)),
        )

    def _of_heads(self, heads: Heads, qkv: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[int, int, int, int]:
        M, R = heads.B * heads.T, heads.B * heads.K
        width = (heads.N + 2 * heads.K) * heads.H
        shape = (R, heads.T, heads.H)
        return self._at(qkv, (M, width)), self._at(q, (M * heads.N * heads.H,)), self._at(k, shape), self._at(v, shape)

    def mix(self, heads: Heads, blocks: Tensor, mixed_MW: Tensor, back: bool = False) -> None:
        """From the blocks of queries to rows `(M, N H)`, or back."""
        M, W = heads.B * heads.T, heads.N * heads.H
        self._step.mix(heads.shape(None), self._at(blocks, (M * W,)), self._at(mixed_MW, (M, W)), back)

    def softmax(self, weights: Tensor, count: int, start: int) -> None:
        """Softmax of the part of each row that position `start + row % count` sees, in place; 0 behind it."""
        rows, width = weights.shape[0] * weights.shape[1], weights.shape[2]
        assert width >= start + count and weights.shape[1] % count == 0
        self._step.softmax(self._at(weights, weights.shape), rows, count, start, width)

    def softmax_back(self, grad: Tensor, weights: Tensor, count: int, start: int) -> None:
        """The gradient before the softmax from that of its `weights`, in place."""
        rows, width = weights.shape[0] * weights.shape[1], weights.shape[2]
        assert width >= start + count and weights.shape[1] % count == 0
        grad_at, weights_at = (self._at(tensor, weights.shape) for tensor in (grad, weights))
        self._step.softmax_back(grad_at, weights_at, rows, count, start, width)

    def swiglu(self, gate_up: Tensor, inner_MF: Tensor) -> None:
        """`inner = silu(gate) up`; gate and up side by side."""
        M, F = inner_MF.shape
        self._step.swiglu(self._at(gate_up, (M, 2 * F)), self._at(inner_MF, (M, F)), M, F)

    def swiglu_back(self, gate_up: Tensor, grad_inner_MF: Tensor, grad_gate_up: Tensor) -> None:
        """The gradient of gate and up."""
        M, F = grad_inner_MF.shape
        at, grad_at = (self._at(tensor, (M, 2 * F)) for tensor in (gate_up, grad_gate_up))
        self._step.swiglu_back(at, self._at(grad_inner_MF, (M, F)), grad_at, M, F)

    def cross_entropy(self, logits_MV: Tensor, targets_M: Tensor, weights_M: Tensor, nats_M: Tensor) -> None:
        """Write the gradient of the weighted sum of nats over the logits, and every summand to `nats`."""
        M, V = logits_MV.shape
        assert not len(targets_M) or 0 <= int(targets_M.min()) <= int(targets_M.max()) < V
        weights, nats = (_at(tensor, torch.float32, (M,)) for tensor in (weights_M, nats_M))
        self._step.cross_entropy(self._at(logits_MV, (M, V)), _at(targets_M, torch.int64, (M,)), weights, nats, M, V)

    def fold(self, weight: Tensor, gain_D: Tensor | None, out: Tensor) -> None:
        """`out = weight gain`."""
        rows, D = weight.shape
        gain = 0 if gain_D is None else _at(gain_D.detach(), torch.float32, (D,))
        self._step.fold(_at(weight.detach(), torch.float32, (rows, D)), gain, self._at(out, (rows, D)), rows, D)

    def unfold(
        self, folded: Tensor, weight: Tensor, gain_D: Tensor | None, grad: Tensor, grad_gain_D: Tensor | None
    ) -> None:
        """Add the gradients of a weight and its gain, from that of their product."""
        rows, D = weight.shape
        gain, grad_gain = (
            0 if tensor is None else _at(tensor.detach(), torch.float32, (D,)) for tensor in (gain_D, grad_gain_D)
        )
        assert bool(gain) == bool(grad_gain)
        weight_at, grad_at = (_at(tensor.detach(), torch.float32, (rows, D)) for tensor in (weight, grad))
        self._step.unfold(self._at(folded, (rows, D)), weight_at, gain, grad_at, grad_gain, rows, D)

    def _at(self, tensor: Tensor, shape: tuple[int, ...]) -> int:
        return _at(tensor, self.dtype, shape)


def _at(tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> int:
    """The address of a tensor that is what a kernel takes it for."""
    assert tensor.dtype == dtype and tuple(tensor.shape) == tuple(shape), (tensor.dtype, tensor.shape, dtype, shape)
    assert tensor.is_contiguous() and tensor.device.type == "cpu"
    return tensor.data_ptr()
