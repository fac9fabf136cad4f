"""The planned size is the built size."""

from __future__ import annotations

import pytest

from glassmill.model.config import ModelConfig
from glassmill.model.sizes import (
    cache_bytes,
    forward_flops_per_token,
    num_parameters,
    training_bytes,
    training_flops_per_token,
    weight_bytes,
)
from glassmill.model.transformer import Transformer

SHAPES = {
    "qwen3": ModelConfig(97, 48, 3, 4, 2, 16, 112, 64),
    "qwen3 with its own head": ModelConfig(97, 48, 2, 3, 3, 20, 96, 64, tie_embeddings=False),
    "llama": ModelConfig(97, 48, 3, 4, 4, 12, 112, 64, qk_norm=False),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_counted_parameters_are_the_built_ones(shape: str) -> None:
    built = sum(parameter.numel() for parameter in Transformer(SHAPES[shape]).parameters())
    assert num_parameters(SHAPES[shape]) == built
    assert weight_bytes(SHAPES[shape], 2) == 2 * built


def test_training_flops_follow_the_six_per_parameter_rule_plus_attention() -> None:
    config = ModelConfig(8192, 384, 6, 6, 6, 64, 1024, 512)
    matrices = num_parameters(config) - sum(p.numel() for p in Transformer(config).parameters() if p.ndim == 1)
    attention = 3 * forward_flops_per_token(config, 256) - 6 * matrices
    assert training_flops_per_token(config) == 6 * matrices + attention
    assert attention == 3 * 6 * 4 * 256 * 384


def test_a_cache_row_holds_a_key_and_a_value_a_layer_and_kv_head() -> None:
    config = ModelConfig(100, 64, 2, 4, 2, 16, 64, 128)
    assert cache_bytes(config, rows=3, length=10) == 3 * 10 * 2 * 2 * 2 * 16 * 4


DEMO, WEB = ModelConfig(2048, 160, 4, 5, 5, 32, 448, 256), ModelConfig(8192, 256, 6, 4, 4, 64, 704, 512)


@pytest.mark.parametrize(
    ("config", "rows", "optimizer", "step", "dtype", "measured"),
    [
        (DEMO, 8, "muon", "fused", "float32", 610),
        (DEMO, 8, "muon", "autograd", "float32", 600),
        (WEB, 8, "muon", "fused", "float32", 1430),
        (WEB, 8, "muon", "autograd", "float32", 1419),
        (WEB, 8, "muon", "autograd", "bfloat16", 1233),
        (ModelConfig(16_384, 512, 8, 8, 8, 64, 1408, 512), 1, "muon", "autograd", "bfloat16", 1502),
        (ModelConfig(49_152, 576, 8, 9, 3, 64, 1536, 256), 2, "adamw", "autograd", "bfloat16", 2350),
    ],
)
def test_training_takes_the_memory_that_was_measured(
    config: ModelConfig, rows: int, optimizer: str, step: str, dtype: str, measured: int
) -> None:
    """Megabytes by `bench/memory.py`, of which the process itself takes 400."""
    taken = training_bytes(config, rows, config.context_length, optimizer, step=step, dtype=dtype)
    assert 400 + taken / 1e6 == pytest.approx(measured, rel=0.1)


def test_memory_grows_with_the_micro_batch_and_with_a_second_momentum() -> None:
    config = SHAPES["qwen3"]
    assert training_bytes(config, 2, 64) < training_bytes(config, 4, 64) < 2 * training_bytes(config, 2, 64)
    assert training_bytes(config, 2, 64, "adamw") > 12 * num_parameters(config)
