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

from dataclasses import dataclass

import torch
from torch import Tensor

from glassmill.model.trace import Floats, Trace
from glassmill.model.transformer import Block, Transformer


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
    model: Transformer, seen: Trace, position: int, token: int | None = None, against: int | None = None
) -> Attribution:
    """What speaks for `token` behind `position`.

    Args:
        model: On any device, of any type.
        seen: What happened in it when it read the text.
        position: A place in the text.
        token: The next token to explain; `None`: the likeliest.
        against: The token it is compared with; `None`: the mean logit of the vocabulary.
    """
    weight_VD, norm = model.head_weight, model.model.norm
    logits_V = seen.logits_TV[position]
    token = int(logits_V.argmax()) if token is None else token
    others_D = (weight_VD.float().mean(dim=0)) if against is None else weight_VD[against].float()
    scale = torch.rsqrt(_at(seen.residual_RTD[-1, position], weight_VD).float().square().mean() + norm.eps)
    direction_D = (weight_VD[token].float() - others_D) * norm.weight.float() * scale
    heads = list[Tensor]()
    for block, taken_NH in zip(model.model.layers, seen.taken_LTNH[:, position], strict=True):
        assert isinstance(block, Block)
        alone_NNH = torch.diag_embed(_at(taken_NH, weight_VD).T, dim1=0, dim2=1)  # one head a row, the others zero
        heads.append(block.self_attn.o_proj(alone_NNH.flatten(1)).float() @ direction_D)
    fed_LD = _at(seen.feed_forward_out_LTD[:, position], weight_VD).float()
    return Attribution(
        token=token,
        embedding=float(_at(seen.residual_RTD[0, position], weight_VD).float() @ direction_D),
        heads_LN=torch.stack(heads).cpu().numpy(),
        feed_forward_L=(fed_LD @ direction_D).cpu().numpy(),
        total=float(logits_V[token] - (logits_V.mean() if against is None else logits_V[against])),
    )


def _at(array: Floats, like: Tensor) -> Tensor:
    return torch.from_numpy(array).to(like)
