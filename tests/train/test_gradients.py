"""The fast paths give what the plain ones give: the loss, and the gradient of every parameter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.model.lora import add_lora
from glassmill.model.loss import CHUNK_ROWS, linear_cross_entropy, plain_token_nats, token_nats
from glassmill.model.scaling import RopeScaling
from glassmill.model.transformer import Transformer
from glassmill.train.fused import reason_against
from glassmill.train.gradients import AutogradGradients, Batch, FusedGradients, make_gradients, rows_at_once

SHAPES = {
    "qwen3": ModelConfig(67, 40, 2, 4, 4, 12, 56, 16),
    "qwen3, grouped queries, own head": ModelConfig(67, 40, 2, 4, 2, 16, 56, 16, tie_embeddings=False),
    "llama, grouped queries": ModelConfig(67, 40, 2, 6, 2, 8, 56, 16, qk_norm=False),
    "longer than a block of queries": ModelConfig(67, 40, 1, 4, 2, 12, 56, 100),
    "stretched by YaRN": ModelConfig(
        67, 40, 2, 4, 2, 12, 56, 16, rope_scaling=RopeScaling("yarn", 4.0, 8, attention_factor=1.2)
    ),
}


def random_model(config: ModelConfig) -> Transformer:
    model, generator = Transformer(config), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.15
            parameter.copy_(noise if parameter.ndim == 2 else 1 + noise)
    return model


def some_batch(config: ModelConfig, rows: int) -> Batch:
    generator = torch.Generator().manual_seed(2)
    shape = (rows, config.context_length)
    ids, targets = (torch.randint(0, config.vocab_size, shape, generator=generator) for _ in range(2))
    weights = torch.rand(shape, generator=generator)
    weights[0, :7] = 0
    return Batch(ids, targets, weights / weights.sum())


def plain_gradients(model: Transformer, batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad(set_to_none=True)
    logits = model(batch.ids).flatten(0, 1)
    loss = (
        torch.nn.functional.cross_entropy(logits, batch.targets.flatten(), reduction="none") * batch.weights.flatten()
    ).sum()
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return loss.item(), gradients


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", ["by hand", "autograd"])
def test_micro_batches_give_the_gradient_of_the_whole_batch_by_the_plain_way(shape: str, way: str) -> None:
    model = random_model(SHAPES[shape])
    batch = some_batch(model.config, rows=7)
    expected_loss, expected = plain_gradients(model, batch)
    length = batch.ids.shape[1]
    gradients = make_gradients(
        model, 7, length, 3 * length, torch.float32, step="fused" if way == "by hand" else "autograd"
    )
    assert isinstance(gradients, FusedGradients if way == "by hand" else AutogradGradients)
    for _ in range(2):  # the second time, nothing of the first is left over
        assert gradients(batch) == pytest.approx(expected_loss, rel=1e-5)
        for name, parameter in model.named_parameters():
            largest = expected[name].abs().max()
            torch.testing.assert_close(parameter.grad / largest, expected[name] / largest, atol=1e-5, rtol=0, msg=name)


def test_biases_are_trained_by_autograd_and_refused_by_the_step_by_hand() -> None:
    model = random_model(ModelConfig(67, 40, 2, 4, 2, 12, 56, 16, qk_norm=False, qkv_bias=True))
    batch = some_batch(model.config, rows=3)
    expected_loss, expected = plain_gradients(model, batch)
    assert reason_against(model) == "its queries, keys and values have biases"
    gradients = make_gradients(model, 3, 16, 48, torch.float32)
    assert isinstance(gradients, AutogradGradients) and gradients(batch) == pytest.approx(expected_loss, rel=1e-5)
    assert expected["model.layers.1.self_attn.k_proj.bias"].abs().max() >= 0
    assert expected["model.layers.1.self_attn.v_proj.bias"].abs().max() > 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", ["by hand", "autograd"])
def test_bfloat16_products_stay_near_the_float32_gradient(shape: str, way: str) -> None:
    model = random_model(SHAPES[shape])
    batch = some_batch(model.config, rows=4)
    expected_loss, expected = plain_gradients(model, batch)
    length = batch.ids.shape[1]
    step = "fused" if way == "by hand" else "autograd"
    loss = make_gradients(model, 4, length, 2 * length, torch.bfloat16, step)(batch)
    assert loss == pytest.approx(expected_loss, rel=2e-2)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(parameter.grad.flatten(), expected[name].flatten(), dim=0)
        assert cosine > 0.98, name


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, CHUNK_ROWS + 9), vocabulary=st.integers(2, 50), seed=st.integers(0, 99))
def test_the_chunked_losses_are_the_plain_loss(rows: int, vocabulary: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 8, generator=generator, requires_grad=True)
    weight = torch.randn(vocabulary, 8, generator=generator, requires_grad=True)
    targets = torch.randint(0, vocabulary, (rows,), generator=generator)
    weights = torch.rand(rows, generator=generator).round(decimals=1) / rows
    nats = plain_token_nats(hidden, weight, targets)
    plain = (nats * weights).sum()
    expected = torch.autograd.grad(3 * plain, (hidden, weight), retain_graph=True)
    torch.testing.assert_close(token_nats(hidden, weight, targets), nats, rtol=1e-5, atol=1e-5)
    for loss in (
        linear_cross_entropy(hidden, weight, targets, weights),
        (token_nats(hidden, weight, targets) * weights).sum(),
    ):
        torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.autograd.grad(3 * loss, (hidden, weight)), expected, rtol=1e-4, atol=1e-5)


def test_a_loss_that_depends_on_the_nats_of_each_token_has_its_plain_gradient() -> None:
    """As in DPO: log sigmoid of the difference between two answers."""
    model = random_model(SHAPES["qwen3"])
    batch = some_batch(model.config, rows=2)

    def preference(nats_BT: torch.Tensor) -> torch.Tensor:
        better, worse = nats_BT.sum(dim=1)
        return -torch.nn.functional.logsigmoid(0.1 * (worse - better))

    logits = model(batch.ids).flatten(0, 1)
    plain = torch.nn.functional.cross_entropy(logits, batch.targets.flatten(), reduction="none").view(2, -1)
    expected = torch.autograd.grad(preference(plain), list(model.parameters()))
    nats = model(batch.ids, batch.targets)
    assert nats.shape == batch.ids.shape
    found = torch.autograd.grad(preference(nats), list(model.parameters()))
    for (name, _), ours, theirs in zip(model.named_parameters(), found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()), msg=name)


def test_hooks_of_the_model_see_every_micro_batch() -> None:
    model = random_model(SHAPES["qwen3"])
    batch, seen = some_batch(model.config, rows=5), list[int]()
    model.register_forward_hook(lambda module, given, result: seen.append(len(given[0])))
    gradients = make_gradients(model, 5, 16, 32, torch.float32)
    assert isinstance(gradients, AutogradGradients)
    gradients(batch)
    assert seen == [2, 2, 1]


@pytest.mark.parametrize(
    ("rows", "most", "expected"), [(13, 8, 7), (8, 8, 8), (16, 8, 8), (7, 5, 4), (5, 0, 1), (1, 9, 1)]
)
def test_rows_that_do_not_divide_are_cut_into_as_few_parts_as_fit(rows: int, most: int, expected: int) -> None:
    assert rows_at_once(rows, most) == expected


def test_the_shares_of_all_ranks_are_the_batch_and_equally_long() -> None:
    batch = some_batch(SHAPES["qwen3"], rows=7)
    shares = [batch.share(rank, 3) for rank in range(3)]
    assert {len(share.ids) for share in shares} == {3}
    assert torch.equal(torch.cat([share.ids for share in shares])[:7], batch.ids)
    assert sum(float(share.weights.sum()) for share in shares) == pytest.approx(1)


def with_adapter(model: Transformer) -> torch.nn.Module:
    add_lora(model, rank=2, alpha=4)
    return model


def with_frozen_weight(model: Transformer) -> torch.nn.Module:
    model.model.norm.weight.requires_grad_(False)
    return model


def with_hook(model: Transformer) -> torch.nn.Module:
    model.model.layers[1].register_forward_hook(lambda module, given, result: result)
    return model


def with_gradient_hook(model: Transformer) -> torch.nn.Module:
    model.model.norm.weight.register_hook(lambda gradient: gradient)
    return model


def with_bias(model: Transformer) -> torch.nn.Module:
    model.model.layers[0].self_attn.q_proj.bias = torch.nn.Parameter(torch.zeros(48))
    return model


def with_shared_weight(model: Transformer) -> torch.nn.Module:
    model.model.layers[1].mlp.up_proj.weight = model.model.layers[0].mlp.up_proj.weight
    return model


def with_more_tokens(model: Transformer) -> torch.nn.Module:
    model.model.embed_tokens.weight = torch.nn.Parameter(torch.zeros(70, 40))
    return model


REFUSED = {
    "a bias": (with_bias, "model.layers.0.self_attn.q_proj.bias would be ignored"),
    "a shared weight": (with_shared_weight, "layers.1.mlp.up_proj.weight is missing or shared with another weight"),
    "more tokens": (with_more_tokens, r"has shape \(70, 40\), which is not that of the model's config"),
    "an adapter": (with_adapter, "q_proj is a LoraLinear, which it would ignore"),
    "a frozen weight": (with_frozen_weight, "model.norm.weight is frozen"),
    "a hook": (with_hook, "model.layers.1 has a hook, which would never run"),
    "a hook of a gradient": (with_gradient_hook, "model.norm.weight has a hook, which would never run"),
    "a wrapper": (torch.nn.Sequential, r"the model is wrapped \(Sequential\)"),
    "another type": (lambda model: model.bfloat16(), "embed_tokens.weight is bfloat16, not float32"),
    "another device": (lambda model: model.to("meta"), "the model is on meta, not on the CPU"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_fused_step_refuses_what_it_would_ignore_in_one_line(what: str) -> None:
    change, message = REFUSED[what]
    model = change(random_model(SHAPES["qwen3"]))
    with pytest.raises(ValueError, match=f"^the fused step cannot be used: .*{message}$"):
        FusedGradients(model, micro_rows=2, length=16)
    with pytest.raises(UserError, match=f"^step = fused cannot be used: .*{message}; set step=auto$"):
        make_gradients(model, 4, 16, 64, torch.float32, step="fused")
    assert isinstance(make_gradients(model, 4, 16, 64, torch.float32), AutogradGradients)


def test_an_own_head_that_is_the_embedding_after_all_is_refused() -> None:
    model = random_model(SHAPES["qwen3, grouped queries, own head"])
    assert model.lm_head is not None
    model.lm_head.weight = model.model.embed_tokens.weight
    assert isinstance(make_gradients(model, 4, 16, 64, torch.float32), AutogradGradients)


def test_hooks_for_all_modules_of_torch_are_refused() -> None:
    model = random_model(SHAPES["qwen3"])
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, given, result: None)
    try:
        assert isinstance(make_gradients(model, 4, 16, 64, torch.float32), AutogradGradients)
    finally:
        handle.remove()
    assert isinstance(make_gradients(model, 4, 16, 64, torch.float32), FusedGradients)


def test_an_adapter_added_after_the_fused_step_was_made_is_not_ignored_either() -> None:
    model = random_model(SHAPES["qwen3"])
    gradients = FusedGradients(model, micro_rows=2, length=16)
    gradients(some_batch(model.config, rows=4))
    add_lora(model, rank=2, alpha=4)
    with pytest.raises(ValueError, match="is a LoraLinear, which it would ignore"):
        gradients(some_batch(model.config, rows=4))
