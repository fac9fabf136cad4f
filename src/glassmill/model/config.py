"""The shape of a model, and the same shape as a Hugging Face `config.json`.

Three shapes, one code: Qwen3 (queries and keys are normalised, `qk_norm`), Qwen2 (queries, keys and values have
biases, `qkv_bias`) and Llama (neither; Mistral is the same). `foreign_config` reads other people's files.

Sources: Qwen3 technical report (arXiv 2505.09388, section 2), Llama 2 (arXiv 2307.09288, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from glassmill.errors import UserError
from glassmill.model.foreign_config import read_fields
from glassmill.model.scaling import RopeScaling


class HfConfig(TypedDict, total=False):
    """A `config.json`, as far as it is written here."""

    architectures: list[str]
    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_parameters: dict[str, object]
    rope_scaling: dict[str, object]
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


MAX_ROPE_THETA = 1e15
MAX_RMS_NORM_EPS = 0.1


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
    qkv_bias: bool = False
    rope_scaling: RopeScaling | None = None

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
        if not 0 < self.rope_theta <= MAX_ROPE_THETA:
            raise ValueError(f"rope_theta = {self.rope_theta:g}: must be positive and at most {MAX_ROPE_THETA:g}")
        if not 0 < self.rms_norm_eps <= MAX_RMS_NORM_EPS:
            raise ValueError(f"rms_norm_eps = {self.rms_norm_eps:g}: must be positive and at most {MAX_RMS_NORM_EPS:g}")
        if self.qk_norm and self.qkv_bias:
            raise ValueError("no known architecture both normalises queries and gives them a bias")

    def to_hf(self) -> HfConfig:
        """The `config.json` of this shape, readable by transformers 4.5x (`rope_theta`) and 5.x (`rope_parameters`)."""
        shape: HfConfig = {
            "architectures": [self._architecture[0]],
            "model_type": self._architecture[1],
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
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "tie_word_embeddings": self.tie_embeddings,
            "torch_dtype": "float32",
            "use_cache": True,
        }
        if self.rope_scaling:
            stretched = self.rope_scaling.to_hf()
            shape |= {"rope_scaling": stretched, "rope_parameters": {**stretched, "rope_theta": self.rope_theta}}
        if self.qk_norm or self.qkv_bias:
            shape |= {"use_sliding_window": False, "sliding_window": None, "max_window_layers": self.num_layers}
        if not self.qkv_bias:
            shape |= {"attention_bias": False}
        return shape if self.qk_norm or self.qkv_bias else {**shape, "mlp_bias": False}

    @classmethod
    def from_hf(cls, hf: dict[str, Any] | HfConfig, what: str = "config.json") -> ModelConfig:
        """The shape that a `config.json` describes; `what` names the file in messages.

        Raises:
            UserError: Another architecture, something that is not supported, or numbers that do not fit together.
        """
        fields = read_fields(dict(hf), what)
        try:
            return cls(**fields)
        except ValueError as error:
            raise UserError(f"{what}: {error}") from None

    @property
    def _architecture(self) -> tuple[str, str]:
        if self.qk_norm:
            return "Qwen3ForCausalLM", "qwen3"
        return ("Qwen2ForCausalLM", "qwen2") if self.qkv_bias else ("LlamaForCausalLM", "llama")
