"""The gradient of a batch: by hand where that is fast (float32 on a CPU), by autograd everywhere else.

Both cut the batch into micro-batches, so memory depends on the micro-batch alone, and both give the same numbers but
for the order of sums.

    B rows of a batch, T positions
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from glassmill.model.transformer import Transformer
from glassmill.train.fused import FusedStep
from glassmill.train.loss import linear_cross_entropy


class Batch(NamedTuple):
    """What a step learns from: ids, the id that follows each, and what it counts in the loss; all `(B, T)`.

    The weights add up to 1, so the loss is a mean of nats per token.
    """

    ids: Tensor
    targets: Tensor
    weights: Tensor

    def micro_batches(self, rows: int) -> Iterator[Batch]:
        """The batch in parts of so many rows."""
        return (Batch(*parts) for parts in zip(*(torch.split(part, rows) for part in self), strict=True))


class Gradients(Protocol):
    """Fills `parameter.grad` from a batch."""

    def __call__(self, batch: Batch) -> float:
        """The loss; afterwards every parameter has its gradient."""


def make_gradients(
    model: Transformer, rows: int, length: int, micro_batch_tokens: int, dtype: torch.dtype
) -> Gradients:
    """The fastest way this device offers, for batches of `rows` windows of `length`."""
    micro_rows = max(1, min(rows, micro_batch_tokens // length))
    while rows % micro_rows:
        micro_rows -= 1
    if dtype == torch.float32 and model.head_weight.device.type == "cpu":
        return FusedGradients(model, micro_rows, length)
    return AutogradGradients(model, micro_rows, dtype)


class FusedGradients:
    """`FusedStep` over micro-batches."""

    def __init__(self, model: Transformer, micro_rows: int, length: int) -> None:
        self.step, self.micro_rows = FusedStep(model, micro_rows, length), micro_rows

    def __call__(self, batch: Batch) -> float:
        self.step.begin()
        loss = sum(self.step.add(*part) for part in batch.micro_batches(self.micro_rows))
        self.step.finish()
        return loss


class AutogradGradients:
    """The plain model under autograd; matrix products in `dtype`, weights and their gradients in float32."""

    def __init__(self, model: Transformer, micro_rows: int, dtype: torch.dtype) -> None:
        self.model, self.micro_rows, self.dtype = model, micro_rows, dtype

    def __call__(self, batch: Batch) -> float:
        weight = self.model.head_weight
        device = weight.device
        self.model.zero_grad(set_to_none=True)
        total = torch.zeros((), device=device)
        for ids, targets, weights in batch.micro_batches(self.micro_rows):
            with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
                hidden_BTD = self.model.hidden(ids.to(device))
            hidden_MD = hidden_BTD.flatten(0, 1).to(self.dtype)
            targets_M, weights_M = targets.flatten().to(device), weights.flatten().to(device)
            loss = linear_cross_entropy(hidden_MD, weight.to(self.dtype), targets_M, weights_M)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total.item()


def best_dtype(device: torch.device, d_model: int) -> torch.dtype:
    """bfloat16 where the device multiplies it faster and the matrices are large enough to gain, else float32."""
    if device.type == "cuda":
        return torch.bfloat16
    fast = any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return torch.bfloat16 if device.type == "cpu" and fast and d_model >= 256 else torch.float32
