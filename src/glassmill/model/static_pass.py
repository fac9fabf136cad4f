"""A forward pass of fixed shapes and addresses: what a CUDA graph can record, in a third of the kernels.

The same function as `Transformer.hidden` with a cache, except that nothing is decided on the host while it runs: where
tokens go and what they may see are tensors. What it saves is launches, which are what a small model waits for on a GPU:
q, k and v are one product, so are gate and up, a norm is one kernel, and the residual is added inside the product.

The joined weights replace the model's own, which become views of them: no weight is in memory twice, and the model goes
on as before.

    B rows, T tokens, S keys that are looked at, D d_model, N heads, K kv heads, H channels per head, G = N / K
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glassmill.model.attention import Attention
from glassmill.model.cache import KVCache
from glassmill.model.layers import Linear
from glassmill.model.rope import Rotation, rotate
from glassmill.model.transformer import Block, FeedForward, Transformer, rotation_at


@dataclass(frozen=True, slots=True)
class Inputs:
    """What differs from one pass to the next; all on the model's device.

    Attributes:
        ids_BT: Token ids, int64.
        positions_BT: Where each goes in its row of the cache, int64. A token attends to its own position and to those
            before it. What is only padding takes a position that no row uses.
        rows_B: The rows of the cache; None is the first B, which are then read where they lie, without a copy.
    """

    ids_BT: Tensor
    positions_BT: Tensor
    rows_B: Tensor | None = None


class StaticPass:
    """The passes of a model whose layers are plain (`merge_lora` takes adapters away).

    Args:
        model: On its device. Its weights may change in place, not be replaced.
        num_positions: Positions are below this.
    """

    def __init__(self, model: Transformer, num_positions: int) -> None:
        self.model, self.config = model, model.config
        with torch.no_grad():
            self._layers = [_Layer(layer) for layer in model.model.layers if isinstance(layer, Block)]
            positions = torch.arange(num_positions, device=model.head_weight.device)
            self._rotation = rotation_at(positions, model.config, model.head_weight.dtype)

    @torch.inference_mode()
    def hidden(self, inputs: Inputs, cache: KVCache, num_keys: int) -> Tensor:
        """Hidden states `(B, T, D)` after the final norm; keys and values are in the cache then.

        Args:
            inputs: Tokens and their places.
            cache: Its `lengths_B` are neither read nor changed.
            num_keys: `S`; positions are below it, but for those of padding.
        """
        config, positions_BT = self.config, inputs.positions_BT
        B, T = positions_BT.shape
        rows_B1 = (torch.arange(B, device=positions_BT.device) if inputs.rows_B is None else inputs.rows_B)[:, None]
        bias_B1QS = self._bias(positions_BT, num_keys)
        rotation = self._rotation.at(positions_BT)
        x_BTD = F.embedding(inputs.ids_BT, self.model.model.embed_tokens.weight)
        x_MD = x_BTD.view(B * T, config.d_model)
        for layer, keys_BSKH, values_BSKH in zip(self._layers, cache.keys_LBSKH, cache.values_LBSKH, strict=True):
            q_BTNH, k_BTKH, v_BTKH = layer.heads(x_MD, rotation, B, T)
            keys_BSKH.index_put_((rows_B1, positions_BT), k_BTKH)
            values_BSKH.index_put_((rows_B1, positions_BT), v_BTKH)
            if inputs.rows_B is None:
                k_BSKH, v_BSKH = keys_BSKH[:B, :num_keys], values_BSKH[:B, :num_keys]
            else:
                k_BSKH = keys_BSKH[:, :num_keys].index_select(0, inputs.rows_B)
                v_BSKH = values_BSKH[:, :num_keys].index_select(0, inputs.rows_B)
            layer.add_mixed(x_MD, attend_by_group(q_BTNH, k_BSKH, v_BSKH, bias_B1QS))
            layer.add_mlp(x_MD)
        return _norm(x_BTD, self.model.model.norm)

    def _bias(self, positions_BT: Tensor, num_keys: int) -> Tensor:
        """`(B, 1, G T, S)`: 0 where a query may look, else minus infinity; once a pass, not once a layer."""
        B, T = positions_BT.shape
        group = self.config.num_heads // self.config.num_kv_heads
        hidden_BTS = torch.arange(num_keys, device=positions_BT.device) > positions_BT[..., None]
        bias_BTS = torch.zeros(B, T, num_keys, dtype=self._rotation.cos.dtype, device=positions_BT.device)
        bias_BTS.masked_fill_(hidden_BTS, float("-inf"))
        return bias_BTS[:, None].expand(B, group, T, num_keys).reshape(B, 1, group * T, num_keys)


def attend_by_group(q_BTNH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, bias_B1QS: Tensor) -> Tensor:
    """`attend`, with the G query heads of a kv head as G T queries of one head. Returns `(B T, N H)`.

    So every key is read once for its whole group, and no kernel is needed that knows of groups and biases both.
    """
    B, T, N, H = q_BTNH.shape
    K = k_BSKH.shape[2]
    q_BKQH = q_BTNH.reshape(B, T, K, N // K, H).permute(0, 2, 3, 1, 4).reshape(B, K, N // K * T, H)
    mixed_BKQH = F.scaled_dot_product_attention(
        q_BKQH, k_BSKH.transpose(1, 2), v_BSKH.transpose(1, 2), attn_mask=bias_B1QS
    )
    return mixed_BKQH.reshape(B, K, N // K, T, H).permute(0, 3, 1, 2, 4).reshape(B * T, N * H)


class _Layer:
    """A block with joined weights."""

    def __init__(self, block: Block) -> None:
        attention, mlp = block.self_attn, block.mlp
        assert isinstance(attention, Attention) and isinstance(mlp, FeedForward)
        self.block, self.attention, self.mlp, self.config = block, attention, mlp, attention.config
        self.qkv, self.qkv_bias = _join(attention.q_proj, attention.k_proj, attention.v_proj)
        self.gate_up, _ = _join(mlp.gate_proj, mlp.up_proj)

    def heads(self, x_MD: Tensor, rotation: Rotation, B: int, T: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries `(B, T, N, H)` and keys `(B, T, K, H)`, both rotated, and values `(B, T, K, H)`."""
        N, K, H = self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        qkv_MC = F.linear(_norm(x_MD, self.block.input_layernorm), self.qkv, self.qkv_bias)
        all_BTNH = qkv_MC.view(B, T, N + 2 * K, H)
        qk_BTNH, v_BTKH = all_BTNH[:, :, : N + K], all_BTNH[:, :, N + K :]
        if self.config.qk_norm:
            q_BTNH = _norm(qk_BTNH[:, :, :N], self.attention.q_norm)
            qk_BTNH = torch.cat([q_BTNH, _norm(qk_BTNH[:, :, N:], self.attention.k_norm)], dim=2)
        qk_BTNH = rotate(qk_BTNH, rotation)
        return qk_BTNH[:, :, :N], qk_BTNH[:, :, N:], v_BTKH

    def add_mixed(self, x_MD: Tensor, mixed_MC: Tensor) -> None:
        """Add the attention's output to the residual, in place."""
        x_MD.addmm_(mixed_MC, self.attention.o_proj.weight.t())

    def add_mlp(self, x_MD: Tensor) -> None:
        """Add the feed-forward layer's output to the residual, in place."""
        both_MF = F.linear(_norm(x_MD, self.block.post_attention_layernorm), self.gate_up)
        gate_MF, up_MF = both_MF.chunk(2, dim=-1)
        x_MD.addmm_(F.silu(gate_MF) * up_MF, self.mlp.down_proj.weight.t())


def _norm(x: Tensor, norm: nn.Module) -> Tensor:
    """`RMSNorm` as one kernel."""
    weight, eps = norm.weight, norm.eps
    assert isinstance(weight, Tensor) and isinstance(eps, float)
    return F.rms_norm(x, weight.shape, weight, eps)


def _join(*parts: Linear) -> tuple[Tensor, Tensor | None]:
    """The weights of layers with one input below each other, and their biases; the layers get views of them."""
    assert all(type(part) is Linear for part in parts), "a layer with an adapter"
    weight = torch.cat([part.weight for part in parts])
    bias = None if parts[0].bias is None else torch.cat([part.bias for part in parts])
    start = 0
    for part in parts:
        rows = slice(start, start + part.out_features)
        part.weight = nn.Parameter(weight[rows], requires_grad=part.weight.requires_grad)
        if bias is not None:
            part.bias = nn.Parameter(bias[rows], requires_grad=part.bias.requires_grad)
        start = rows.stop
    return weight, bias
