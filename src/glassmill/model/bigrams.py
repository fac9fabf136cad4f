"""First embeddings and a first head that know already which token follows which.

The first hundreds of steps teach a new model hardly more than how frequent tokens and pairs of tokens are. Both can be
counted instead, and a model with a head of its own can hold them from the start. Smoothed with `SMOOTHING` draws from
the frequencies `p` of single tokens, the pair counts `C` say

    log P(v | t)  =  log p_v  +  log(1 + C_tv / (SMOOTHING p_v))  +  something that is the same for every v.

The middle term is zero for a pair that never occurs, so it is a sparse matrix. Its best approximation of rank D - 1,
pairs weighted by the frequencies of both tokens, is a product of the two tables that are sought (truncated singular
value decomposition, by random projections: Halko, Martinsson and Tropp 2011, arXiv 0909.4061). The frequencies lie
along the direction that all embeddings share. `docs/log.md` has what this is worth.

    V vocabulary, D d_model, R rank
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from glassmill.model.threads import pinned_threads

SMOOTHING = 128.0
"""Draws that are added to every token's counts; 64 to 1,024 do equally well."""
MOST_RANK = 512
"""Beyond it the decomposition takes longer than it saves."""
POWER_ITERATIONS = 2


class Bigrams(NamedTuple):
    """How often a token follows another; only pairs that occur.

    Attributes:
        pairs: `(2, N)`, int64: token and successor, sorted.
        counts: `(N,)`, float32.
        vocab_size: `V`.
    """

    pairs: Tensor
    counts: Tensor
    vocab_size: int


class FirstTables(NamedTuple):
    """What follows from the counts alone.

    Attributes:
        embedding_VR: Rows of length 1, next to nothing for a token that has no successor.
        head_VR: Its products with the embedding are the middle term of the module's formula.
        frequency_V: Log-frequencies, with mean 0.
    """

    embedding_VR: Tensor
    head_VR: Tensor
    frequency_V: Tensor


def count_bigrams(ids: np.ndarray, vocab_size: int) -> Bigrams:
    """Pairs of neighbours in `(rows, length)` ids; no pair reaches from one row into the next."""
    codes = ids[:, :-1].astype(np.int64) * vocab_size + ids[:, 1:]
    found, counts = np.unique(codes, return_counts=True)
    pairs = torch.from_numpy(np.stack(np.divmod(found, vocab_size)))
    return Bigrams(pairs, torch.from_numpy(counts.astype(np.float32)), vocab_size)


def first_tables(bigrams: Bigrams, rank: int, generator: torch.Generator) -> FirstTables:
    """Tables of rank `R`, or of `MOST_RANK` if that is less."""
    V = bigrams.vocab_size
    token_N, successor_N = bigrams.pairs
    p_V = _frequencies(successor_N, bigrams)
    weight_V = _frequencies(token_N, bigrams).sqrt()
    values_N = torch.log1p(bigrams.counts / (SMOOTHING * p_V[successor_N]))
    weighted_N = values_N * weight_V[token_N] * p_V.sqrt()[successor_N]
    matrix = torch.sparse_coo_tensor(bigrams.pairs, weighted_N, (V, V), check_invariants=False, is_coalesced=True)
    left_VR, sizes_R, right_VR = _decompose(matrix, min(rank, MOST_RANK, V), generator)
    embedding_VR = left_VR * sizes_R.sqrt() / weight_V[:, None]
    lengths_V = embedding_VR.norm(dim=1)
    typical = (lengths_V * weight_V.square()).sum()
    return FirstTables(
        embedding_VR / lengths_V.clamp(min=1e-2)[:, None],  # below it there are errors of rounding alone
        typical * right_VR * sizes_R.sqrt() / p_V.sqrt()[:, None],
        p_V.log() - p_V.log().mean(),
    )


def _frequencies(tokens_N: Tensor, bigrams: Bigrams) -> Tensor:
    """Share of every token; one that does not occur counts as half an occurrence."""
    counts_V = torch.full((bigrams.vocab_size,), 0.5).index_add(0, tokens_N, bigrams.counts)
    return counts_V / counts_V.sum()


def _decompose(matrix: Tensor, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The largest singular values of a sparse matrix, with their vectors as columns.

    By one thread: vectors of singular values that hardly differ turn with the last bit of a sum.
    """
    transposed = matrix.t()
    with pinned_threads(1):
        basis = torch.linalg.qr(torch.sparse.mm(matrix, torch.randn(matrix.shape[1], rank, generator=generator)))[0]
        for _ in range(POWER_ITERATIONS):
            basis = torch.linalg.qr(torch.sparse.mm(transposed, basis))[0]
            basis = torch.linalg.qr(torch.sparse.mm(matrix, basis))[0]
        right, triangle = torch.linalg.qr(torch.sparse.mm(transposed, basis))
        inner_left, sizes, inner_right = torch.linalg.svd(triangle.T)
        return basis @ inner_left, sizes, right @ inner_right.T
