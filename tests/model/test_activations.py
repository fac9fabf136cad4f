"""What the plan says that autograd keeps is what torch keeps, counted on tensors without memory."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from glassmill.model.config import ModelConfig
from glassmill.model.sizes import activation_bytes
from glassmill.model.transformer import Transformer

SHAPES = {
    "small": ModelConfig(512, 64, 3, 4, 2, 16, 160, 64),
    "wide heads": ModelConfig(512, 64, 3, 4, 4, 32, 160, 64),
    "1.5 billion": ModelConfig(32_768, 2048, 2, 16, 8, 128, 5504, 2048),
    "7 billion": ModelConfig(128_256, 4096, 2, 32, 8, 128, 14_336, 4096),
}
"""The large ones with two of their layers: all layers are alike."""


def kept_by_torch(config: ModelConfig, rows: int, dtype: torch.dtype) -> int:
    """Bytes of the distinct tensors, other than parameters, that a forward pass saves for the backward pass."""
    with FakeTensorMode():
        model = Transformer(config)
        ids, weights = (torch.zeros(rows, config.context_length, dtype=kind) for kind in (torch.int64, torch.float32))
        parameters = {p.untyped_storage()._cdata for p in model.parameters()}
        kept: dict[int, torch.Tensor] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", dtype, enabled=dtype != torch.float32),
        ):
            model(ids, ids, weights)
        return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in parameters)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_planned_activations_are_those_of_torch(shape: str, dtype: str) -> None:
    config = SHAPES[shape]
    kind = getattr(torch, dtype)
    head = config.vocab_size * config.d_model * (4 if dtype == "float32" else 2)  # its gradient, made in the forward
    found = kept_by_torch(config, 2, kind) - head
    assert activation_bytes(config, 2 * config.context_length, dtype) == pytest.approx(found, rel=0.02)
