"""A loss that depends on what the model itself makes of a batch: preferences, rewards.

Every such loss here is a function of the log-probabilities of given tokens. Its gradient is then that of a weighted sum
of their nats, with the derivative by each log-probability as the weight:

    d loss / d theta  =  sum_t  (- d loss / d logp_t)  d nats_t / d theta

So an objective looks at the model, computes those derivatives as numbers, and hands the loop a batch like any other: by
hand or by autograd, with adapters or without, the step is the one that pretraining takes.

    B rows of a batch, T positions
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from glassmill.errors import UserError
from glassmill.model.transformer import Transformer
from glassmill.train.batches import Windows
from glassmill.train.gradients import Batch
from glassmill.train.plan import Setup


class Objective(ABC):
    """Batches whose weights follow from the model's own log-probabilities.

    Attributes:
        rows, length: Of a batch, at most.
        loss: The objective's value on the newest batch, before its step; without that of the pages.
        pages: Windows of what the model was pretrained on, read beside every batch, so that what no batch speaks of
            stays known (Ouyang et al. 2022, arXiv 2203.02155, eq. 2).
        pages_weight: What their mean loss counts.
    """

    rows: int
    length: int
    loss: float = 0.0
    pages: Windows | None = None
    pages_weight: float = 0.0
    model: Transformer
    setup: Setup

    def attach(self, model: Transformer, setup: Setup) -> None:
        """Follow this model, which a trainer trains from now on."""
        self.model, self.setup = model, setup

    def batch(self, step: int) -> Batch:
        """What a step reads, pages last: a function of the step's number and of the weights before it."""
        own = self.own_batch(step)
        if self.pages is None:
            return own
        ids, targets, weights = self.pages.batch(step)
        return Batch(*map(torch.cat, zip(own, (ids, targets, self.pages_weight * weights), strict=True)))

    @abstractmethod
    def own_batch(self, step: int) -> Batch:
        """The objective's own part of that; sets `loss`."""


def logprobs(model: Transformer, ids_BT: Tensor, targets_BT: Tensor, setup: Setup, rows: int) -> Tensor:
    """The log-probability of every target, `(B, T)` float32 on the CPU; `rows` at a time are in memory."""
    device, dtype = setup.device.torch_device, setup.device.torch_dtype
    found = []
    with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        for ids, targets in zip(torch.split(ids_BT, rows), torch.split(targets_BT, rows), strict=True):
            found.append(-model(ids.to(device), targets.to(device)).float().cpu())
    return torch.cat(found)


def check_alone(stage: str, setup: Setup, dropout: float) -> None:
    """Raises UserError where an objective would see another model than its step trains."""
    if setup.device.place.world_size > 1:
        raise UserError(f"{stage} trains in one process; start it without torchrun")
    if dropout:
        raise UserError(f"{stage}.dropout = {dropout:g}: with dropout, a model's probabilities are noise; set it to 0")
