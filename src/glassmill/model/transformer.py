"""The Transformer: token ids in, one distribution over the next token out, for every position.

Parameter names are those of Hugging Face's Qwen3, Qwen2, Llama and Mistral, so a state dict of one is a state
dict of the other. Logits are a separate step from hidden states because training never holds all of them at once
(`model/loss.py`) and decoding needs only those of the last position.

Gradients come from `forward` alone, so that hooks and wrappers (DDP, FSDP2) see every training step; `hidden` and
`logits` are for inference.

    B batch, T positions, S stored positions, D d_model, V vocabulary
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glassmill.model.attention import Attention, within_documents
from glassmill.model.cache import KVCache
from glassmill.model.config import ModelConfig
from glassmill.model.layers import Embedding, Linear, RMSNorm
from glassmill.model.loss import linear_cross_entropy, token_nats
from glassmill.model.rope import Rotation, rope_angles


class Transformer(nn.Module):
    """Embedding, blocks, final norm and head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.lm_head: Linear | None = None
        if not config.tie_embeddings:
            self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """`(V, D)`: the embedding itself if the two are tied."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def hidden(
        self,
        ids_BT: Tensor,
        cache: KVCache | None = None,
        positions_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
    ) -> Tensor:
        """Hidden states `(B, T, D)` after the final norm.

        Args:
            ids_BT: Token ids, int64.
            cache: What the rows have read so far; the T new tokens of every row are added to it. If some rows are
                padded on the right, call `cache.set_lengths` with the true lengths afterwards.
            positions_BT: Positions of the tokens; by default those after what the cache holds, or from 0. With a cache
                they must be consecutive in every row.
            documents_BT: Without a cache, the number of each token's document: it sees no other.
        """
        T = ids_BT.shape[1]
        assert documents_BT is None or cache is None, "documents beside a cache"
        mask_BTS = None if documents_BT is None else within_documents(documents_BT)
        if cache is not None:
            if positions_BT is None:
                positions_BT = cache.next_positions(T)
            end = int(positions_BT.max()) + 1
            assert end <= cache.max_length, f"position {end - 1} in a cache of {cache.max_length}"
            if ids_BT.shape[0] > 1 or T > 1:
                mask_BTS = (torch.arange(end) <= positions_BT[..., None]).to(ids_BT.device)
            cache.lengths_B.copy_(positions_BT[:, -1] + 1)
        positions = torch.arange(T) if positions_BT is None else positions_BT
        rotation = rotation_at(positions.to(ids_BT.device), self.config, self.head_weight.dtype)
        on_device = None if positions_BT is None else positions_BT.to(ids_BT.device)
        return self.model(ids_BT, rotation, cache, on_device, mask_BTS)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Unnormalised log-probabilities `(..., V)` of the next token, from hidden states `(..., D)`."""
        return F.linear(hidden, self.head_weight)

    def forward(
        self,
        ids_BT: Tensor,
        targets_BT: Tensor | None = None,
        weights_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
    ) -> Tensor:
        """Logits of whole sequences, or the loss of their targets; differentiable in every case.

        Args:
            ids_BT: Token ids, int64.
            targets_BT: The token to predict at every position, int64.
            weights_BT: What each target counts, float32; only with targets. For a loss whose weights are known in
                advance this saves a quarter of the head's work, see `model/loss.py`.
            documents_BT: The number of each token's document; attention stays within. `None`: a row is one document.

        Returns:
            Without targets the logits `(B, T, V)`; with targets the nats of each, `(B, T)` float32; with weights too
            the scalar `(nats * weights).sum()`. The logits of a loss are never all in memory.
        """
        hidden_BTD = self.hidden(ids_BT, documents_BT=documents_BT)
        if targets_BT is None:
            assert weights_BT is None, "weights without targets"
            return self.logits(hidden_BTD)
        dtype, device_type = hidden_BTD.dtype, ids_BT.device.type
        if torch.is_autocast_enabled(device_type):
            dtype = torch.get_autocast_dtype(device_type)
        hidden_MD, weight_VD, targets_M = (
            hidden_BTD.flatten(0, 1).to(dtype),
            self.head_weight.to(dtype),
            targets_BT.flatten(),
        )
        with torch.autocast(device_type, enabled=False):
            if weights_BT is None:
                return token_nats(hidden_MD, weight_VD, targets_M).view_as(targets_BT)
            return linear_cross_entropy(hidden_MD, weight_VD, targets_M, weights_BT.flatten())


def rotation_at(positions_T: Tensor, config: ModelConfig, dtype: torch.dtype) -> Rotation:
    """The rotation that all layers of such a model share at these positions."""
    scaling = config.rope_scaling
    angles = rope_angles(positions_T, config.head_dim, config.rope_theta, scaling)
    return Rotation(angles, dtype, scaling.attention_factor if scaling else 1.0)


class Trunk(nn.Module):
    """What Hugging Face calls `model`: everything but the head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, config.rms_norm_eps)

    def forward(
        self,
        ids_BT: Tensor,
        rotation: Rotation,
        cache: KVCache | None,
        positions_BT: Tensor | None,
        mask_BTS: Tensor | None,
    ) -> Tensor:
        """Hidden states `(B, T, D)`."""
        x_BTD = self.embed_tokens(ids_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, rotation, cache, positions_BT, mask_BTS)
        return self.norm(x_BTD)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then a gated feed-forward layer (SwiGLU, arXiv 2002.05202), each added to what comes in."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.rms_norm_eps)
        self.mlp = FeedForward(config)

    def forward(
        self,
        x_BTD: Tensor,
        rotation: Rotation,
        cache: KVCache | None,
        positions_BT: Tensor | None,
        mask_BTS: Tensor | None,
    ) -> Tensor:
        """`(B, T, D)` in, `(B, T, D)` out."""
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotation, cache, positions_BT, mask_BTS)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """`down(silu(gate(x)) * up(x))`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.d_model, config.d_ff, bias=False)
        self.up_proj = Linear(config.d_model, config.d_ff, bias=False)
        self.down_proj = Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """`(B, T, D)` in, `(B, T, D)` out."""
        return self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))  # type: ignore[no-any-return]
