"""What happens inside a model when it reads a text: attention weights, residual stream, and what each layer would say.

A plain second forward pass in which every intermediate is kept. It calls the model's own modules, so adapters take
part; only the attention's softmax is written out, because the fused one has no weights to look at. Tests hold its
logits equal to those of `Transformer.forward`.

The residual stream is a sum (Elhage et al. 2021, "A mathematical framework for transformer circuits"): the embedding,
plus what each layer's attention adds, plus what its feed-forward layer adds. The logit lens (nostalgebraist 2020) reads
it after every layer as if it were the last.

    L layers, N heads, T positions of queries, S positions of keys, D d_model, V vocabulary, R = L + 1 readings
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glassmill.model.attention import Attention
from glassmill.model.rope import Rotation, rotate
from glassmill.model.transformer import Block, Transformer, rotation_at

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trace:
    """The inside of one forward pass over T tokens; all arrays float32 but the ids.

    Attributes:
        attention_LNTS: How much of each earlier position a head's query looks at; rows sum to 1, 0 above the diagonal.
            Without layers if it was not asked for.
        residual_RTD: The residual stream: the embeddings, then what it is after each layer.
        taken_LTNH: What each head takes from the values it looks at; `o_proj` makes it what attention adds.
        attention_out_LTD: What each layer's attention adds to it.
        feed_forward_out_LTD: What each layer's feed-forward part adds to it.
        norms_RT: Length of each position's vector in the residual stream.
        logits_TV: What the model says.
        lens_ids_RTK: The K likeliest next tokens if the model ended here, likeliest first.
        lens_logprobs_RTK: Their log-probabilities, in nats.
    """

    attention_LNTS: Floats
    residual_RTD: Floats
    taken_LTNH: Floats
    attention_out_LTD: Floats
    feed_forward_out_LTD: Floats
    norms_RT: Floats
    logits_TV: Floats
    lens_ids_RTK: Ids
    lens_logprobs_RTK: Floats

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))


@torch.inference_mode()
def trace(model: Transformer, ids: Sequence[int], lens_top: int = 5, attention: bool = True) -> Trace:
    """Read `ids` and keep everything.

    Args:
        model: On any device, of any type.
        ids: At least one token id, at most as many as the context holds.
        lens_top: `K`, the tokens the logit lens names at each position.
        attention: Keep the attention weights; they take memory that grows with the square of the length.

    Raises:
        ValueError: no ids, or more than the context holds.
    """
    if not 1 <= len(ids) <= model.config.context_length:
        raise ValueError(f"{len(ids)} tokens: must be between 1 and the context of {model.config.context_length}")
    device, dtype = model.head_weight.device, model.head_weight.dtype
    rotation = rotation_at(torch.arange(len(ids), device=device), model.config, dtype)
    x_BTD = model.model.embed_tokens(torch.tensor([list(ids)], device=device))
    residual, taken, mixed, fed = [x_BTD], list[Tensor](), list[Tensor](), list[Tensor]()
    weights = [torch.empty(0, model.config.num_heads, len(ids), len(ids))]
    for block in model.model.layers:
        assert isinstance(block, Block)
        weights_BNTS, mixed_BTNH = attend(block.self_attn, block.input_layernorm(x_BTD), rotation)
        attention_out = block.self_attn.o_proj(mixed_BTNH.flatten(-2))
        x_BTD = x_BTD + attention_out
        feed_forward_out = block.mlp(block.post_attention_layernorm(x_BTD))
        x_BTD = x_BTD + feed_forward_out
        if attention:
            weights.append(weights_BNTS.cpu())
        taken.append(mixed_BTNH)
        mixed.append(attention_out)
        fed.append(feed_forward_out)
        residual.append(x_BTD)
    residual_RTD = torch.cat(residual)
    readings = [_likeliest(model.logits(model.model.norm(x_TD)), lens_top) for x_TD in residual_RTD]
    return Trace(
        attention_LNTS=_numpy(torch.cat(weights)),
        residual_RTD=_numpy(residual_RTD),
        taken_LTNH=_numpy(torch.cat(taken)),
        attention_out_LTD=_numpy(torch.cat(mixed)),
        feed_forward_out_LTD=_numpy(torch.cat(fed)),
        norms_RT=_numpy(residual_RTD.float().norm(dim=-1)),
        logits_TV=_numpy(model.logits(model.model.norm(residual_RTD[-1]))),
        lens_ids_RTK=np.stack([ids_TK for ids_TK, _ in readings]),
        lens_logprobs_RTK=np.stack([logprobs_TK for _, logprobs_TK in readings]),
    )


def attend(attention: Attention, x_BTD: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
    """Weights `(B, N, T, S)` of one layer's attention, softmax(q k / sqrt(H)), causal, and what its heads take by them.

    The latter, `(B, T, N, H)`, is what `o_proj` adds to the residual stream.
    """
    config, (B, T, _) = attention.config, x_BTD.shape
    q_BTNH = attention.q_norm(attention.q_proj(x_BTD).view(B, T, config.num_heads, config.head_dim))
    k_BTKH = attention.k_norm(attention.k_proj(x_BTD).view(B, T, config.num_kv_heads, config.head_dim))
    v_BTKH = attention.v_proj(x_BTD).view(B, T, config.num_kv_heads, config.head_dim)
    q_BTNH, k_BTKH = rotate(q_BTNH, rotation), rotate(k_BTKH, rotation)
    heads_per_kv = config.num_heads // config.num_kv_heads
    k_BTNH, v_BTNH = (tensor.repeat_interleave(heads_per_kv, dim=2) for tensor in (k_BTKH, v_BTKH))
    scores_BNTS = torch.einsum("btnh,bsnh->bnts", q_BTNH, k_BTNH).float() * config.head_dim**-0.5
    future_TS = torch.ones(T, T, dtype=torch.bool, device=x_BTD.device).triu(1)
    weights_BNTS = scores_BNTS.masked_fill(future_TS, float("-inf")).softmax(dim=-1)
    mixed_BTNH = torch.einsum("bnts,bsnh->btnh", weights_BNTS.to(v_BTNH.dtype), v_BTNH)
    return weights_BNTS, mixed_BTNH


def _likeliest(logits_TV: Tensor, count: int) -> tuple[Ids, Floats]:
    logprobs_TV = logits_TV.float().log_softmax(dim=-1)
    logprobs_TK, ids_TK = logprobs_TV.topk(min(count, logprobs_TV.shape[-1]), dim=-1)
    return ids_TK.cpu().numpy(), _numpy(logprobs_TK)


def _numpy(tensor: Tensor) -> Floats:
    array: Floats = tensor.float().cpu().numpy()
    return array
