"""The attention of one layer by hand: norms of queries and keys, rotation, causal softmax, and all of it backwards.

Queries are taken in blocks of `BLOCK` positions, each against the keys up to its own end: most of what a causal mask
would discard is never computed. The weights of the softmax are kept for the backward pass; beyond `KEPT` positions they
would outgrow everything else, and are computed a second time.

    B rows, T positions, M = B T, N heads, K kv heads, H channels per head, W = (N + 2 K) H width of queries, keys and
    values side by side, R = B K matrices of a batched product
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassmill.model.attention import Attention
from glassmill.model.config import ModelConfig
from glassmill.model.layers import RMSNorm
from glassmill.model.rope import rope_angles
from glassmill.train.kernels import Heads, Kernels

BLOCK = 64
KEPT = 1024
NEVER = -1e30
"""A score whose weight is 0, by the kernel's e^x too; every query has its own key beside it."""


class AttentionScratch:
    """What all layers share: the rotation, and buffers that no layer needs after its turn."""

    def __init__(self, config: ModelConfig, rows: int, length: int, kernels: Kernels) -> None:
        N, K, H, R = config.num_heads, config.num_kv_heads, config.head_dim, rows * config.num_kv_heads
        self.kernels = kernels
        angles = rope_angles(torch.arange(length), H, config.rope_theta, config.rope_scaling)
        stretch = config.rope_scaling.attention_factor if config.rope_scaling else 1.0
        cos, sin = stretch * angles.cos(), stretch * angles.sin()
        self.heads = Heads(rows, length, N, K, cos, sin, config.rms_norm_eps, H**-0.5, BLOCK)
        self.out, self.grad_query = (self.empty(rows * length * N * H) for _ in range(2))
        self.grad_key, self.grad_value = self.empty(R, length, H), self.empty(R, length, H)
        self.weights, self.grad_weights = self.of_blocks(), self.of_blocks()
        self.apart: list[Tensor] = []

    def empty(self, *shape: int) -> Tensor:
        """A buffer of the type of products."""
        return torch.empty(*shape, dtype=self.kernels.dtype)

    def separate(self, documents_BT: Tensor) -> None:
        """Attend within documents: of every block, whether a query and a key belong to two of them."""
        d = documents_BT
        self.apart = [d[:, start:end, None] != d[:, None, :end] for start, end in self.heads.bounds]

    def of_blocks(self) -> list[Tensor]:
        """Buffers for the weights of every block; one for all of them where they are not kept."""
        heads = self.heads
        shapes = [(heads.B * heads.K, heads.N // heads.K * (end - start), end) for start, end in heads.bounds]
        if heads.T <= KEPT:
            return [self.empty(*shape) for shape in shapes]
        one = self.empty(max(a * b * c for a, b, c in shapes))
        return [one[: a * b * c].view(a, b, c) for a, b, c in shapes]


class FusedAttention:
    """One layer's attention between its two multiplications: `qkv` in, `mixed` out, and their gradients."""

    def __init__(self, attention: Attention, scratch: AttentionScratch) -> None:
        self.attention, self.scratch = attention, scratch
        heads = scratch.heads
        M, N, K, H = heads.B * heads.T, heads.N, heads.K, heads.H
        self.qkv, self.mixed = scratch.empty(M, (N + 2 * K) * H), scratch.empty(M, N * H)
        self.inverse_MJ = torch.empty(M, N + K)
        self.query = torch.empty_like(scratch.out)
        self.key, self.value = torch.empty_like(scratch.grad_key), torch.empty_like(scratch.grad_value)
        self.weights = scratch.of_blocks() if heads.T <= KEPT else scratch.weights
        self.grad_gains_2H = torch.zeros(2, H)

    def _gains(self) -> tuple[Tensor, Tensor] | None:
        """Of the norms of queries and keys, if the model has them."""
        q_norm, k_norm = self.attention.q_norm, self.attention.k_norm
        both = isinstance(q_norm, RMSNorm) and isinstance(k_norm, RMSNorm)
        return (q_norm.weight, k_norm.weight) if both else None  # type: ignore[return-value]

    def forward(self) -> None:
        """From `qkv` to `mixed`."""
        scratch, kernels, heads = self.scratch, self.scratch.kernels, self.scratch.heads
        kernels.heads(heads, self._gains(), self.qkv, self.query, self.key, self.value, self.inverse_MJ)
        outs = heads.blocks(scratch.out)
        for index, (_, end) in enumerate(heads.bounds):
            torch.bmm(self._weights(index), self.value[:, :end], out=outs[index])
        kernels.mix(heads, scratch.out, self.mixed)

    def _weights(self, index: int) -> Tensor:
        """What every query of a block gives to every key."""
        (start, end), weights = self.scratch.heads.bounds[index], self.weights[index]
        torch.bmm(self.scratch.heads.blocks(self.query)[index], self.key[:, :end].mT, out=weights)
        if self.scratch.apart:
            apart_Bqk = self.scratch.apart[index]
            by_row = weights.view(len(apart_Bqk), -1, *apart_Bqk.shape[1:])
            by_row.masked_fill_(apart_Bqk[:, None], NEVER)
        self.scratch.kernels.softmax(weights, end - start, start)
        return weights

    def backward(self, grad_mixed: Tensor, grad_qkv: Tensor) -> None:
        """From the gradient of `mixed` to that of `qkv`; gradients of the gains are added to theirs."""
        scratch, kernels, heads = self.scratch, self.scratch.kernels, self.scratch.heads
        scratch.grad_key.zero_()
        scratch.grad_value.zero_()
        kernels.mix(heads, scratch.out, grad_mixed, back=True)
        grad_outs, queries = heads.blocks(scratch.out), heads.blocks(self.query)
        grad_queries = heads.blocks(scratch.grad_query)
        for index, (start, end) in enumerate(heads.bounds):
            weights = self.weights[index] if heads.T <= KEPT else self._weights(index)
            grad_weights, grad_out = scratch.grad_weights[index], grad_outs[index]
            scratch.grad_value[:, :end].baddbmm_(weights.mT, grad_out)
            torch.bmm(grad_out, self.value[:, :end].mT, out=grad_weights)
            kernels.softmax_back(grad_weights, weights, end - start, start)
            torch.bmm(grad_weights, self.key[:, :end], out=grad_queries[index])
            scratch.grad_key[:, :end].baddbmm_(grad_weights.mT, queries[index])
        gains = self._gains()
        self.grad_gains_2H.zero_()
        kernels.heads_back(
            heads, gains, self.qkv, self.inverse_MJ, scratch.grad_query, scratch.grad_key, scratch.grad_value,
            grad_qkv, self.grad_gains_2H,
        )  # fmt: skip
        for gain, gradient in zip(gains or (), self.grad_gains_2H, strict=bool(gains)):
            assert gain.grad is not None
            gain.grad.add_(gradient)
