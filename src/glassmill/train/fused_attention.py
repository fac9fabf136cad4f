"""The attention of one layer by hand: norms of queries and keys, rotation, causal softmax, and all of it backwards.

Queries are taken in blocks of `BLOCK` positions, each against the keys up to its own end: most of what a causal mask
would discard is never computed. The weights of the softmax are kept for the backward pass.

    B rows, T positions, M = B T, N heads, K kv heads, G = N / K, J = N + K heads that are rotated, H channels per head,
    W = (J + K) H width of queries, keys and values side by side, R = B K matrices of a batched product
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassmill.model.attention import Attention
from glassmill.model.config import ModelConfig
from glassmill.model.layers import RMSNorm
from glassmill.model.rope import rope_angles

BLOCK = 64


class AttentionScratch:
    """What all layers share: tables of the rotation, the mask, and buffers that no layer needs after its turn."""

    def __init__(self, config: ModelConfig, rows: int, length: int) -> None:
        self.rows, self.length = rows, length
        self.blocks = [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]
        M, N, K, H = rows * length, config.num_heads, config.num_kv_heads, config.head_dim
        J, R, G = N + K, rows * K, N // K
        angles = rope_angles(torch.arange(length), H, config.rope_theta, config.rope_scaling)
        scale_J11 = torch.full((J, 1, 1), config.rope_scaling.attention_factor if config.rope_scaling else 1.0)
        scale_J11[:N] *= H**-0.5  # the scale of the products, put into the queries
        self.cos_JTH = scale_J11 * torch.cat([angles.cos(), angles.cos()], dim=-1)
        self.sin_JTH = scale_J11 * torch.cat([-angles.sin(), angles.sin()], dim=-1)
        self.mask = torch.full((BLOCK, BLOCK), float("-inf")).triu(1)
        self.outs = [torch.empty(R, G * (end - start), H) for start, end in self.blocks]
        self.grad_outs = [torch.empty_like(out) for out in self.outs]
        self.grad_weights = [torch.empty(R, G * (end - start), end) for start, end in self.blocks]
        self.grad_key, self.grad_value = torch.empty(R, length, H), torch.empty(R, length, H)
        self.grad_turned = torch.empty(rows, J, length, H)
        self.unturned, self.product = torch.empty(M, J * H), torch.empty(M, J * H)


class FusedAttention:
    """One layer's attention between its two multiplications: `qkv` in, `mixed` out, and their gradients."""

    def __init__(self, attention: Attention, scratch: AttentionScratch) -> None:
        self.attention, self.config, self.scratch = attention, attention.config, scratch
        B, T = scratch.rows, scratch.length
        M, N, K, H = B * T, self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        self.J, self.R, self.G = N + K, B * K, N // K
        self.gain_J1H, self.grad_gain_JH = torch.ones(self.J, 1, H), torch.zeros(self.J, H)
        self.gain_blocks = torch.zeros(self.J * H, self.J)
        self.mean_blocks = torch.kron(torch.eye(self.J), torch.full((H, 1), 1.0 / H))
        self.qkv, self.inverse_MJ1 = torch.empty(M, (self.J + K) * H), torch.empty(M, self.J, 1)
        self.turned = torch.empty(B, self.J, T, H)
        self.key, self.value = torch.empty(self.R, T, H), torch.empty(self.R, T, H)
        self.queries = [torch.empty_like(out) for out in scratch.outs]
        self.weights = [torch.empty_like(grad) for grad in scratch.grad_weights]
        self.mixed = torch.empty(M, N * H)

    def fold(self) -> None:
        """Read the gains of the norms and clear their gradients."""
        self.grad_gain_JH.zero_()
        q_norm, k_norm = self.attention.q_norm, self.attention.k_norm
        if isinstance(q_norm, RMSNorm) and isinstance(k_norm, RMSNorm):
            N, H = self.config.num_heads, self.config.head_dim
            self.gain_J1H[:N, 0] = q_norm.weight
            self.gain_J1H[N:, 0] = k_norm.weight
            for head in range(self.J):
                self.gain_blocks[head * H : (head + 1) * H, head] = self.gain_J1H[head, 0] / H

    def unfold(self) -> None:
        """Write the gradients of the gains."""
        q_norm, k_norm = self.attention.q_norm, self.attention.k_norm
        if isinstance(q_norm, RMSNorm) and isinstance(k_norm, RMSNorm):
            N = self.config.num_heads
            q_norm.weight.grad = self.grad_gain_JH[:N].sum(dim=0)
            k_norm.weight.grad = self.grad_gain_JH[N:].sum(dim=0)

    def forward(self) -> None:
        """From `qkv` to `mixed`. The queries and keys in `qkv` are normalised in place."""
        scratch, B, T, J = self.scratch, self.scratch.rows, self.scratch.length, self.J
        K, G, H = self.config.num_kv_heads, self.G, self.config.head_dim
        heads_MJH = self.qkv[:, : J * H].view(B * T, J, H)
        if self.config.qk_norm:
            torch.mul(heads_MJH, heads_MJH, out=scratch.product.view_as(heads_MJH))
            torch.mm(scratch.product, self.mean_blocks, out=self.inverse_MJ1[..., 0])
            self.inverse_MJ1.add_(self.config.rms_norm_eps).rsqrt_()
            heads_MJH.mul_(self.inverse_MJ1)
        self._turn(heads_MJH.view(B, T, J, H).transpose(1, 2))
        self.key.view(B, K, T, H).copy_(self.turned[:, -K:])
        self.value.view(B, K, T, H).copy_(self.qkv[:, J * H :].view(B, T, K, H).transpose(1, 2))
        turned_BKGTH = self.turned[:, :-K].view(B, K, G, T, H)
        for (start, end), query, weights, out in zip(
            scratch.blocks, self.queries, self.weights, scratch.outs, strict=True
        ):
            count = end - start
            query.view(B, K, G, count, H).copy_(turned_BKGTH[..., start:end, :])
            torch.bmm(query, self.key[:, :end].mT, out=weights)
            weights.view(-1, count, end)[..., start:].add_(scratch.mask[:count, :count])
            torch.softmax(weights, dim=-1, out=weights)
            torch.bmm(weights, self.value[:, :end], out=out)
            self._positions(self.mixed, start, end).copy_(out.view(B, K, G, count, H))

    def backward(self, grad_mixed: Tensor, grad_qkv: Tensor) -> None:
        """From the gradient of `mixed` to that of `qkv`; gradients of the gains are added up."""
        scratch, B, T, J = self.scratch, self.scratch.rows, self.scratch.length, self.J
        K, G, H = self.config.num_kv_heads, self.G, self.config.head_dim
        scratch.grad_key.zero_()
        scratch.grad_value.zero_()
        grad_BKGTH = scratch.grad_turned[:, :-K].view(B, K, G, T, H)
        for index, (start, end) in enumerate(scratch.blocks):
            weights, grad_out = self.weights[index], scratch.grad_outs[index]
            grad_weights, grad_query = scratch.grad_weights[index], scratch.outs[index]
            grad_out.view(B, K, G, end - start, H).copy_(self._positions(grad_mixed, start, end))
            scratch.grad_value[:, :end].baddbmm_(weights.mT, grad_out)
            torch.bmm(grad_out, self.value[:, :end].mT, out=grad_weights)
            torch._softmax_backward_data(grad_weights, weights, -1, torch.float32, grad_input=grad_weights)
            torch.bmm(grad_weights, self.key[:, :end], out=grad_query)
            scratch.grad_key[:, :end].baddbmm_(grad_weights.mT, self.queries[index])
            grad_BKGTH[..., start:end, :].copy_(grad_query.view(B, K, G, end - start, H))
        scratch.grad_turned[:, -K:].copy_(scratch.grad_key.view(B, K, T, H))
        grad_qkv[:, J * H :].view(B, T, K, H).copy_(scratch.grad_value.view(B, K, T, H).transpose(1, 2))
        self._turn_back(scratch.unturned.view(B, T, J, H).transpose(1, 2))
        grad_heads_MJH = grad_qkv[:, : J * H].view(B * T, J, H)
        if self.config.qk_norm:
            self._norm_backward(grad_heads_MJH)
        else:
            grad_heads_MJH.copy_(scratch.unturned.view_as(grad_heads_MJH))

    def _positions(self, x_MW: Tensor, start: int, end: int) -> Tensor:
        """A view of some positions of `(M, N H)` as `(B, K, G, positions, H)`."""
        shape = (self.scratch.rows, self.scratch.length, self.config.num_kv_heads, self.G, self.config.head_dim)
        return x_MW.view(shape)[:, start:end].permute(0, 2, 3, 1, 4)

    def _turn(self, x_BJTH: Tensor) -> None:
        """Scale channels by their gain, then rotate, into `turned`."""
        half, out = x_BJTH.shape[-1] // 2, self.turned
        cos, sin = self.scratch.cos_JTH * self.gain_J1H, self.scratch.sin_JTH * self.gain_J1H.roll(half, -1)
        torch.mul(x_BJTH, cos, out=out)
        out[..., :half].addcmul_(x_BJTH[..., half:], sin[..., :half])
        out[..., half:].addcmul_(x_BJTH[..., :half], sin[..., half:])

    def _turn_back(self, out_BJTH: Tensor) -> None:
        """Rotate `grad_turned` back, without the gain."""
        half, grad, sin = out_BJTH.shape[-1] // 2, self.scratch.grad_turned, self.scratch.sin_JTH
        torch.mul(grad, self.scratch.cos_JTH, out=out_BJTH)
        out_BJTH[..., :half].addcmul_(grad[..., half:], sin[..., half:])
        out_BJTH[..., half:].addcmul_(grad[..., :half], sin[..., :half])

    def _norm_backward(self, grad_heads_MJH: Tensor) -> None:
        scratch, H, J = self.scratch, self.config.head_dim, self.J
        normed_MJH = self.qkv[:, : J * H].view(-1, J, H)
        unturned = scratch.unturned.view(-1, J, H)
        torch.mul(unturned, normed_MJH, out=scratch.product.view_as(unturned))
        self.grad_gain_JH.add_(scratch.product.sum(0).view(J, H))
        along_MJ1 = (scratch.product @ self.gain_blocks).unsqueeze(-1)
        unturned.mul_(self.gain_J1H[:, 0])
        unturned.addcmul_(normed_MJH, along_MJ1, value=-1.0)
        torch.mul(unturned, self.inverse_MJ1, out=grad_heads_MJH)
