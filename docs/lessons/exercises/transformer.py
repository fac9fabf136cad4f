"""Lesson 6: random windows, attention, and the loss.

B batch, T positions, N heads, H channels per head, V vocabulary
"""

import torch
from torch import Tensor


def windows(ids: Tensor, rows: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs and targets `(rows, length)`, from places that `torch.randint` draws with the generator.

    Every window of `length + 1` ids may be drawn, the last one too. The targets are the inputs, one place further.
    """
    ...


def attend(q_BTNH: Tensor, k_BTNH: Tensor, v_BTNH: Tensor) -> Tensor:
    """Causal attention, `(B, T, N, H)`: every position mixes the values of itself and of those before it.

    The weights are the softmax of the products of its query with their keys, divided by the square root of H.
    """
    ...


def loss(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """The mean over all positions of minus the logarithm of the probability of the target, in nats: a single number."""
    ...
