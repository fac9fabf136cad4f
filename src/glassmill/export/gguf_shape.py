"""The model's shape and weights under GGUF's names and Hugging Face's.

Two architectures: `llama` (no norm on queries and keys) and `qwen3` (with it). For `llama`, llama.cpp rotates adjacent
channels where Hugging Face rotates the two halves of a head, so the rows of the query and key matrices are in another
order; for `qwen3` the two agree.

Source: llama.cpp convert_hf_to_gguf.py (LlamaModel.permute) and gguf-py/gguf/tensor_mapping.py.
"""

from __future__ import annotations

import re

import numpy as np

from glassmill.errors import UserError
from glassmill.export.gguf_reader import GgufFile
from glassmill.model.config import ModelConfig

ARCHITECTURES = {"llama": False, "qwen3": True}
"""GGUF architecture -> whether queries and keys are normalised."""

OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
BLOCK_BACK = {name: short for short, name in BLOCK.items()}
OUTER_BACK = {name: short for short, name in OUTER.items()}


def hf_name(name: str) -> str | None:
    """Hugging Face's name of a GGUF tensor; None if our models have no such tensor.

    >>> hf_name("blk.3.attn_q.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    if name in OUTER:
        return OUTER[name]
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if match is None or match[2] not in BLOCK:
        return None
    return f"model.layers.{int(match[1])}.{BLOCK[match[2]]}.weight"


def gguf_name(name: str) -> str:
    """GGUF's name of a parameter (Hugging Face's name)."""
    if name in OUTER_BACK:
        return OUTER_BACK[name]
    match = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
    assert match, name
    return f"blk.{match[1]}.{BLOCK_BACK[match[2]]}.weight"


def read_config(file: GgufFile) -> ModelConfig:
    """The model's shape.

    Raises:
        UserError: an unsupported architecture, or a feature that our model does not compute.
    """
    arch = file.get("general.architecture", str)
    if arch not in ARCHITECTURES:
        raise UserError(f"{file.path}: unsupported architecture {arch!r}; supported are {', '.join(ARCHITECTURES)}")
    _refuse_extras(file, arch)
    heads = file.get(f"{arch}.attention.head_count", int)
    d_model = file.get(f"{arch}.embedding_length", int)
    head_dim = file.get(f"{arch}.attention.key_length", int, d_model // max(1, heads))
    turned = file.get(f"{arch}.rope.dimension_count", int, head_dim)
    if turned != head_dim:
        raise UserError(f"{file.path}: {turned} of {head_dim} channels are rotated; partial rotation is not supported")
    if "token_embd.weight" not in file.tensors:
        raise UserError(f"{file.path} has no tensor token_embd.weight")
    try:
        return ModelConfig(
            vocab_size=file.tensors["token_embd.weight"].shape[0],
            d_model=d_model,
            num_layers=file.get(f"{arch}.block_count", int),
            num_heads=heads,
            num_kv_heads=file.get(f"{arch}.attention.head_count_kv", int, heads),
            head_dim=head_dim,
            d_ff=file.get(f"{arch}.feed_forward_length", int),
            context_length=file.get(f"{arch}.context_length", int),
            rope_theta=shortest(file.get(f"{arch}.rope.freq_base", float, 10_000.0)),
            rms_norm_eps=shortest(file.get(f"{arch}.attention.layer_norm_rms_epsilon", float)),
            qk_norm=ARCHITECTURES[arch],
            tie_embeddings="output.weight" not in file.tensors,
        )
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"{file.path}: {error}") from None


def shortest(value: float) -> float:
    """The shortest decimal with the same float32: 1e-05 for GGUF's 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def to_hf_rows(weight: np.ndarray, heads: int) -> np.ndarray:
    """Query or key rows from llama.cpp's order (a pair's channels side by side) to ours (half a head apart)."""
    rows = weight.shape[0]
    return weight.reshape(heads, rows // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


def to_gguf_rows(weight: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `to_hf_rows`."""
    rows = weight.shape[0]
    return weight.reshape(heads, 2, rows // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def permuted_heads(name: str, config: ModelConfig) -> int | None:
    """The number of heads if this parameter's rows (Hugging Face's name) are in another order, else None."""
    if config.qk_norm:
        return None
    if name.endswith("q_proj.weight"):
        return config.num_heads
    return config.num_kv_heads if name.endswith("k_proj.weight") else None


def read_weight(file: GgufFile, name: str, config: ModelConfig) -> np.ndarray:
    """A parameter by its GGUF name, float32, rows in Hugging Face's order."""
    weight = file.tensor(name)
    ours = hf_name(name)
    assert ours
    heads = permuted_heads(ours, config)
    if heads is None:
        return weight
    if weight.ndim != 2 or weight.shape[0] != heads * config.head_dim:
        raise UserError(f"{file.path}: tensor {name} has shape {weight.shape}, not {heads} heads of {config.head_dim}")
    return to_hf_rows(weight, heads)


def _refuse_extras(file: GgufFile, arch: str) -> None:
    if file.get(f"{arch}.expert_count", int, 0):
        raise UserError(f"{file.path}: mixture-of-experts models are not supported")
    scaling = file.get(f"{arch}.rope.scaling.type", str, "none")
    if scaling != "none":
        raise UserError(f"{file.path}: rope scaling {scaling!r} is not supported")
    for name in file.tensors:
        if name == "rope_freqs.weight":
            raise UserError(f"{file.path}: rope scaling (rope_freqs.weight) is not supported")
        if hf_name(name) is None:
            raise UserError(f"{file.path}: tensor {name[:60]} does not belong to a Llama or Qwen3 model")
