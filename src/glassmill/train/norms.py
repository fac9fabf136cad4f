"""How hard a step pulls at each part of a model: gradient norms and update-to-weight ratios, by group.

A ratio near 1e-3 is usual for AdamW on matrices. One that is a hundred times smaller learns nothing, one near 1 wipes
out what was learned: the group's learning rate is off. (The plot of Karpathy's makemore, part 3.)

A rank of several holds a part of a tensor (FSDP2) or all of it (DDP); sums of squares add up over parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glassmill.train.parallel import copies, whole_or_rows

GROUPS = ("embeddings", "attention", "feed-forward", "norms", "head")


class Norms(NamedTuple):
    """By group of what is trained: the gradient's norm, before clipping; the step's norm over that of the weights."""

    gradients: dict[str, float]
    updates: dict[str, float]


class Before:
    """Gradients and weights right before an optimizer's step. It copies the weights: for single steps, not for all.

    Args:
        model: Plain, or cut over the ranks.
        sharded: It is cut: all ranks call the methods together.
    """

    @torch.no_grad()
    def __init__(self, model: nn.Module, sharded: bool) -> None:
        self.sharded = sharded
        self.weights = {name: whole_or_rows(p) for name, p in model.named_parameters() if p.requires_grad}
        self.copies = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.holders = {name: copies(p) for name, p in model.named_parameters()}
        gradients = [(name, whole_or_rows(p.grad)) for name, p in model.named_parameters() if p.grad is not None]
        self.gradients = self._squares(gradients)

    @torch.no_grad()
    def after(self) -> Norms:
        """What the step did."""
        changes = self._squares((name, weight - self.copies[name]) for name, weight in self.weights.items())
        sums = torch.stack([self.gradients, changes, self._squares(self.copies.items())])
        if self.sharded:
            torch.distributed.all_reduce(sums)
        gradients, changed, sizes = sums.sqrt().tolist()
        there = {group_of(name) for name in self.weights}
        groups = [(n, group) for n, group in enumerate(GROUPS) if group in there]
        return Norms(
            {group: gradients[n] for n, group in groups},
            {group: changed[n] / sizes[n] if sizes[n] else 0.0 for n, group in groups},
        )

    def _squares(self, tensors: Iterable[tuple[str, Tensor]]) -> Tensor:
        """Sum of squares of each of the `GROUPS`; what several ranks have counts once over all of them."""
        sums: dict[str, list[Tensor]] = {group: [] for group in GROUPS}
        device = torch.device("cpu")
        for name, tensor in tensors:
            sums[group_of(name)].append(torch.linalg.vector_norm(tensor.float()).square() / self.holders[name])
            device = tensor.device
        zero = torch.zeros((), device=device)
        return torch.stack([torch.stack(squares).sum() if squares else zero for squares in sums.values()])


def group_of(name: str) -> str:
    """The part of the model that a parameter belongs to.

    >>> group_of("model.layers.0.self_attn.q_proj.lora_A"), group_of("model.layers.0.input_layernorm.weight")
    ('attention', 'norms')
    """
    if "norm" in name:
        return "norms"
    inside = "attention" if ".self_attn." in name else "feed-forward"
    return inside if ".layers." in name else "head" if name.startswith("lm_head") else "embeddings"
