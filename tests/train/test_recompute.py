"""Activation checkpointing gives the same gradients, bit for bit, and the loop takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.recipe import TrainSettings
from glassmill.train import parallel
from glassmill.train.gradients import AutogradGradients, Batch
from glassmill.train.plan import set_up
from tests.train.test_train import train_town, weights_hash

Town = tuple[Path, Path]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_equal_to_the_bit(dtype: torch.dtype) -> None:
    ids = torch.randint(0, 64, (3, 16), generator=torch.Generator().manual_seed(1))
    batch, found = Batch(ids, ids, torch.full(ids.shape, 1 / ids.numel())), []
    for again in (False, True):
        model = Transformer(ModelConfig(64, 32, 3, 2, 1, 16, 48, 16))
        initialize(model, 1)
        if again:
            parallel.recompute(model)
        AutogradGradients(model, 2, dtype)(batch)
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(one is not None and torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_the_loop_trains_with_it_to_the_same_weights_and_the_step_by_hand_refuses_it(
    town: Town, tmp_path: Path
) -> None:
    for again in (False, True):
        train_town(town, tmp_path / f"{again}", steps=3, reports=1, step="autograd", activation_checkpointing=again)
    assert weights_hash(tmp_path / "True") == weights_hash(tmp_path / "False")
    with pytest.raises(UserError, match="^step = fused keeps what it computed"):
        set_up(TrainSettings(step="fused", activation_checkpointing=True), 32)
