"""The fast paths give what the plain ones give: the loss, and the gradient of every parameter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer
from glassmill.train.gradients import AutogradGradients, Batch, FusedGradients, best_dtype
from glassmill.train.loss import CHUNK_ROWS, linear_cross_entropy, plain_linear_cross_entropy, sum_of_nats

SHAPES = {
    "qwen3": ModelConfig(67, 40, 2, 4, 4, 12, 56, 16),
    "qwen3, grouped queries, own head": ModelConfig(67, 40, 2, 4, 2, 16, 56, 16, tie_embeddings=False),
    "llama, grouped queries": ModelConfig(67, 40, 2, 6, 2, 8, 56, 16, qk_norm=False),
    "longer than a block of queries": ModelConfig(67, 40, 1, 4, 2, 12, 56, 100),
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
    hidden = model.hidden(batch.ids).flatten(0, 1)
    loss = plain_linear_cross_entropy(hidden, model.head_weight, batch.targets.flatten(), batch.weights.flatten())
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return loss.item(), gradients


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", ["by hand", "autograd"])
def test_micro_batches_give_the_gradient_of_the_whole_batch_by_the_plain_way(shape: str, way: str) -> None:
    model = random_model(SHAPES[shape])
    batch = some_batch(model.config, rows=6)
    expected_loss, expected = plain_gradients(model, batch)
    if way == "by hand":
        gradients = FusedGradients(model, micro_rows=2, length=batch.ids.shape[1])
    else:
        gradients = AutogradGradients(model, micro_rows=3, dtype=torch.float32)
    for _ in range(2):  # the second time, nothing of the first is left over
        assert gradients(batch) == pytest.approx(expected_loss, rel=1e-5)
        for name, parameter in model.named_parameters():
            largest = expected[name].abs().max()
            torch.testing.assert_close(parameter.grad / largest, expected[name] / largest, atol=1e-5, rtol=0, msg=name)


def test_bfloat16_products_stay_near_the_float32_gradient() -> None:
    model = random_model(SHAPES["qwen3"])
    batch = some_batch(model.config, rows=4)
    expected_loss, expected = plain_gradients(model, batch)
    loss = AutogradGradients(model, micro_rows=4, dtype=torch.bfloat16)(batch)
    assert loss == pytest.approx(expected_loss, rel=2e-2)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(parameter.grad.flatten(), expected[name].flatten(), dim=0)
        assert cosine > 0.98, name


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, CHUNK_ROWS + 9), vocabulary=st.integers(2, 50), seed=st.integers(0, 99))
def test_the_chunked_loss_is_the_plain_loss(rows: int, vocabulary: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 8, generator=generator, requires_grad=True)
    weight = torch.randn(vocabulary, 8, generator=generator, requires_grad=True)
    targets = torch.randint(0, vocabulary, (rows,), generator=generator)
    weights = torch.rand(rows, generator=generator).round(decimals=1) / rows
    plain = plain_linear_cross_entropy(hidden, weight, targets, weights)
    expected = torch.autograd.grad(3 * plain, (hidden, weight))
    fused = linear_cross_entropy(hidden, weight, targets, weights)
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(3 * fused, (hidden, weight)), expected, rtol=1e-4, atol=1e-5)
    assert sum_of_nats(hidden.detach(), weight.detach(), targets, weights) == pytest.approx(plain.item(), rel=1e-4)


def test_float32_unless_the_device_multiplies_bfloat16_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert best_dtype(torch.device("cpu"), 768) == torch.float32
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert best_dtype(torch.device("cpu"), 768) == torch.bfloat16
    assert best_dtype(torch.device("cpu"), 160) == torch.float32
