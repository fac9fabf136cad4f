"""Linear layer and cross-entropy in one: the logits of a whole batch never exist.

Logits of a few hundred rows at a time are made, turned in place into their own gradient, and spent on the gradients of
the inputs and of the weight, all in the forward pass. The backward pass has nothing left to do but scale.
Memory is rows of a chunk times vocabulary instead of tokens of a batch times vocabulary.

Every target has a weight, 0 where nothing is learned; the loss is the weighted sum of nats.

    M rows (tokens of a batch), D d_model, V vocabulary
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK_ROWS = 1024


def linear_cross_entropy(hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor, weights_M: Tensor) -> Tensor:
    """Weighted sum of nats of `softmax(hidden weight^T)`; the fused twin of `plain_linear_cross_entropy`."""
    loss: Tensor = _LinearCrossEntropy.apply(hidden_MD, weight_VD, targets_M, weights_M)  # type: ignore[no-untyped-call]
    return loss


def plain_linear_cross_entropy(hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor, weights_M: Tensor) -> Tensor:
    """The same number the plain way, with all logits in memory at once."""
    logits_MV = F.linear(hidden_MD, weight_VD).float()
    return (F.cross_entropy(logits_MV, targets_M, reduction="none") * weights_M).sum()


@torch.no_grad()
def sum_of_nats(hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor, weights_M: Tensor) -> float:
    """The same number without gradients, chunk by chunk, for measuring."""
    chunks = zip(*(torch.split(part, CHUNK_ROWS) for part in (hidden_MD, targets_M, weights_M)), strict=True)
    return sum(
        plain_linear_cross_entropy(hidden, weight_VD, targets, weights).item() for hidden, targets, weights in chunks
    )


def accumulate_loss(
    hidden_MD: Tensor,
    weight_VD: Tensor,
    targets_M: Tensor,
    weights_M: Tensor,
    grad_hidden_MD: Tensor,
    grad_weight_VD: Tensor,
) -> Tensor:
    """The loss; its gradient is written to `grad_hidden_MD` and added to `grad_weight_VD`.

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
        grad_weight_VD.addmm_(grad_logits.t(), hidden * weights.to(hidden.dtype))
    grad_hidden_MD.mul_(weights_M[:, None])
    return nats


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor, weights_M: Tensor) -> Tensor:
        grad_hidden, grad_weight = torch.empty_like(hidden_MD), torch.zeros_like(weight_VD)
        nats = accumulate_loss(hidden_MD, weight_VD, targets_M, weights_M, grad_hidden, grad_weight)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return nats

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], grad_weight * grads[0], None, None
