"""The mean of the weights over the last steps of a run, which is published instead of the last weights.

It does for a constant rate what a cool-down does, and smooths what many epochs of little text leave (Izmailov et al.
2018, arXiv 1803.05407). Training itself never sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from glassmill.train.checkpoint import Saved

COUNT = "average"
PREFIX = "average."


class Average:
    """The running mean of what is trained, once the last `share` of the steps has begun.

    Args:
        weights: What this rank has of them, in place.
        share: Of the steps.
    """

    def __init__(self, weights: Mapping[str, Tensor], share: float) -> None:
        self.weights, self.share, self.count = dict(weights), share, 0
        self.mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, step: int, steps: int) -> None:
        """Count the weights after step `step` (from 0) of `steps`; a run that is cut later goes on from where it is."""
        if not self.count and step < (1 - self.share) * steps:
            return
        self.count += 1
        if self.count == 1:
            self.mean = {name: weight.clone() for name, weight in self.weights.items()}
        elif self.mean:
            torch._foreach_lerp_(list(self.mean.values()), list(self.weights.values()), 1 / self.count)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The mean is where the weights are, for as long as the block takes."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint; empty before the first step that counts."""
        if not self.count:
            return {}
        return {COUNT: torch.tensor(self.count), **{PREFIX + name: mean for name, mean in self.mean.items()}}

    def load(self, saved: Saved, read: Callable[[str], Tensor]) -> None:
        """Put back what `state` gave; `read` gives this rank's part of a tensor of a checkpoint."""
        known = COUNT in saved.names("optimizer")
        self.count = int(saved.read("optimizer", COUNT)) if known else 0
        self.mean = {name: read(PREFIX + name).to(self.weights[name].device) for name in self.weights} if known else {}

    @torch.no_grad()
    def _swap(self) -> None:
        for name, mean in self.mean.items():
            weight, kept = self.weights[name], mean.clone()
            mean.copy_(weight)
            weight.copy_(kept)
