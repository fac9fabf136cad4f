"""Fresh weights: random, but every head passes on what it attends to, and one pair of heads copies from earlier text.

A model that trains for minutes never discovers how to repeat a name it has just read: no part of that circuit helps
before the others exist. So it starts with a rough one, made of ordinary weights, which training sharpens or unlearns:

- the output projection of a head starts as the transpose of its value projection, so that attention copies whatever it
  attends to (mimetic initialisation: Trockman and Kolter 2023, arXiv 2305.09828);
- one head of layer 0 marks every token with the token before it; one of layer 1 looks for the mark of the token just
  read and passes on what it finds there (induction heads: Olsson et al. 2022, arXiv 2209.11895).

Given counts of the text that it will read, a model with a head of its own also starts with the bigrams of that text
(`bigrams.py`): embedding and head hold them, and the heads add less at first, so that they are not drowned.

The scales keep the length of vectors the same at any width. `docs/log.md` has what each part is worth.

    D d_model, H channels of a head, V vocabulary, R rank
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassmill.model.attention import Attention
from glassmill.model.bigrams import Bigrams, first_tables
from glassmill.model.config import ModelConfig
from glassmill.model.rope import rope_angles
from glassmill.model.transformer import Transformer

EMBEDDING_NORM = 1.26
"""Of a token's own part of its embedding; the part that all share is as long."""
FINAL_GAIN = 6.3
"""Over the root of D: logits of a fresh model stay within some nats of each other."""
SHARPNESS = 16.0
"""Largest product of a query and a key. Normalised ones of 32 channels reach 5.7, too little to look at one of 256."""
PASS_ON = 1.13
"""Over the root of H: what a head adds, beside an embedding of 1.26."""
COPY_SHARE = 4.0
"""Times `PASS_ON` for the head that copies."""
FAST_PAIRS = 4
"""Channel pairs that rotate fast enough to distinguish neighbouring positions."""
BIGRAM_NORM = 3 * EMBEDDING_NORM
"""Of a token's own part of its embedding, if it holds bigrams."""
BESIDE_BIGRAMS = 0.3
"""Of `PASS_ON`, if the embeddings hold bigrams."""
RANDOM_SHARE = 0.1
"""Of the own part that holds bigrams, so that no two embeddings are alike."""


@torch.no_grad()
def initialize(model: Transformer, seed: int, bigrams: Bigrams | None = None) -> None:
    """Fresh weights, a pure function of shape, seed and bigrams. The copying heads need two layers and wide enough
    vectors.

    Args:
        bigrams: Of the text to come, for a model with a head of its own; none: the tables are random.
    """
    config, generator = model.config, torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("down_proj.weight"):
            parameter.zero_()
        elif name.endswith(("embed_tokens.weight", "lm_head.weight")):
            parameter.copy_(_random(parameter, generator) * EMBEDDING_NORM * config.d_model**-0.5)
        elif parameter.ndim == 2:
            parameter.copy_(_random(parameter, generator) * parameter.shape[1] ** -0.5)
        elif name.endswith(("q_norm.weight", "k_norm.weight")):
            parameter.fill_((SHARPNESS / config.head_dim**0.5) ** 0.5)
        else:
            parameter.fill_(1.0)
    model.model.norm.weight.fill_(FINAL_GAIN * config.d_model**-0.5)
    common_D = torch.nn.functional.normalize(torch.randn(config.d_model, generator=generator), dim=0)
    _share_a_direction(model, common_D)
    attentions = [module for module in model.modules() if isinstance(module, Attention)]
    for attention in attentions:
        attention.v_proj.weight.copy_(_orthonormal(attention.v_proj.weight, generator))
    pass_on = PASS_ON * config.head_dim**-0.5 * min(1.0, 2 * config.num_layers**-0.5)
    if bigrams is not None:
        assert model.lm_head is not None, "a tied head says the same of a pair in both orders"
        _hold_bigrams(model, bigrams, common_D, generator)
        pass_on *= BESIDE_BIGRAMS
    for attention in attentions:
        _pass_on(attention, pass_on)
    if config.num_layers >= 2 and config.head_dim >= 4 * FAST_PAIRS and config.d_model > 2 * config.head_dim:
        _plant_copying(attentions[0], attentions[1], common_D, pass_on, generator)


def _random(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator)


