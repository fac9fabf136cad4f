"""Lesson 6: random windows, attention, and the loss.

B batch, T positions, N heads, H channels per head, V vocabulary
"""

import torch
from torch import Tensor


def windows(ids: Tensor, rows: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs and targets `(rows, length)`, from places that `torch.randint` draws with the generator.

    Every window of `length + 1` ids may be drawn, the last one too. The targets are the inputs, one place further.
    """
    starts = torch.randint(len(ids) - length, (rows,), generator=generator)
    found = torch.stack([ids[start : start + length + 1] for start in starts.tolist()])
    return found[:, :-1], found[:, 1:]


def attend(q_BTNH: Tensor, k_BTNH: Tensor, v_BTNH: Tensor) -> Tensor:
    """Causal attention, `(B, T, N, H)`: every position mixes the values of itself and of those before it.

    The weights are the softmax of the products of its query with their keys, divided by the square root of H.
    """
    T, H = q_BTNH.shape[1], q_BTNH.shape[3]
    scores_BNTT = torch.einsum("btnh,bsnh->bnts", q_BTNH, k_BTNH) / H**0.5
    future_TT = torch.ones(T, T).triu(1).bool()
    weights_BNTT = scores_BNTT.masked_fill(future_TT, float("-inf")).softmax(-1)
    return torch.einsum("bnts,bsnh->btnh", weights_BNTT, v_BTNH)


def loss(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """The mean over all positions of minus the logarithm of the probability of the target, in nats: a single number."""
    logprobs_BTV = logits_BTV.log_softmax(-1)
    return -logprobs_BTV.gather(-1, targets_BT.unsqueeze(-1)).mean()
