"""Muon's steps, and an optimiser that continues from its saved state as if nothing had happened."""

from __future__ import annotations

import pytest
import torch

from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.transformer import Transformer
from glassmill.train.optimizer import AdamW, Optimizer, blocks, normalise_neurons, step_length
from glassmill.train.orthogonal import orthogonalise
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


def with_values(values: torch.Tensor, columns: int, seed: int) -> torch.Tensor:
    """Random matrices with these singular values, `(2, len(values), columns)`."""
    generator, rows = torch.Generator().manual_seed(seed), len(values)
    left = torch.linalg.qr(torch.randn(2, rows, rows, generator=generator))[0]
    right = torch.linalg.qr(torch.randn(2, columns, rows, generator=generator))[0]
    return (left * values) @ right.mT


SPECTRA = {
    "even": torch.ones(48),
    "geometric to 1e-3": torch.logspace(0, -3, 48),
    "geometric to 1e-6": torch.logspace(0, -6, 48),
    "one large": torch.cat([torch.ones(1), torch.full((47,), 0.01)]),
    "some large over noise": torch.cat([torch.ones(5), torch.logspace(-2, -4, 43)]),
    "half are zero": torch.cat([torch.rand(24, generator=torch.Generator().manual_seed(1)) + 0.1, torch.zeros(24)]),
}


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_singular_values_end_near_one_and_directions_stay(spectrum: str, dtype: torch.dtype, scale: float) -> None:
    values = SPECTRA[spectrum]
    for columns in (48, 130):
        matrices = with_values(values, columns, seed=3)
        found = orthogonalise(scale * matrices, dtype).float()
        left, _, right = torch.linalg.svd(matrices, full_matrices=False)
        along = (left.mT @ found @ right.mT).diagonal(dim1=-2, dim2=-1)
        large = values >= 5e-3 * values.max()
        assert torch.linalg.svdvals(found).max() < 1.25
        assert along[:, large].min() > 0.7
        assert along.min() > -0.1  # none is turned round


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_random_matrices_of_every_shape_become_orthogonal(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    for rows, columns in ((1, 1), (1, 9), (8, 24), (24, 60), (64, 384)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(3, rows, columns, generator=generator), dtype).float())
        assert values.min() > 0.7 and values.max() < 1.25


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_matrix_of_zeros_stays_one(dtype: torch.dtype) -> None:
    assert not orthogonalise(torch.zeros(2, 3, 5), dtype).any()


def test_a_batch_of_matrices_is_each_matrix_alone() -> None:
    matrices = torch.randn(4, 8, 20, generator=torch.Generator().manual_seed(2))
    alone = torch.stack([orthogonalise(matrix[None])[0] for matrix in matrices])
    torch.testing.assert_close(orthogonalise(matrices), alone, atol=1e-5, rtol=1e-4)


def test_a_step_is_made_head_by_head_and_the_heads_together_are_the_matrix() -> None:
    weight = torch.arange(24.0 * 36).view(24, 36)
    for name in ("q_proj.weight", "k_proj.weight", "v_proj.weight"):
        heads = blocks(name, weight, 12)
        assert heads.shape == (2, 12, 36) and torch.equal(heads[1], weight[12:])
    heads = blocks("o_proj.weight", weight, 12)
    assert heads.shape == (3, 12, 24) and torch.equal(heads[1], weight[:, 12:24].mT)
    for name, matrix in (("gate_proj.weight", weight), ("down_proj.weight", weight.mT)):
        assert torch.equal(blocks(name, matrix, 12)[0], weight)
    assert step_length(weight, blocks("o_proj.weight", weight, 12)) == pytest.approx((24 / 36) ** 0.5)
    assert step_length(weight.mT, blocks("up_proj.weight", weight.mT, 12)) == pytest.approx((36 / 24) ** 0.5)


