"""Low-rank adapters, put around the linear layers of a finished model from outside (Hu et al. 2021, arXiv 2106.09685).

    y = W x + (alpha / rank) B A x      A (rank, in) random, B (out, rank) zero, W frozen

`add_lora` changes the model's modules, so calling them calls the adapters too; reading `layer.weight` instead
raises an AttributeError. `merge_lora` gives the plain model back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glassmill.model.layers import Linear
from glassmill.model.transformer import Transformer

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraLinear(nn.Module):
    """A frozen linear layer plus its adapter, which starts as nothing (B is zero)."""

    def __init__(self, base: Linear, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.base, self.scale = base, alpha / rank
        bound = base.in_features**-0.5  # as PEFT: Kaiming's uniform with a = sqrt(5)
        first = torch.empty(rank, base.in_features).uniform_(-bound, bound, generator=generator)
        self.lora_A = nn.Parameter(first.to(base.weight))
        self.lora_B = nn.Parameter(base.weight.new_zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in)` to `(..., out)`."""
        low = F.linear(F.linear(x, self.lora_A), self.lora_B)
        return self.base(x) + self.scale * low  # type: ignore[no-any-return]

    @torch.no_grad()
    def merged(self) -> Linear:
        """The plain layer that computes the same; the adapter's product is added in float32."""
        product = self.scale * (self.lora_B.float() @ self.lora_A.float())
        self.base.weight.copy_(self.base.weight.float() + product)
        return self.base


def add_lora(model: Transformer, rank: int, alpha: float, targets: Sequence[str] = TARGETS, seed: int = 0) -> None:
    """Give the layers called `targets` in every block an adapter, and freeze everything else.

    Args:
        model: Changed in place; put DDP or FSDP2 around it afterwards.
        rank: Of the adapters.
        alpha: Their strength, relative to `rank`.
        targets: Names of linear layers in a block; by default all seven.
        seed: Of the random half of the adapters.

    Raises:
        ValueError: an unknown target, a rank below 1, or the model already has adapters.
    """
    unknown = [name for name in targets if name not in TARGETS]
    if unknown or not targets:
        raise ValueError(f"no layer to adapt is called {unknown[0] if unknown else '()'}; known: {', '.join(TARGETS)}")
    if rank < 1:
        raise ValueError(f"rank = {rank}: must be at least 1")
    if any(adapters(model)):
        raise ValueError("the model already has adapters; merge them first")
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parent, name in _places(model, Linear):
        if name in targets:
            setattr(parent, name, LoraLinear(getattr(parent, name), rank, alpha, generator))


def merge_lora(model: Transformer) -> None:
    """Add every adapter to its layer and take it away; all weights can be trained again."""
    for parent, name in _places(model, LoraLinear):
        setattr(parent, name, getattr(parent, name).merged())
    model.requires_grad_(True)


def adapters(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Name and layer of every adapter."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear))


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """The adapters alone, named as PEFT names them after its prefix `base_model.model.`."""
    found: dict[str, Tensor] = {}
    for name, layer in adapters(model):
        found |= {f"{name}.lora_A.weight": layer.lora_A.detach(), f"{name}.lora_B.weight": layer.lora_B.detach()}
    return found


@torch.no_grad()
def load_adapter_state(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `adapter_state` gave, into a model with adapters of the same shape.

    Raises:
        ValueError: an adapter of the model isn't among the tensors, or one of them isn't in the model.
    """
    own = adapter_state(model)
    if own.keys() != tensors.keys():
        raise ValueError(f"the adapters do not fit the model: {sorted(own.keys() ^ tensors.keys())[0]} is in only one")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def _places(model: Transformer, kind: type[nn.Module]) -> list[tuple[nn.Module, str]]:
    """Parent and attribute of every layer of this class inside the blocks, outermost first."""
    parents = [module for block in model.model.layers for module in block.modules()]
    return [
        (parent, name)
        for parent in parents
        if not isinstance(parent, LoraLinear)
        for name, child in parent.named_children()
        if isinstance(child, kind)
    ]
