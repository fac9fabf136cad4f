"""The shape of a model, and the same shape as a Hugging Face `config.json`.

Two shapes, one code: Qwen3 (queries and keys are normalised, `qk_norm`) and Llama (they are not). Anything else that a
`config.json` asks for (biases, sliding windows, scaled rotations) is refused by name: a model that ignored it would
load and talk nonsense.

Sources: Qwen3 technical report (arXiv 2505.09388, section 2), Llama 2 (arXiv 2307.09288, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

ARCHITECTURES = {"Qwen3ForCausalLM": True, "LlamaForCausalLM": False}
"""Hugging Face architecture -> whether queries and keys are normalised."""


class RopeParameters(TypedDict, total=False):
    """How positions are rotated; `type` is the older name of `rope_type`."""

    rope_type: str
    type: str
    rope_theta: float


class HfConfig(TypedDict, total=False):
    """A `config.json`, as far as it is read or written here."""

    architectures: list[str]
    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int | None
    head_dim: int | None
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_parameters: RopeParameters | None
    rope_scaling: RopeParameters | None
    hidden_act: str
    attention_bias: bool
    attention_dropout: float
    mlp_bias: bool
    initializer_range: float
    tie_word_embeddings: bool
    torch_dtype: str
    use_cache: bool
    use_sliding_window: bool
    sliding_window: int | None
    max_window_layers: int


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything that decides the shapes of the weights and what the forward pass computes.

    Raises:
        ValueError: The numbers don't fit together; the message says which.
    """

    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    d_ff: int
    context_length: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6
    qk_norm: bool = True
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        for name in (
            "vocab_size",
            "d_model",
            "num_layers",
            "num_heads",
            "num_kv_heads",
            "head_dim",
            "d_ff",
            "context_length",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least 1")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads = {self.num_heads} is not a multiple of num_kv_heads = {self.num_kv_heads}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim = {self.head_dim} is odd: rotary embeddings turn pairs of channels")

    def to_hf(self) -> HfConfig:
        """The `config.json` of this shape, readable by transformers 4.5x (`rope_theta`) and 5.x (`rope_parameters`)."""
        shape: HfConfig = {
            "architectures": ["Qwen3ForCausalLM" if self.qk_norm else "LlamaForCausalLM"],
            "model_type": "qwen3" if self.qk_norm else "llama",
            "vocab_size": self.vocab_size,
            "hidden_size": self.d_model,
            "intermediate_size": self.d_ff,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": self.context_length,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "tie_word_embeddings": self.tie_embeddings,
            "torch_dtype": "float32",
            "use_cache": True,
        }
        if self.qk_norm:
            return {**shape, "use_sliding_window": False, "sliding_window": None, "max_window_layers": self.num_layers}
        return {**shape, "mlp_bias": False}

    @classmethod
    def from_hf(cls, hf: HfConfig) -> ModelConfig:
        """The shape that a `config.json` describes.

        Raises:
            ValueError: The architecture is neither Qwen3 nor Llama, or it needs something that is not supported.
        """
        architecture = _architecture(hf)
        _refuse_unknown_features(hf)
        heads = int(hf["num_attention_heads"])
        d_model = int(hf["hidden_size"])
        return cls(
            vocab_size=int(hf["vocab_size"]),
            d_model=d_model,
            num_layers=int(hf["num_hidden_layers"]),
            num_heads=heads,
            num_kv_heads=int(hf.get("num_key_value_heads") or heads),
            head_dim=int(hf.get("head_dim") or d_model // heads),
            d_ff=int(hf["intermediate_size"]),
            context_length=int(hf.get("max_position_embeddings") or 2048),
            rope_theta=_rope_theta(hf),
            rms_norm_eps=float(hf.get("rms_norm_eps") or 1e-6),
            qk_norm=ARCHITECTURES[architecture],
            tie_embeddings=bool(hf.get("tie_word_embeddings", False)),
        )


def _architecture(hf: HfConfig) -> str:
    names = hf.get("architectures") or [
        {"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}.get(hf.get("model_type", ""), "?")
    ]
    if names[0] not in ARCHITECTURES:
        raise ValueError(f"architecture {names[0]}: only {' and '.join(ARCHITECTURES)} are supported")
    return str(names[0])


def _refuse_unknown_features(hf: HfConfig) -> None:
    for flag in ("attention_bias", "mlp_bias", "use_sliding_window"):
        if hf.get(flag):
            raise ValueError(f"{flag} = {hf[flag]}: not supported")
    if hf.get("hidden_act", "silu") != "silu":
        raise ValueError(f"hidden_act = {hf['hidden_act']!r}: only 'silu' is supported")
    scaling = hf.get("rope_scaling") or hf.get("rope_parameters") or {}
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind != "default":
        raise ValueError(f"rope scaling {kind!r}: only the plain rotation is supported")


def _rope_theta(hf: HfConfig) -> float:
    """transformers 5 moved the base of the rotation into `rope_parameters`; older files keep it at the top."""
    inner = (hf.get("rope_parameters") or {}).get("rope_theta")
    return float(inner or hf.get("rope_theta") or 10_000.0)
