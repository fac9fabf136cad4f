"""Grouped-query attention with rotary positions.

Sources: grouped queries (arXiv 2305.13245), normalised queries and keys (Qwen3, arXiv 2505.09388, section 2).

    B batch, T positions of queries, S positions of keys, D d_model, N heads, K kv heads, H channels per head
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from glassmill.model.cache import KVCache
from glassmill.model.config import ModelConfig
from glassmill.model.layers import Linear, RMSNorm
from glassmill.model.rope import Rotation, rotate


class Attention(nn.Module):
    """Every position attends to itself and to those before it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.q_proj = Linear(config.d_model, queries, bias=config.qkv_bias)
        self.k_proj = Linear(config.d_model, keys, bias=config.qkv_bias)
        self.v_proj = Linear(config.d_model, keys, bias=config.qkv_bias)
        self.o_proj = Linear(queries, config.d_model, bias=False)
        self.q_norm: nn.Module = RMSNorm(config.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm: nn.Module = RMSNorm(config.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity()

    def forward(
        self,
        x_BTD: Tensor,
        rotation: Rotation,
        cache: KVCache | None = None,
        positions_BT: Tensor | None = None,
        mask_BTS: Tensor | None = None,
    ) -> Tensor:
        """Mix values of earlier positions into every position.

        Without a cache, queries see the keys of the same call that `mask_BTS` allows (`None`: causally). With one, this
        call's keys are first stored at `positions_BT`; then queries see those of the first S stored ones that
        `mask_BTS` allows (`None`: all).
        """
        (B, T, _), heads = x_BTD.shape, (-1, self.config.head_dim)  # of a rank, where they are cut over several
        q_BTNH = self.q_norm(self.q_proj(x_BTD).unflatten(-1, heads))
        k_BTKH = self.k_norm(self.k_proj(x_BTD).unflatten(-1, heads))
        v_BTKH = self.v_proj(x_BTD).unflatten(-1, heads)
        q_BTNH, k_BTKH = rotate(q_BTNH, rotation), rotate(k_BTKH, rotation)
        if cache is None:
            mixed_BTNH = attend(q_BTNH, k_BTKH, v_BTKH, mask_BTS, causal=T > 1 and mask_BTS is None)
        else:
            assert positions_BT is not None
            cache.write(self.layer, k_BTKH, v_BTKH, positions_BT)
            S = mask_BTS.shape[-1] if mask_BTS is not None else int(positions_BT[0, -1]) + 1
            k_BSKH, v_BSKH = cache.keys_LBSKH[self.layer, :, :S], cache.values_LBSKH[self.layer, :, :S]
            mixed_BTNH = attend(q_BTNH, k_BSKH.to(q_BTNH.dtype), v_BSKH.to(q_BTNH.dtype), mask_BTS, causal=False)
        return self.o_proj(mixed_BTNH.reshape(B, T, -1))  # type: ignore[no-any-return]


def documents_of(ids_BT: Tensor, document_end: int) -> Tensor:
    """The number of each token's document in its row, `(B, T)`.

    The id that ends a document counts to the one after it: there it is what the first token is predicted from, as in
    generation, where a text starts with it.

    >>> documents_of(torch.tensor([[5, 6, 0, 7, 0, 8]]), document_end=0)
    tensor([[0, 0, 1, 1, 2, 2]])
    """
    return (ids_BT == document_end).cumsum(1)


def within_documents(documents_BT: Tensor) -> Tensor:
    """A causal mask `(B, T, T)` that is True between tokens of one document."""
    same = documents_BT[:, :, None] == documents_BT[:, None, :]
    return same.tril_()


def attend(q_BTNH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, mask_BTS: Tensor | None, causal: bool) -> Tensor:
    """Softmax of scaled products, times values; head n uses kv head `n // (N / K)`. Returns `(B, T, N, H)`.

    `mask_BTS` is True where a query may attend.
    """
    mixed_BNTH = F.scaled_dot_product_attention(
        q_BTNH.transpose(1, 2),
        k_BSKH.transpose(1, 2),
        v_BSKH.transpose(1, 2),
        attn_mask=None if mask_BTS is None else mask_BTS[:, None],
        is_causal=causal,
        enable_gqa=q_BTNH.shape[2] != k_BSKH.shape[2],
    )
    return mixed_BNTH.transpose(1, 2)