@pytest.mark.parametrize(
    ("neurons", "width", "together"),
    [
        (1024, 384, 128),
        (1408, 512, 128),
        (608, 384, 76),
        (1000, 256, 125),
        (1021, 384, 1021),
        (448, 160, 448),
        (40, 24, 40),
    ],
)
def test_wide_feed_forward_layers_are_cut_into_groups_of_neurons(neurons: int, width: int, together: int) -> None:
    up = torch.arange(float(neurons * width)).view(neurons, width)
    short, long = sorted((together, width))
    for name, matrix in (("gate_proj.weight", up), ("up_proj.weight", up), ("down_proj.weight", up.mT)):
        cut = blocks(name, matrix, 64)
        assert cut.shape == (neurons // together, short, long)
        last = cut[-1] if together <= width else cut[-1].mT
        assert torch.equal(last, up[-together:])
        whole = max(1.0, matrix.shape[0] / matrix.shape[1]) * min(matrix.shape)
        assert step_length(matrix, cut) ** 2 * cut.shape[0] * short == pytest.approx(whole)


def test_adamw_gives_the_bits_of_torch() -> None:
    ours, theirs = fresh(), fresh()
    own = AdamW(dict(ours.named_parameters()), (0.9, 0.95), 0.1)
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.1, fused=True)
    for step in range(3):
        for model in (ours, theirs):
            put_gradients(model, step)
        own.step(0.01)
        plain.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_neurons_are_divided_by_their_running_length_and_a_block_keeps_its_own(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    squares, mean = torch.zeros(3, 1, 20), torch.zeros(3, 20)
    for _ in range(4):
        update = (torch.randn(3, 8, 20, generator=generator) * torch.linspace(0.1, 3, 20)).to(dtype)
        update[2] = 0
        found = update.clone()
        normalise_neurons(found, squares, 0.9)
        mean = 0.9 * mean + 0.1 * update.float().square().sum(-2)
        plain = update.float() / mean.clamp_min(1e-10).sqrt()[:, None]
        plain *= (update.float().norm(dim=(-2, -1)) / plain.norm(dim=(-2, -1)).clamp_min(1e-30))[:, None, None]
        torch.testing.assert_close(found.float(), plain, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-6)
        torch.testing.assert_close(squares[:, 0], mean)
        assert not found[2].any()
    lengths = found[0].float().norm(dim=0)
    assert (
        lengths.max() / lengths.min() < 4 < 0.3 * update[0].float().norm(dim=0).max() / update[0, :, 0].float().norm()
    )


@pytest.mark.parametrize(("kind", "normuon_beta2"), [("muon", 0.0), ("muon", 0.9), ("adamw", 0.0)])
def test_saved_state_continues_to_the_same_bits(kind: str, normuon_beta2: float) -> None:
    model = fresh()
    optimizer = Optimizer(model, kind, momentum=0.9, weight_decay=0.1, head_dim=12, normuon_beta2=normuon_beta2)
    for step in range(6):
        if step == 3:
            weights = {name: t.clone() for name, t in model.state_dict().items()}
            state = {name: t.clone() for name, t in optimizer.state().items()}
        put_gradients(model, step)
        optimizer.step(0.02, 0.004)
    resumed = fresh()
    resumed.load_state_dict(weights)
    second = Optimizer(resumed, kind, momentum=0.9, weight_decay=0.1, head_dim=12, normuon_beta2=normuon_beta2)
    second.load_state(state)
    for step in range(3, 6):
        put_gradients(resumed, step)
        second.step(0.02, 0.004)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_every_parameter_moves_and_muon_moves_every_head_by_the_rate_in_every_direction() -> None:
    model, before = fresh(), fresh()
    optimizer = Optimizer(model, "muon", momentum=0.95, weight_decay=0.0, head_dim=12)
    put_gradients(model, 0)
    optimizer.step(0.02, 0.004)
    moved = {name: now - then for (name, now), then in zip(model.named_parameters(), before.parameters(), strict=True)}
    assert all(change.abs().max() > 0 for change in moved.values())
    for head in moved["model.layers.0.self_attn.q_proj.weight"].view(2, 12, 24):
        values = torch.linalg.svdvals(head)
        assert values.min() > 0.02 * 0.7 and values.max() < 0.02 * 1.25


@pytest.mark.parametrize("steps", [1, 2, 7, 100, 1000])
def test_the_rate_rises_stays_and_falls_without_ever_being_zero(steps: int) -> None:
    factors = [learning_rate_factor(step, steps, warmup_steps=20, decay_share=0.5) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] <= 2 / steps or steps < 3
