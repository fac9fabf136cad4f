"""The model computes what transformers computes, and reading token by token is reading at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from glassmill.model.cache import KVCache
from glassmill.model.config import ModelConfig
from glassmill.model.initial import initialize
from glassmill.model.rope import Rotation, rope_angles, rotate
from glassmill.model.scaling import RopeScaling
from glassmill.model.sizes import num_parameters, num_tensors, parameter_shapes
from glassmill.model.transformer import Transformer

SHAPES = {
    "qwen3": ModelConfig(97, 48, 3, 4, 2, 16, 112, 64, qk_norm=True, tie_embeddings=True),
    "qwen3 with its own head": ModelConfig(
        97, 48, 2, 3, 3, 20, 96, 64, rope_theta=1e6, qk_norm=True, tie_embeddings=False
    ),
    "llama": ModelConfig(97, 48, 3, 4, 4, 12, 112, 64, rms_norm_eps=1e-5, qk_norm=False, tie_embeddings=True),
    "llama with grouped queries": ModelConfig(97, 48, 2, 6, 2, 8, 96, 64, qk_norm=False, tie_embeddings=False),
    "qwen2": ModelConfig(97, 48, 2, 4, 2, 12, 96, 64, qk_norm=False, qkv_bias=True, tie_embeddings=False),
    "stretched by llama3": ModelConfig(
        97, 48, 2, 4, 2, 16, 96, 64, qk_norm=False, rope_scaling=RopeScaling("llama3", 8.0, 16, 1.0, 4.0)
    ),
    "stretched by YaRN": ModelConfig(97, 48, 2, 4, 2, 16, 96, 64, rope_scaling=RopeScaling("yarn", 4.0, 16)),
}


def random_model(config: ModelConfig, seed: int = 0) -> Transformer:
    """A model in which every weight matters (a fresh one has projections of zero)."""
    model = Transformer(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.15
            parameter.copy_(noise if parameter.ndim == 2 else 1 + noise)
    return model.eval()


@pytest.mark.parametrize("shape", SHAPES)
def test_transformers_gives_the_same_logits_to_within_1e_5(shape: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = random_model(SHAPES[shape])
    save_file(dict(model.state_dict()), tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(model.config.to_hf()))
    ids_BT = torch.randint(0, 97, (2, 64), generator=torch.Generator().manual_seed(1))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    with torch.no_grad():
        difference = (theirs(ids_BT).logits - model(ids_BT)).abs().max().item()
    assert difference < 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shapes_told_without_building_are_those_of_the_model(shape: str) -> None:
    config = SHAPES[shape]
    told, built = list(parameter_shapes(config)), Transformer(config).state_dict()
    assert told == [(name, tuple(weight.shape)) for name, weight in built.items()]
    assert num_tensors(config) == len(told)
    assert num_parameters(config) == sum(weight.numel() for weight in built.values())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_config_survives_the_round_trip_through_hugging_face_keys(shape: str) -> None:
    config = SHAPES[shape]
    assert ModelConfig.from_hf(config.to_hf()) == config
    for key in ("rope_parameters", "rope_scaling"):
        assert (
            ModelConfig.from_hf({k: v for k, v in config.to_hf().items() if k != key}) == config or config.rope_scaling
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_different_lengths_read_step_by_step_give_the_logits_of_each_alone(shape: str) -> None:
    model = random_model(SHAPES[shape])
    ids_BT = torch.randint(0, 97, (3, 24), generator=torch.Generator().manual_seed(2))
    prompt_lengths = [9, 3, 6]
    with torch.no_grad():
        expected = model(ids_BT)
        cache = KVCache(model.config, batch=3, max_length=32)
        padded = ids_BT[:, :9].clone()
        for row, length in enumerate(prompt_lengths):
            padded[row, length:] = 0
        prefill = model.logits(model.hidden(padded, cache))
        cache.set_lengths(prompt_lengths)
        for row, length in enumerate(prompt_lengths):
            torch.testing.assert_close(prefill[row, :length], expected[row, :length], atol=1e-5, rtol=1e-4)
        for step in range(12):
            now = torch.tensor([length + step for length in prompt_lengths])
            logits = model.logits(model.hidden(ids_BT[torch.arange(3), now][:, None], cache))
            torch.testing.assert_close(logits[:, 0], expected[torch.arange(3), now], atol=1e-5, rtol=1e-4)
    assert cache.lengths_B.tolist() == [21, 15, 18]


def test_rows_of_a_cache_can_be_filled_alone_and_moved() -> None:
    model = random_model(SHAPES["qwen3"])
    ids_BT = torch.randint(0, 97, (2, 12), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(ids_BT)
        cache = KVCache(model.config, batch=4, max_length=16)
        for row, slot in ((0, 3), (1, 1)):
            model.hidden(ids_BT[row : row + 1, :11], cache.rows(slot, slot + 1))
        cache.copy_rows([3], [0], 11)
        logits = model.logits(model.hidden(ids_BT[:, 11:], cache.rows(0, 2)))
    torch.testing.assert_close(logits, expected[:, 11:], atol=1e-5, rtol=1e-4)
    assert cache.lengths_B.tolist() == [12, 12, 0, 11]


def test_a_fresh_model_is_a_pure_function_of_its_seed() -> None:
    first, second, other = (Transformer(SHAPES["qwen3"]) for _ in range(3))
    for model, seed in ((first, 5), (second, 5), (other, 6)):
        initialize(model, seed)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.model.embed_tokens.weight, other.model.embed_tokens.weight)


def test_turning_keeps_lengths_and_products_depend_on_the_distance_alone() -> None:
    generator = torch.Generator().manual_seed(4)
    q, k = (torch.randn(1, 1, 1, 32, generator=generator).expand(1, 20, 1, 32) for _ in range(2))
    rotation = Rotation(rope_angles(torch.arange(20), 32), torch.float32)
    turned_q, turned_k = rotate(q, rotation), rotate(k, rotation)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1))
    products = torch.einsum("bqnh,bknh->qk", turned_q, turned_k)
    for distance in range(-19, 20):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "shape", [ModelConfig(300, 96, 3, 4, 2, 32, 112, 128), ModelConfig(300, 160, 2, 5, 5, 32, 96, 128)]
)
def test_a_fresh_model_already_leans_to_what_followed_the_same_token_before(shape: ModelConfig) -> None:
    model = Transformer(shape)
    initialize(model, 5)
    generator = torch.Generator().manual_seed(6)
    once = torch.stack([torch.randperm(300, generator=generator)[:40] for _ in range(4)])
    ids_BT = torch.cat([once, once], dim=1)
    with torch.no_grad():
        logits = model(ids_BT)[:, 40:-1]
    following, here = (logits.gather(2, ids_BT[:, shift : shift + 39, None])[..., 0] for shift in (41, 40))
    of_the_text = logits.gather(2, once[:, None].expand(-1, 39, -1))
    others = (of_the_text.sum(dim=2) - following - here) / 38
    assert (following - others).mean() > 0.05
    assert (following > others).float().mean() > 0.5
