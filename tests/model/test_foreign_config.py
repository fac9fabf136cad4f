"""Other people's `config.json`: what transformers computes is computed, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer

BASE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {"architectures": ["LlamaForCausalLM"], "num_key_value_heads": 2},
    "llama, all defaults": {"architectures": ["LlamaForCausalLM"]},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "num_key_value_heads": 2, "sliding_window": 8},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "num_key_value_heads": 2, "head_dim": 16},
    "qwen3, head_dim by default": {"architectures": ["Qwen3ForCausalLM"], "num_key_value_heads": None},
    "mistral": {"architectures": ["MistralForCausalLM"], "num_key_value_heads": 2, "sliding_window": None},
    "mistral, window of the context": {"architectures": ["MistralForCausalLM"], "num_key_value_heads": 4},
}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
ROPES: dict[str, dict[str, Any]] = {
    "plain": {"rope_theta": 1e6},
    "theta inside": {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}, "rope_theta": 7.0},
    "linear": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "dynamic": {"rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "llama3": {"rope_scaling": {"rope_type": "llama3", **LLAMA3}, "rope_theta": 500.0},
    "llama3 in rope_parameters": {"rope_parameters": {"rope_type": "llama3", "rope_theta": 2000.0, **LLAMA3}},
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}},
    "yarn of Qwen": {
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
        "rope_theta": 1e6,
    },
    "yarn, everything set": {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 300.0,
            "factor": 2.5,
            "original_max_position_embeddings": 40,
            "beta_fast": 8,
            "beta_slow": 0.5,
            "attention_factor": 1.3,
            "truncate": False,
        }
    },
    "yarn of DeepSeek": {
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 32,
            "mscale": 0.7,
            "mscale_all_dim": 1.1,
        }
    },
    "yarn, the original context outside": {
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0},
        "original_max_position_embeddings": 16,
    },
}
CASES = [(kind, "plain") for kind in KINDS] + [(kind, rope) for kind in ("llama", "qwen3") for rope in ROPES]


@pytest.mark.parametrize(("kind", "rope"), CASES)
def test_logits_are_those_of_transformers(kind: str, rope: str, tmp_path: Path) -> None:
    hf = {**BASE, **KINDS[kind], **ROPES[rope], "model_type": KINDS[kind]["architectures"][0][:-11].lower()}
    (tmp_path / "config.json").write_text(json.dumps(hf))
    torch.manual_seed(3)
    peer = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path)).float().eval()
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.15)
    peer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(hf))  # as on the hub, not as this version spells it
    config = ModelConfig.from_hf(hf)
    ours = Transformer(config).eval()
    ours.load_state_dict(load_file(tmp_path / "model.safetensors"))
    ids = torch.randint(0, 97, (2, 128), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)(ids).logits
        assert float((expected - ours(ids)).abs().max()) < 2e-5
        (tmp_path / "config.json").write_text(json.dumps(config.to_hf()))
        again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)(ids).logits
        assert float((expected - again).abs().max()) < 2e-5
    assert ModelConfig.from_hf(config.to_hf()) == config


HARMLESS: dict[str, Any] = {
    "torch_dtype": "bfloat16",
    "dtype": "float16",
    "use_cache": False,
    "transformers_version": "4.40.0",
    "initializer_range": 0.01,
    "attention_dropout": 0.1,
    "pretraining_tp": 2,
    "_name_or_path": "somebody/model",
    "attention_bias": False,
    "mlp_bias": False,
    "num_experts": 0,
    "quantization_config": None,
    "attention_multiplier": 1.0,
    "logit_scale": 1,
    "partial_rotary_factor": 1.0,
    "hidden_act": "swish",
    "layer_types": ["full_attention", "full_attention"],
    "rope_scaling": None,
    "use_sliding_window": False,
    "sliding_window": None,
    "bos_token_id": 1,
    "eos_token_id": [1, 2],
    "pad_token_id": -1,
    "auto_map": {},
    "unsloth_fixed": True,
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another architecture": ({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}, "GPT2LMHeadModel"),
    "a classifier": ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
    "two architectures": ({"model_type": "mistral"}, "model_type 'mistral'; which"),
    "a list for a name": ({"architectures": [["LlamaForCausalLM"]]}, "architecture"),
    "biases": ({"attention_bias": True}, "attention_bias = 'True'"),
    "biases in the feed-forward": ({"mlp_bias": True}, "mlp_bias"),
    "soft caps": ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping = '50.0'"),
    "soft caps of logits": ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
    "softcap": ({"logit_softcap": 30}, "logit_softcap"),
    "experts": ({"num_local_experts": 8}, "num_local_experts = '8'"),
    "one expert": ({"num_experts": 1}, "num_experts"),
    "quantised": ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantization_config = 'gptq'"),
    "Granite's factors": ({"residual_multiplier": 0.22}, "residual_multiplier = '0.22'"),
    "Cohere's scale": ({"logit_scale": 0.06}, "logit_scale"),
    "MiniCPM's scale": ({"scale_emb": 12}, "scale_emb"),
    "layers without rotation": ({"no_rope_layers": [1, 0]}, "no_rope_layers"),
    "gelu": ({"hidden_act": "gelu"}, "hidden_act = 'gelu'"),
    "half a head rotated": ({"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"),
    "the same inside": ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    "layers with a window": ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding_attention"),
    "Phi's long rotation": ({"rope_scaling": {"type": "longrope", "long_factor": [1.0]}}, "scaling 'longrope'"),
    "Qwen-VL's sections": ({"rope_scaling": {"type": "default", "mrope_section": [1, 2]}}, "mrope_section"),
    "a rotation by layer": ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "by kind of layer"),
    "no factor": ({"rope_scaling": {"type": "linear"}}, "lacks 'factor'"),
    "a factor of nothing": ({"rope_scaling": {"type": "linear", "factor": 0}}, "factor = 0.0 is less than 1"),
    "a factor in words": ({"rope_scaling": {"type": "linear", "factor": "4"}}, "factor = '4' is not a number"),
    "crossed bounds": ({"rope_scaling": {"rope_type": "llama3", **LLAMA3, "low_freq_factor": 4.0}}, "not below"),
    "rope as a text": ({"rope_scaling": "linear"}, "rope_scaling = 'linear' is not an object"),
    "theta of 0": ({"rope_theta": 0}, "rope_theta = 0: must be positive"),
    "negative theta": ({"rope_theta": -1e4}, "rope_theta = -10000"),
    "theta out of bounds": ({"rope_theta": 1e30}, "rope_theta = 1e\\+30"),
    "eps of 0": ({"rms_norm_eps": 0.0}, "rms_norm_eps = 0: must be positive"),
    "eps out of bounds": ({"rms_norm_eps": 10}, "rms_norm_eps = 10"),
    "eps in words": ({"rms_norm_eps": "1e-6"}, "rms_norm_eps = '1e-6' is not a number"),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads = 0 is less than 1"),
    "heads that do not divide": ({"num_attention_heads": 5}, "not a multiple"),
    "kv heads that do not divide": ({"num_key_value_heads": 3}, "not a multiple of num_kv_heads = 3"),
    "odd heads": ({"head_dim": 7}, "head_dim = 7 is odd"),
    "a size in words": ({"hidden_size": "48"}, "hidden_size = '48' is not a whole number"),
    "a size with a point": ({"hidden_size": 48.5}, "hidden_size = 48.5"),
    "a size of true": ({"num_hidden_layers": True}, "num_hidden_layers = true"),
    "a size of null": ({"vocab_size": None}, "vocab_size is null"),
    "a billion layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000 is more than 1,000"),
    "a huge integer": ({"vocab_size": 10**60}, "vocab_size = 1000"),
    "a negative context": ({"max_position_embeddings": -1}, "max_position_embeddings = -1"),
    "tied in words": ({"tie_word_embeddings": "no"}, "tie_word_embeddings = 'no' is not true or false"),
}


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_that_changes_nothing_passes(key: str) -> None:
    hf = {**BASE, "architectures": ["LlamaForCausalLM"]}
    assert ModelConfig.from_hf({**hf, key: HARMLESS[key]}) == ModelConfig.from_hf(hf)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_computed_or_makes_no_sense_is_refused_by_name(case: str) -> None:
    change, message = REFUSED[case]
    with pytest.raises(UserError, match=message) as refused:
        ModelConfig.from_hf({**BASE, "architectures": ["LlamaForCausalLM"], "model_type": "llama", **change})
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 250


def test_a_window_shorter_than_the_context_is_refused_where_it_is_active() -> None:
    mistral = {**BASE, "architectures": ["MistralForCausalLM"], "num_key_value_heads": 4}
    qwen2 = {**BASE, "architectures": ["Qwen2ForCausalLM"], "num_key_value_heads": 4, "sliding_window": 64}
    assert ModelConfig.from_hf(qwen2).qkv_bias
    for hf in ({**mistral, "sliding_window": 64}, {**qwen2, "use_sliding_window": True}):
        with pytest.raises(UserError, match="sliding_window = 64 in a context of 128"):
            ModelConfig.from_hf(hf)
    with pytest.raises(UserError, match="sliding_window = 4096"):
        ModelConfig.from_hf({**mistral, "max_position_embeddings": 32_768})


@pytest.mark.parametrize("missing", BASE)
def test_a_size_that_is_missing_is_named(missing: str) -> None:
    hf = {key: value for key, value in {**BASE, "architectures": ["LlamaForCausalLM"]}.items() if key != missing}
    if missing == "max_position_embeddings":
        assert ModelConfig.from_hf(hf).context_length == 2048
        return
    with pytest.raises(UserError, match=f"lacks '{missing}'"):
        ModelConfig.from_hf(hf)
