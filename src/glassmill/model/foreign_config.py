"""What somebody else's `config.json` says of a model, as the arguments of a `ModelConfig`.

Four architectures: Llama, Mistral (Llama's arithmetic), Qwen2 (biases of queries, keys and values) and Qwen3 (queries
and keys are normalised). A missing key stands for what transformers takes it for, which differs between them. Whatever
else the file asks for and the model does not compute is refused by name: a model that ignored it would load and talk
nonsense.

Source: transformers 5, configuration_{llama,mistral,qwen2,qwen3}.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from glassmill.errors import UserError
from glassmill.foreign_json import field
from glassmill.model.scaling import read_scaling

LARGEST = {
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "num_hidden_layers": 1000,
    "num_attention_heads": 1 << 12,
    "num_key_value_heads": 1 << 12,
    "head_dim": 1 << 12,
    "max_position_embeddings": 1 << 28,
}
"""Far beyond any published model; what is larger is damage, and must not be allocated."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What differs between the supported ones, and what transformers assumes where a file says nothing."""

    model_type: str
    qk_norm: bool = False
    qkv_bias: bool = False
    kv_heads: int | None = None
    head_dim: int | None = None
    context: int = 32_768
    window: int | None = None


ARCHITECTURES = {
    "Qwen3ForCausalLM": Architecture("qwen3", qk_norm=True, kv_heads=32, head_dim=128),
    "Qwen2ForCausalLM": Architecture("qwen2", qkv_bias=True, kv_heads=32),
    "LlamaForCausalLM": Architecture("llama", context=2048),
    "MistralForCausalLM": Architecture("mistral", kv_heads=8, context=131_072, window=4096),
}

BLOCKS = "gguf_blocks"
"""The one `quant_method` that is read: matrices in GGUF's block formats, as `glassmill quantize` writes them."""
SWITCHES = re.compile(
    r"(attention|mlp|use|qkv|head|lm_head|attention_out)_bias|.*soft_?cap.*|.*expert.*|.*moe.*|.*router.*"
    r"|(quantization|compression|peft|vision|audio|text)_config|.*qk_(layer)?norm.*|.*alibi.*|clip_qkv|kv_lora_rank"
    r"|.*parallel_\w*(attn|residual).*|no_rope\w*|rope_interleave\w*|attn_temperature\w*|attention_chunk\w*|.*sinks?"
    r"|.*cross_attention\w*|is_encoder_decoder|q_lora_rank|qk_\w+_head_dim|v_head_dim|first_k_dense\w*|mrope_\w+"
    r"|(rope_local|global_rope)\w*|sliding_window_\w*|num_nextn_predict_layers|num_kv_shared_layers|.*per_layer_\w+"
)
FACTORS = re.compile(
    r".*_multiplier|.*_scalar|logits?_scal\w+|scale_\w+|(attn|attention|residual|embedding|layer)_scal\w+"
)
"""Keys that change what a model of some other kind computes. They pass where they are off: null, false, 0 or empty, and
1 for a factor. Any other key means nothing to these four architectures, in transformers too."""


def read_fields(hf: dict[str, Any], what: str) -> dict[str, Any]:
    """The arguments of `ModelConfig` that a `config.json` describes.

    Args:
        hf: The file's object.
        what: How messages name it.

    Raises:
        UserError: Another architecture, a key that is not supported, or a value that is missing or out of bounds.
    """
    architecture = _architecture(hf, what)

    def size(name: str, default: int | None = None) -> int:
        options = {} if default is None else {"default": default}
        return field(hf, name, int, what=what, low=1, high=LARGEST[name], **options)

    context = size("max_position_embeddings", architecture.context)
    _refuse_unsupported(hf, architecture, context, what)
    heads, d_model = size("num_attention_heads"), size("hidden_size")
    kv_heads = size("num_key_value_heads", heads)
    if "num_key_value_heads" not in hf and architecture.kv_heads:
        kv_heads = architecture.kv_heads
    if hf.get("head_dim") is None and architecture.head_dim is None and d_model % heads:
        raise UserError(f"{what}: hidden_size = {d_model} is not a multiple of num_attention_heads = {heads}")
    inner = field(hf, "rope_scaling", dict, what=what, default={}) or field(
        hf, "rope_parameters", dict, what=what, default={}
    )
    outer = field(hf, "rope_theta", float, what=what, default=10_000.0)
    return {
        "vocab_size": size("vocab_size"),
        "d_model": d_model,
        "num_layers": size("num_hidden_layers"),
        "num_heads": heads,
        "num_kv_heads": kv_heads,
        "head_dim": size("head_dim", architecture.head_dim or d_model // heads),
        "d_ff": size("intermediate_size"),
        "context_length": context,
        "rope_scaling": read_scaling(hf, context, what),
        "rope_theta": field(inner, "rope_theta", float, what=what, default=outer),
        "rms_norm_eps": field(hf, "rms_norm_eps", float, what=what, default=1e-6),
        "qk_norm": architecture.qk_norm,
        "qkv_bias": architecture.qkv_bias,
        "tie_embeddings": field(hf, "tie_word_embeddings", bool, what=what, default=False),
    }


def _architecture(hf: dict[str, Any], what: str) -> Architecture:
    """By `architectures`; `model_type`, by which transformers chooses, must not say something else."""
    names = field(hf, "architectures", list, what=what, default=[])
    model_type = field(hf, "model_type", str, what=what, default="")
    by_type = {one.model_type: name for name, one in ARCHITECTURES.items()}
    name = names[0] if names else by_type.get(model_type, model_type or "?")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise UserError(f"{what}: architecture {str(name)[:60]!r}; supported are {', '.join(ARCHITECTURES)}")
    found = ARCHITECTURES[name]
    if model_type and model_type != found.model_type:
        raise UserError(f"{what}: architectures says {name}, model_type {model_type[:60]!r}; which of them is it?")
    return found


def _refuse_unsupported(hf: dict[str, Any], architecture: Architecture, context: int, what: str) -> None:
    for key, value in hf.items():
        if key == "quantization_config" and isinstance(value, dict) and value.get("quant_method") == BLOCKS:
            continue
        is_switch, is_factor = SWITCHES.fullmatch(key), FACTORS.fullmatch(key)
        if (is_switch and value) or (is_factor and value and (value is True or value != 1)):
            shown = value.get("quant_method", "{...}") if isinstance(value, dict) else value
            raise UserError(f"{what}: {key} = {str(shown)[:60]!r} is not supported")
    activation = hf.get("hidden_act") or "silu"
    if activation not in ("silu", "swish"):
        raise UserError(f"{what}: hidden_act = {str(activation)[:60]!r}; only 'silu' is supported")
    for place in (hf, hf.get("rope_parameters"), hf.get("rope_scaling")):
        part = place.get("partial_rotary_factor") if isinstance(place, dict) else None
        if part is not None and part != 1:
            raise UserError(f"{what}: partial_rotary_factor = {str(part)[:60]}; only whole heads can be rotated")
    kinds = field(hf, "layer_types", list, what=what, default=[])
    if other := [kind for kind in kinds if kind != "full_attention"]:
        raise UserError(f"{what}: layer_types has {str(other[0])[:60]!r}; only 'full_attention' is supported")
    window = field(hf, "sliding_window", int, what=what, default=0)
    if "sliding_window" not in hf:
        window = architecture.window or 0
    switch = field(hf, "use_sliding_window", bool, what=what, default=architecture.window is not None)
    if switch and window and window < context:
        raise UserError(
            f"{what}: sliding_window = {window} in a context of {context}: only attention to everything before is "
            "supported"
        )
