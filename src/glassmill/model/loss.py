"""Linear layer and cross-entropy in one: the logits of a whole batch never exist.

Logits of `CHUNK_ROWS` rows at a time are computed, turned into their own gradient, and reduced to what is kept.
Memory is rows of a chunk times vocabulary instead of tokens of a batch times vocabulary. (The idea: Wijmans et al.
2024, arXiv 2411.09009; Liger Kernel, arXiv 2410.10989.)

Two differentiable functions with one plain twin:

- `linear_cross_entropy`: the weighted sum of nats, for weights known in advance. Its gradient is computed in the
  forward pass, from the same logits; the backward pass only scales it.
- `token_nats`: the nats of every token, for a loss that depends on them (DPO, RL). Its backward pass computes the
  logits a second time: four matrix products for the head instead of three.

    M rows (tokens of a batch), D d_model, V vocabulary
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK_ROWS = 1024


def linear_cross_entropy(hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor, weights_M: Tensor) -> Tensor:
    """Weighted sum of the nats of `softmax(hidden weight^T)`, a float32 scalar.

    Args:
        hidden_MD: Hidden states, float32 or bfloat16.
        weight_VD: The head, of the same type.
        targets_M: The token to predict, int64.
        weights_M: What each token counts, float32; 0 where nothing is learned. They have no gradient.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden_MD, weight_VD, targets_M, weights_M)  # type: ignore[no-untyped-call]
    return loss


def token_nats(hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor) -> Tensor:
    """Nats of every target under `softmax(hidden weight^T)`, `(M,)` float32; arguments as above."""
    nats: Tensor = _TokenNats.apply(hidden_MD, weight_VD, targets_M)  # type: ignore[no-untyped-call]
    return nats


def plain_token_nats(hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor) -> Tensor:
    """The plain twin of `token_nats`, with all logits in memory at once."""
    return F.cross_entropy(F.linear(hidden_MD, weight_VD).float(), targets_M, reduction="none")


def accumulate_loss(
    hidden_MD: Tensor,
    weight_VD: Tensor,
    targets_M: Tensor,
    weights_M: Tensor,
    grad_hidden_MD: Tensor,
    grad_weight_VD: Tensor | None,
) -> Tensor:
    """The weighted sum; its gradient is written to `grad_hidden_MD` and added to `grad_weight_VD` (None: frozen).

    Softmax and loss are computed in float32 whatever the type of the inputs. The weights are applied to the narrow
    matrices beside the logits' gradient, never to the logits.
    """
    nats = torch.zeros((), dtype=torch.float32, device=hidden_MD.device)
    for start in range(0, len(targets_M), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        hidden, targets, weights = hidden_MD[rows], targets_M[rows, None], weights_M[rows, None]
        p_MV = torch.softmax(torch.mm(hidden, weight_VD.t()), dim=-1, dtype=torch.float32)
        nats -= (p_MV.gather(1, targets).clamp_min_(1e-38).log_() * weights).sum()
        p_MV.scatter_add_(1, targets, torch.full_like(weights, -1.0))
        grad_logits = p_MV.to(hidden.dtype)
        torch.mm(grad_logits, weight_VD, out=grad_hidden_MD[rows])
        if grad_weight_VD is not None:
            grad_weight_VD.addmm_(grad_logits.t(), hidden * weights.to(hidden.dtype))
    grad_hidden_MD.mul_(weights_M[:, None])
    return nats


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor, weights_M: Tensor) -> Tensor:
        grad_hidden, grad_weight = _buffers(ctx, hidden_MD, weight_VD)
        nats = accumulate_loss(hidden_MD, weight_VD, targets_M, weights_M, grad_hidden, grad_weight)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return nats

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], None if grad_weight is None else grad_weight * grads[0], None, None


class _TokenNats(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor) -> Tensor:
        nats_M = torch.empty(len(targets_M), dtype=torch.float32, device=hidden_MD.device)
        for start in range(0, len(targets_M), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            nats_M[rows] = plain_token_nats(hidden_MD[rows], weight_VD, targets_M[rows])
        ctx.save_for_backward(hidden_MD, weight_VD, targets_M)
        return nats_M

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None]:
        hidden_MD, weight_VD, targets_M = ctx.saved_tensors
        grad_hidden, grad_weight = _buffers(ctx, hidden_MD, weight_VD)
        accumulate_loss(hidden_MD, weight_VD, targets_M, grads[0], grad_hidden, grad_weight)
        return grad_hidden, grad_weight, None


def _buffers(ctx: Any, hidden_MD: Tensor, weight_VD: Tensor) -> tuple[Tensor, Tensor | None]:
    """Room for the two gradients; none for a frozen head."""
    return torch.empty_like(hidden_MD), torch.zeros_like(weight_VD) if ctx.needs_input_grad[1] else None
