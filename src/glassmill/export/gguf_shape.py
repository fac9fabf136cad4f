"""The model's shape and weights under GGUF's names and Hugging Face's.

Three architectures: `llama`, `qwen2` (biases of queries, keys and values) and `qwen3` (norms of queries and keys). For
`llama`, llama.cpp rotates adjacent channels where Hugging Face rotates the two halves of a head, so the rows of the
query and key matrices are in another order; for the other two they agree. Of the stretched rotations only `linear` is
written the same way on both sides.

Source: llama.cpp convert_hf_to_gguf.py (LlamaModel.permute) and gguf-py/gguf/tensor_mapping.py.
"""

from __future__ import annotations

import re

import numpy as np

from glassmill.errors import UserError
from glassmill.export.gguf_reader import GgufFile
from glassmill.model.config import ModelConfig
from glassmill.model.scaling import LARGEST_FACTOR, RopeScaling
from glassmill.model.sizes import num_tensors, parameter_shapes

ARCHITECTURES = {"llama": (False, False), "qwen2": (False, True), "qwen3": (True, False)}
"""GGUF architecture -> `qk_norm` and `qkv_bias`."""
LARGEST = {
    "block_count": 1000,
    "embedding_length": 1 << 17,
    "feed_forward_length": 1 << 20,
    "context_length": 1 << 28,
    "attention.head_count": 1 << 12,
    "attention.head_count_kv": 1 << 12,
    "attention.key_length": 1 << 12,
}
"""Far beyond any published model."""
OFF = {
    "expert_count": (0,),
    "attention.sliding_window": (0,),
    "attn_logit_softcapping": (0,),
    "final_logit_softcapping": (0,),
    "logit_scale": (0, 1),
    "embedding_scale": (0, 1),
    "residual_scale": (0, 1),
    "attention.scale": (0,),
    "attention.clamp_kqv": (0,),
    "attention.max_alibi_bias": (0,),
    "attention.causal": (True,),
    "use_parallel_residual": (False,),
    "pooling_type": (0,),
}
"""Keys under the architecture that change what a model computes, and the values at which they don't."""

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
BIASED = ("attn_q", "attn_k", "attn_v")
BLOCK_BACK = {name: short for short, name in BLOCK.items()}
OUTER_BACK = {name: short for short, name in OUTER.items()}


