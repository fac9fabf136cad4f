"""The gradient of a batch: by hand where that is faster (a plain model on a CPU), by autograd everywhere else.

Both cut the batch into micro-batches, so memory depends on the micro-batch alone, and both give the same numbers but
for the order of sums. Autograd goes through the model's `forward` and nothing else, so hooks, adapters, DDP and FSDP2
take part; the step by hand refuses all of them, see `fused.reason_against`.

    B rows of a batch, T positions
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glassmill.errors import UserError
from glassmill.model.attention import documents_of
from glassmill.train import parallel
from glassmill.train.fused import FusedStep, reason_against

StepName = Literal["auto", "fused", "autograd"]


class Batch(NamedTuple):
    """What a step learns from: ids, the id that follows each, and what it counts in the loss; all `(B, T)`.

    The weights of the whole batch, over all micro-batches and all ranks, add up to 1, so the loss is a mean of nats per
    token. A part of a batch keeps its weights: nobody scales them again.
    """

    ids: Tensor
    targets: Tensor
    weights: Tensor

    def micro_batches(self, rows: int) -> Iterator[Batch]:
        """The batch in parts of so many rows; the last may have fewer."""
        return (Batch(*parts) for parts in zip(*(torch.split(part, rows) for part in self), strict=True))

    def padded(self, rows: int) -> Batch:
        """The batch with so many rows; those that are added weigh nothing."""
        missing = rows - len(self.ids)
        return Batch(*(F.pad(part, (0, 0, 0, missing)) for part in self)) if missing else self

    def share(self, rank: int, world_size: int) -> Batch:
        """The rows of one rank. All ranks get the same number, so that all take part in the same exchanges."""
        rows = -(-len(self.ids) // world_size)
        whole = self.padded(rows * world_size)
        return Batch(*(part[rank * rows : (rank + 1) * rows] for part in whole))


class Gradients(Protocol):
    """Fills `parameter.grad` from a batch."""

    def __call__(self, batch: Batch) -> float:
        """The loss of the batch; afterwards every trained parameter has its gradient."""


def make_gradients(
    model: nn.Module,
    rows: int,
    length: int,
    micro_batch_tokens: int,
    dtype: torch.dtype,
    step: StepName = "auto",
    document_end: int | None = None,
) -> Gradients:
    """The way to compute gradients, for batches of `rows` windows of `length` on this rank.

    Args:
        model: A `Transformer`, or one that is wrapped or has adapters.
        micro_batch_tokens: The most tokens in memory at once; a micro-batch has at least one row.
        dtype: Of matrix products.
        step: `"auto"` is the step by hand where it can be used.
        document_end: The id at which attention starts anew, see `documents_of`; None: it sees the whole row.

    Raises:
        UserError: the step by hand was asked for and can't be used; the message says why.
    """
    micro_rows = rows_at_once(rows, micro_batch_tokens // length)
    reason = reason_against(model)
    if step == "fused" and reason is not None:
        raise UserError(f"step = fused cannot be used: {reason}; set step=auto")
    if step == "autograd" or reason is not None:
        return AutogradGradients(model, micro_rows, dtype, document_end)
    return FusedGradients(model, micro_rows, length, dtype, document_end)


def rows_at_once(rows: int, most: int) -> int:
    """Rows of a micro-batch: as few micro-batches as `most` allows, of about equal size.

    >>> rows_at_once(13, 8), rows_at_once(16, 8), rows_at_once(3, 8), rows_at_once(3, 0)
    (7, 8, 3, 1)
    """
    return math.ceil(rows / math.ceil(rows / max(1, most)))


class FusedGradients:
    """`FusedStep` over micro-batches. Its shape is fixed, so a smaller last one is filled up with rows of weight 0."""

    def __init__(
        self,
        model: nn.Module,
        micro_rows: int,
        length: int,
        dtype: torch.dtype = torch.float32,
        document_end: int | None = None,
    ) -> None:
        self.step, self.micro_rows = FusedStep(model, micro_rows, length, dtype, document_end), micro_rows

    def __call__(self, batch: Batch) -> float:
        self.step.begin()
        return sum(self.step.add(*part.padded(self.micro_rows)) for part in batch.micro_batches(self.micro_rows))


class AutogradGradients:
    """The model's `forward` under autograd; matrix products in `dtype`, weights and their gradients in float32.

    DDP and FSDP2 average the gradients of the ranks that read different rows. The weights of a batch already add up to
    1 over these ranks, so the sum is wanted: the local loss is multiplied by their number. Gradients are exchanged once
    a batch, with its last micro-batch.
    """

    def __init__(self, model: nn.Module, micro_rows: int, dtype: torch.dtype, document_end: int | None = None) -> None:
        self.model, self.micro_rows, self.dtype, self.document_end = model, micro_rows, dtype, document_end
        self.readers = parallel.readers(model)

    def __call__(self, batch: Batch) -> float:
        device = next(self.model.parameters()).device
        self.model.zero_grad(set_to_none=True)
        total = torch.zeros((), device=device)
        parts = list(batch.micro_batches(self.micro_rows))
        for number, part in enumerate(parts, start=1):
            ids, targets, weights = (tensor.to(device) for tensor in part)
            documents = None if self.document_end is None else documents_of(ids, self.document_end)
            with parallel.exchange(self.model, when=number == len(parts)):
                with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
                    loss = self.model(ids, targets, weights, documents)
                (loss * self.readers.size).backward()
            total += loss.detach()
        return self.readers.sum(total).item()
