"""Muon's steps, and an optimiser that continues from its saved state as if nothing had happened."""

from __future__ import annotations

import pytest
import torch

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.train.optimizer import Optimizer, orthogonalise
from glassmill.train.schedule import learning_rate_factor

CONFIG = ModelConfig(48, 24, 2, 2, 1, 12, 40, 16)


def fresh() -> Transformer:
    model = Transformer(CONFIG)
    initialize(model, 3)
    return model


def put_gradients(model: Transformer, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_orthogonalised_matrices_have_singular_values_near_one_and_the_same_directions() -> None:
    matrices = torch.randn(3, 24, 60, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert values.min() > 0.7 and values.max() < 1.25
    U, _, Vh = torch.linalg.svd(matrices, full_matrices=False)
    torch.testing.assert_close(
        U.mT @ orthogonalise(matrices) @ Vh.mT, torch.eye(24).expand(3, 24, 24), atol=0.3, rtol=0
    )


def test_a_batch_of_matrices_is_each_matrix_alone() -> None:
    matrices = torch.randn(4, 8, 20, generator=torch.Generator().manual_seed(2))
    alone = torch.stack([orthogonalise(matrix[None])[0] for matrix in matrices])
    torch.testing.assert_close(orthogonalise(matrices), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_saved_state_continues_to_the_same_bits(kind: str) -> None:
    model = fresh()
    optimizer = Optimizer(model, kind, momentum=0.9, weight_decay=0.1)
    for step in range(6):
        if step == 3:
            weights = {name: t.clone() for name, t in model.state_dict().items()}
            state = {name: t.clone() for name, t in optimizer.state().items()}
        put_gradients(model, step)
        optimizer.step(0.02, 0.004)
    resumed = fresh()
    resumed.load_state_dict(weights)
    second = Optimizer(resumed, kind, momentum=0.9, weight_decay=0.1)
    second.load_state(state)
    for step in range(3, 6):
        put_gradients(resumed, step)
        second.step(0.02, 0.004)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_every_parameter_moves_and_muon_moves_square_matrices_by_the_rate_in_every_direction() -> None:
    model, before = fresh(), fresh()
    optimizer = Optimizer(model, "muon", momentum=0.95, weight_decay=0.0)
    put_gradients(model, 0)
    optimizer.step(0.02, 0.004)
    moved = {name: now - then for (name, now), then in zip(model.named_parameters(), before.parameters(), strict=True)}
    assert all(change.abs().max() > 0 for change in moved.values())
    values = torch.linalg.svdvals(moved["model.layers.0.self_attn.q_proj.weight"])
    assert values.min() > 0.02 * 0.7 and values.max() < 0.02 * 1.25


@pytest.mark.parametrize("steps", [1, 2, 7, 100, 1000])
def test_the_rate_rises_stays_and_falls_without_ever_being_zero(steps: int) -> None:
    factors = [learning_rate_factor(step, steps, warmup_steps=20, decay_share=0.5) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] <= 2 / steps or steps < 3
