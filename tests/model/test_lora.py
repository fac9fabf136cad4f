"""Adapters start as nothing, learn alone, and become part of the weights without changing what the model computes."""

from __future__ import annotations

import pytest
import torch

from glassmill.model.lora import TARGETS, adapter_state, add_lora, load_adapter_state, merge_lora
from glassmill.model.sizes import adapter_parameters
from glassmill.model.transformer import Transformer
from glassmill.train.gradients import AutogradGradients, Batch
from glassmill.train.optimizer import Optimizer
from tests.model.test_transformer import SHAPES, random_model

IDS_BT = torch.randint(0, 97, (3, 20), generator=torch.Generator().manual_seed(5))
BATCH = Batch(IDS_BT[:, :-1], IDS_BT[:, 1:], torch.full((3, 19), 1 / 57))


def logits_of(model: Transformer) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS_BT)


def adapted(steps: int = 0, kind: str = "muon") -> Transformer:
    model = random_model(SHAPES["qwen3"])
    add_lora(model, rank=3, alpha=6, seed=1)
    optimizer, gradients = (
        Optimizer(model, kind, 0.9, 0.0, model.config.head_dim),
        AutogradGradients(model, 3, torch.float32),
    )
    for _ in range(steps):
        gradients(BATCH)
        optimizer.step(0.02, 0.01)
    return model


def test_a_fresh_adapter_changes_no_bit_of_the_output() -> None:
    assert torch.equal(logits_of(adapted()), logits_of(random_model(SHAPES["qwen3"])))


def test_their_numbers_are_known_before_they_are_built() -> None:
    for name in sorted(SHAPES):
        model = random_model(SHAPES[name])
        add_lora(model, rank=3, alpha=6, targets=("q_proj", "down_proj"))
        built = sum(one.numel() for one in model.parameters() if one.requires_grad)
        assert adapter_parameters(model.config, 3, ("q_proj", "down_proj")) == built > 0
        assert adapter_parameters(model.config, 0, TARGETS) == 0


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_training_moves_every_adapter_and_nothing_else(kind: str) -> None:
    before, after = adapted(), adapted(steps=3, kind=kind)
    moved = {
        name
        for (name, then), now in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(then, now)
    }
    assert moved == {name for name, _ in after.named_parameters() if ".lora_" in name}
    assert len(moved) == 2 * len(TARGETS) * after.config.num_layers


def test_the_loss_falls() -> None:
    losses = [AutogradGradients(adapted(steps), 3, torch.float32)(BATCH) for steps in (0, 10)]
    assert losses[1] < 0.9 * losses[0]


def test_a_merged_model_is_a_plain_one_with_the_same_output() -> None:
    model = adapted(steps=5)
    expected = logits_of(model)
    assert (expected - logits_of(adapted())).abs().max() > 0.1
    merge_lora(model)
    torch.testing.assert_close(logits_of(model), expected, atol=1e-4, rtol=1e-4)
    plain = random_model(SHAPES["qwen3"])
    plain.load_state_dict(model.state_dict())
    assert all(parameter.requires_grad for parameter in model.parameters())
    add_lora(model, rank=2, alpha=2)


def test_the_adapters_alone_are_a_state_that_another_base_can_take() -> None:
    trained, fresh = adapted(steps=2), adapted()
    state = adapter_state(trained)
    assert state.keys() == {
        f"model.layers.{layer}.{part}.lora_{half}.weight"
        for layer in range(3)
        for part in (*(f"self_attn.{name}" for name in TARGETS[:4]), *(f"mlp.{name}" for name in TARGETS[4:]))
        for half in "AB"
    }
    load_adapter_state(fresh, state)
    assert torch.equal(logits_of(fresh), logits_of(trained))
    state.pop("model.layers.1.mlp.up_proj.lora_A.weight")
    with pytest.raises(ValueError, match=r"^the adapters do not fit the model: .*up_proj.*A.weight is in only one$"):
        load_adapter_state(fresh, state)


def test_reading_the_weight_of_an_adapted_layer_is_an_error_instead_of_half_the_truth() -> None:
    with pytest.raises(AttributeError, match="weight"):
        _ = adapted().model.layers[0].self_attn.q_proj.weight


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 2, "alpha": 2, "targets": ("lm_head",)}, "no layer to adapt is called lm_head; known: q_proj, "),
        ({"rank": 0, "alpha": 2}, "rank = 0: must be at least 1"),
    ],
)
def test_what_cannot_be_adapted_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        add_lora(random_model(SHAPES["llama"]), **arguments)  # type: ignore[arg-type]


def test_a_second_adapter_is_refused() -> None:
    with pytest.raises(ValueError, match="already has adapters; merge them first"):
        add_lora(adapted(), rank=2, alpha=2)
