"""Dropout (Srivastava et al. 2014) of what attention and feed-forward layers add, for many epochs of little text.

Hooks on the model's modules, so the model knows nothing of it. The mask of a row depends on the seed, the step, the
number of the row in its batch, and the layer: not on a generator's state, nor on the cut into micro-batches and ranks.
So a resumed run drops what an undisturbed one would have dropped, on any number of processes, and a block that is
computed twice (activation checkpointing) drops the same twice.

    B rows of a micro-batch, T positions, D d_model
"""

from __future__ import annotations

import hashlib
from functools import partial

import torch
from torch import Tensor, nn

from glassmill.model.transformer import Transformer


class Dropout:
    """Sets a share of the outputs of every layer to zero, wherever gradients follow, and scales the rest up.

    Args:
        model: Gets the hooks.
        share: Of the values.
        seed: Of the training.
    """

    def __init__(self, model: Transformer, share: float, seed: int) -> None:
        self.share, self.seed = share, seed
        self.step = self.row = self.next_row = 0
        model.register_forward_pre_hook(self._begin)
        for layer, block in enumerate(model.model.layers):
            for part, module in enumerate((block.self_attn, block.mlp)):
                assert isinstance(module, nn.Module)
                module.register_forward_hook(partial(self._drop, 2 * layer + part))

    def start(self, step: int, first_row: int) -> None:
        """The micro-batches that follow are those of this rank, in order.

        Args:
            first_row: The number of their first row in the batch of all ranks.
        """
        self.step, self.next_row = step, first_row

    def mask(self, place: int, row: int, length: int, width: int, device: torch.device) -> Tensor:
        """What a row keeps, `(T, D)` bool."""
        text = f"{self.seed},{self.step},{row},{place}".encode()
        number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1
        generator = torch.Generator(device).manual_seed(number)
        return torch.rand(length, width, generator=generator, device=device) >= self.share

    def _begin(self, model: nn.Module, given: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            self.row, self.next_row = self.next_row, self.next_row + len(given[0])

    def _drop(self, place: int, module: nn.Module, given: object, added_BTD: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return added_BTD
        B, T, D = added_BTD.shape
        kept_BTD = torch.stack([self.mask(place, self.row + row, T, D, added_BTD.device) for row in range(B)])
        return added_BTD * kept_BTD / (1 - self.share)