def hf_name(name: str) -> str | None:
    """Hugging Face's name of a GGUF tensor; None if our models have no such tensor.

    >>> hf_name("blk.3.attn_q.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    if name in OUTER:
        return OUTER[name]
    match = re.fullmatch(r"blk\.(0|[1-9]\d{0,8})\.(\w+)\.(weight|bias)", name)
    if match is None or match[2] not in BLOCK or (match[3] == "bias" and match[2] not in BIASED):
        return None
    return f"model.layers.{match[1]}.{BLOCK[match[2]]}.{match[3]}"


def gguf_name(name: str) -> str:
    """GGUF's name of a parameter (Hugging Face's name)."""
    if name in OUTER_BACK:
        return OUTER_BACK[name]
    match = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    assert match, name
    return f"blk.{match[1]}.{BLOCK_BACK[match[2]]}.{match[3]}"


def architecture(config: ModelConfig) -> str:
    """GGUF's name of the model's architecture.

    Raises:
        UserError: Its rotation is stretched in a way that is not written here, or llama.cpp would refuse its shape.
    """
    if config.qkv_bias and config.num_heads * config.head_dim != config.d_model:
        raise UserError(
            f"{config.num_heads} heads of {config.head_dim} channels in a model of {config.d_model}: llama.cpp opens "
            "Qwen2's shape only if the heads fill it exactly"
        )
    if config.rope_scaling and config.rope_scaling.kind != "linear":
        raise UserError(f"rope scaling {config.rope_scaling.kind!r} cannot be written as GGUF yet, only 'linear'")
    return next(name for name, flags in ARCHITECTURES.items() if flags == (config.qk_norm, config.qkv_bias))


def read_config(file: GgufFile) -> ModelConfig:
    """The model's shape.

    Raises:
        UserError: an unsupported architecture, or a feature that our model does not compute.
    """
    _refuse_parts(file)
    arch = file.get("general.architecture", str)
    if arch not in ARCHITECTURES:
        raise UserError(
            f"{file.path}: unsupported architecture {arch[:60]!r}; supported are {', '.join(ARCHITECTURES)}"
        )
    _refuse_extras(file, arch)
    heads = file.get(f"{arch}.attention.head_count", int)
    for key, largest in LARGEST.items():
        if (claimed := file.get(f"{arch}.{key}", int, 0)) > largest:
            raise UserError(f"{file.path}: {arch}.{key} = {claimed:,} is more than {largest:,}")
    d_model = file.get(f"{arch}.embedding_length", int)
    head_dim = file.get(f"{arch}.attention.key_length", int, d_model // max(1, heads))
    turned = file.get(f"{arch}.rope.dimension_count", int, head_dim)
    if turned != head_dim:
        raise UserError(f"{file.path}: {turned} of {head_dim} channels are rotated; partial rotation is not supported")
    if "token_embd.weight" not in file.tensors:
        raise UserError(f"{file.path} has no tensor token_embd.weight")
    try:
        config = ModelConfig(
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
            qk_norm=ARCHITECTURES[arch][0],
            qkv_bias=ARCHITECTURES[arch][1],
            rope_scaling=_scaling(file, arch),
            tie_embeddings="output.weight" not in file.tensors,
        )
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"{file.path}: {error}") from None
    _check_tensors(file, config)
    return config


def _check_tensors(file: GgufFile, config: ModelConfig) -> None:
    """The file has exactly the model's tensors, in their shapes; nothing is built for it."""
    found = {hf_name(name) or name: info.shape for name, info in file.tensors.items()}
    for name, shape in parameter_shapes(config):
        if name not in found:
            raise UserError(f"{file.path}: the tensors do not match the header: {gguf_name(name)} is missing")
        if found[name] != shape:
            raise UserError(
                f"{file.path}: the tensors do not match the header: {gguf_name(name)} is {found[name]}, not {shape}"
            )
    if len(found) != num_tensors(config):
        extra = found.keys() - {name for name, _ in parameter_shapes(config)}
        raise UserError(f"{file.path}: the tensors do not match the header: {gguf_name(min(extra))} has no place in it")


def _refuse_parts(file: GgufFile) -> None:
    """Refuses what is not a whole model."""
    match = re.search(r"-(\d{5})-of-(\d{5})\.gguf$", file.path.name)
    count = file.get("split.count", int, int(match[2]) if match else 0)
    if count > 1:
        raise UserError(
            f"{file.path} is one of {count} parts of a split GGUF file; join them with llama.cpp's "
            "`llama-gguf-split --merge FIRST-PART OUT.gguf`, and import that"
        )
    kind = file.get("general.type", str, "model")
    if kind != "model":
        raise UserError(
            f"{file.path} is not a model: its type is {kind[:40]!r} (an adapter, a vocabulary, a projector)"
        )


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
    if config.qk_norm or config.qkv_bias:
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
    context = file.get(f"{arch}.context_length", int)
    for key, off in OFF.items():
        value = file.metadata.get(f"{arch}.{key}", off[0])
        whole_window = key == "attention.sliding_window" and type(value) is int and value >= context
        if value not in off and not whole_window:
            raise UserError(f"{file.path}: {arch}.{key} = {str(value)[:40]} is not supported")
    widths = [file.get(f"{arch}.attention.{one}_length", int, 0) for one in ("key", "value")]
    if all(widths) and widths[0] != widths[1]:
        raise UserError(f"{file.path}: keys of {widths[0]} channels and values of {widths[1]} are not supported")
    for name in file.tensors:
        if name == "rope_freqs.weight":
            raise UserError(f"{file.path}: rope scaling (rope_freqs.weight) is not supported")
        if hf_name(name) is None:
            raise UserError(f"{file.path}: tensor {name[:60]} does not belong to a Llama, Qwen2 or Qwen3 model")


def _scaling(file: GgufFile, arch: str) -> RopeScaling | None:
    kind = file.get(f"{arch}.rope.scaling.type", str, "none")
    if kind == "none":
        return None
    factor = file.get(f"{arch}.rope.scaling.factor", float, 1.0)
    if kind != "linear" or not 1 <= factor <= LARGEST_FACTOR:
        raise UserError(f"{file.path}: rope scaling {kind[:40]!r} by {factor:g} is not supported, only 'linear' from 1")
    return RopeScaling("linear", shortest(factor))
