"""Direct logit attribution: what each head and each layer adds to the logit of one token at one position.

The residual stream before the final norm is a sum: the embedding, what every head adds, what every feed-forward layer
adds (Elhage et al. 2021, "A mathematical framework for transformer circuits"). The final norm divides that sum by its
root mean square. With that one number held as it is, the logit is linear in the sum, and its terms add up to it. So a
term says what a part wrote towards the token directly, not what later parts made of it, nor what it did to the norm.

A logit means something only beside others, so what is measured is a difference: to another token's, or to the mean of
the vocabulary's.

    L layers, N heads, T positions, D d_model, V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassmill.model.trace import Floats, attend
from glassmill.model.transformer import Block, Transformer, rotation_at


@dataclass(frozen=True, slots=True)
class Attribution:
    """Terms of a difference of logits; `embedding + heads_LN.sum() + feed_forward_L.sum()` is `total`.

    Attributes:
        token: The token that is explained.
        embedding: What the token at the position itself says.
        heads_LN: What each head adds.
        feed_forward_L: What each feed-forward layer adds.
        total: The difference as the model computes it, without any of this: rounding aside, the sum of the terms.
    """

    token: int
    embedding: float
    heads_LN: Floats
    feed_forward_L: Floats
    total: float


@torch.inference_mode()
def attribute(
    model: Transformer, ids: Sequence[int], position: int, token: int | None = None, against: int | None = None
) -> Attribution:
    """What speaks for `token` behind `position`.

    Args:
        model: On any device, of any type.
        ids: The text; at least one token id, at most as many as the context holds. Only those up to `position` count.
        position: A place in it.
        token: The next token to explain; `None`: the likeliest.
        against: The token it is compared with; `None`: the mean logit of the vocabulary.
    """
    assert 0 <= position < len(ids) <= model.config.context_length
    device, dtype = model.head_weight.device, model.head_weight.dtype
    rotation = rotation_at(torch.arange(position + 1, device=device), model.config, dtype)
    x_BTD = model.model.embed_tokens(torch.tensor([list(ids[: position + 1])], device=device))
    terms, heads = [x_BTD[0, -1]], list[Tensor]()
    for block in model.model.layers:
        assert isinstance(block, Block)
        _, mixed_BTNH = attend(block.self_attn, block.input_layernorm(x_BTD), rotation)
        alone_NNH = torch.diag_embed(mixed_BTNH[0, -1].T, dim1=0, dim2=1)  # one head a row, the others zero
        heads.append(block.self_attn.o_proj(alone_NNH.flatten(1)))
        x_BTD = x_BTD + block.self_attn.o_proj(mixed_BTNH.flatten(-2))
        feed_forward_out = block.mlp(block.post_attention_layernorm(x_BTD))
        terms.append(feed_forward_out[0, -1])
        x_BTD = x_BTD + feed_forward_out
    last_D, norm = x_BTD[0, -1], model.model.norm
    logits_V = model.logits(norm(last_D)).float()
    token = int(logits_V.argmax()) if token is None else token
    others_VD = model.head_weight.float() if against is None else model.head_weight[against, None].float()
    scale = torch.rsqrt(last_D.float().square().mean() + norm.eps)
    direction_D = (model.head_weight[token].float() - others_VD.mean(dim=0)) * norm.weight.float() * scale
    reference = logits_V.mean() if against is None else logits_V[against]
    return Attribution(
        token=token,
        embedding=float(terms[0].float() @ direction_D),
        heads_LN=(torch.stack(heads).float() @ direction_D).cpu().numpy(),
        feed_forward_L=(torch.stack(terms[1:]).float() @ direction_D).cpu().numpy(),
        total=float(logits_V[token] - reference),
    )