def _share_a_direction(model: Transformer, common_D: Tensor) -> None:
    """Give all embeddings one common component, from which a head can make a query that is the same for every token.

    In a tied head it adds the same to every logit, which leaves the distribution as it is.
    """
    embedding = model.model.embed_tokens.weight
    embedding -= (embedding @ common_D)[:, None] * common_D
    embedding += EMBEDDING_NORM * common_D


def _hold_bigrams(model: Transformer, bigrams: Bigrams, common_D: Tensor, generator: torch.Generator) -> None:
    """Embeddings whose products with the head's rows are the log-probabilities of what follows, all else left out."""
    embedding, head = model.model.embed_tokens.weight, model.head_weight
    tables = first_tables(bigrams, model.config.d_model - 1, generator)
    rank = tables.embedding_VR.shape[1]
    random = torch.randn(model.config.d_model, rank, generator=generator)
    basis_RD = torch.linalg.qr(random - common_D[:, None] * (common_D @ random))[0].T
    own_VD = tables.embedding_VR @ basis_RD + RANDOM_SHARE * model.config.d_model**-0.5 * _random(embedding, generator)
    own_VD -= (own_VD @ common_D)[:, None] * common_D
    embedding.copy_(BIGRAM_NORM * torch.nn.functional.normalize(own_VD, dim=1) + EMBEDDING_NORM * common_D)
    length = math.hypot(BIGRAM_NORM, EMBEDDING_NORM) / FINAL_GAIN  # of an embedding, over that of what the head reads
    head.copy_(length / BIGRAM_NORM * tables.head_VR @ basis_RD)
    head += length / EMBEDDING_NORM * tables.frequency_V[:, None] * common_D


def _orthonormal(like: Tensor, generator: torch.Generator) -> Tensor:
    """A random matrix with orthonormal rows or columns, whichever are fewer."""
    rows, columns = like.shape
    random = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    matrix: Tensor = torch.linalg.qr(random)[0]
    return matrix if rows > columns else matrix.T


def _pass_on(attention: Attention, size: float) -> None:
    """Output projections that undo the value projections."""
    config = attention.config
    heads = attention.v_proj.weight.view(config.num_kv_heads, config.head_dim, config.d_model)
    per_query_head = heads.repeat_interleave(config.num_heads // config.num_kv_heads, dim=0)
    attention.o_proj.weight.copy_(size * per_query_head.reshape(-1, config.d_model).T)


def _plant_copying(
    marking: Attention, copying: Attention, common_D: Tensor, size: float, generator: torch.Generator
) -> None:
    """Head 0 of one layer marks, head 0 of the next copies."""
    D, H = marking.config.d_model, marking.config.head_dim
    random = torch.randn(D, 2 * H, generator=generator)
    directions = torch.linalg.qr(random - common_D[:, None] * (common_D @ random))[0].T
    identity_HD, mark_HD = directions[:H], directions[H:]
    _look_one_back(marking.q_proj.weight[:H], marking.k_proj.weight[:H], common_D, marking.config)
    marking.v_proj.weight[:H] = identity_HD
    _pass_on(marking, size)
    marking.o_proj.weight[:, :H] = size * mark_HD.T
    _look_for_the_mark(copying.q_proj.weight[:H], copying.k_proj.weight[:H], identity_HD, mark_HD)
    copying.o_proj.weight[:, :H] *= COPY_SHARE


def _look_one_back(q_HD: Tensor, k_HD: Tensor, common_D: Tensor, config: ModelConfig) -> None:
    """Queries and keys that agree best when the key is one position before the query."""
    H = config.head_dim
    angle = rope_angles(torch.ones(1), H, config.rope_theta)[0, :FAST_PAIRS]
    q_H, k_H = torch.zeros(H), torch.zeros(H)
    k_H[:FAST_PAIRS] = 1.0
    q_H[:FAST_PAIRS], q_H[H // 2 : H // 2 + FAST_PAIRS] = angle.cos(), -angle.sin()
    for weight, direction in ((q_HD, q_H), (k_HD, k_H)):
        weight.mul_(0.2).add_(direction[:, None] * common_D)


def _look_for_the_mark(q_HD: Tensor, k_HD: Tensor, identity_HD: Tensor, mark_HD: Tensor) -> None:
    """The token just read as query, the marks as keys, in the channels that hardly rotate over a context."""
    H = len(q_HD)
    slow = [*range(H // 4, H // 2), *range(H // 2 + H // 4, H)]
    q_HD.zero_()
    k_HD.zero_()
    q_HD[slow] = identity_HD[: len(slow)]
    k_HD[slow] = mark_HD[: len(slow)]
