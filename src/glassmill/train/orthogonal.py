"""The orthogonal matrix nearest to a given one, by matrix products alone.

Polar Express (Amsel et al. 2025, arXiv 2505.16932): odd polynomials of degree five, one after the other, each the best
for the singular values that the one before leaves. Three things make four of them do the work of five in less time:

- A polynomial of X is a polynomial of the small square G = X X^T, times X. Two are composed on G before X is touched:
  five products of R x R and two with the long side, instead of two and four (Gram iteration).
- More than two are not composed: what rounding adds to the smallest eigenvalues of G grows with every polynomial. The
  second pair starts from the G of a new X, so bfloat16 is enough.
- X is scaled by the fourth root of the Frobenius norm of G^2, which is needed anyway. It bounds the largest singular
  value as the norm of X does, but for a random matrix by a factor of 1.5 instead of 10, so fewer values are tiny.

    G matrices of one shape, R rows <= C columns
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 3e-3
"""Singular values from here to 1 end between 0.79 and 1.21 (float32); a smaller one is multiplied by up to 283."""
POLYNOMIALS = (
    (8.137723867174650, -22.713708635181533, 16.325437555606440),
    (3.965223820939575, -2.836400988165974, 0.522467436609286),
    (3.488674689299837, -2.562167297769733, 0.501624921798744),
    (2.511527166352730, -1.852448356083007, 0.438832635580211),
)
"""a, b, c of a + b G + c G^2. Algorithm 1 of the paper for `[SMALLEST, 1]`, the first three at X / 1.01 for safety."""


def orthogonalise(matrices_GRC: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The matrices with every singular value brought near 1; R <= C.

    Values from 0.005 times the largest on end between 0.7 and 1.25, whatever the scale of the matrix.

    Args:
        matrices_GRC: float32; a matrix of zeros stays one.
        dtype: Of the products.

    Returns:
        `(G, R, C)` in `dtype`.
    """
    norm = torch.linalg.vector_norm(matrices_GRC, dim=(-2, -1), keepdim=True)
    X = (matrices_GRC / norm.clamp_min(1e-30)).to(dtype)
    gram = torch.bmm(X, X.mT)
    square = torch.bmm(gram, gram)
    bound = torch.linalg.vector_norm(square, dim=(-2, -1), keepdim=True, dtype=torch.float32).sqrt_().clamp_min_(1e-9)
    gram.div_(bound)
    square.div_(bound.square())
    X = torch.bmm(_two(gram, square, *POLYNOMIALS[:2]).mul_(bound.rsqrt()), X)
    gram = torch.bmm(X, X.mT)
    return torch.bmm(_two(gram, torch.bmm(gram, gram), *POLYNOMIALS[2:]), X)


Polynomial = tuple[float, float, float]


def _two(gram: Tensor, square: Tensor, first: Polynomial, second: Polynomial) -> Tensor:
    """What two polynomials multiply X with, from `X X^T` and its square; overwrites both."""
    a, b, c = first
    P = square.mul_(c).add_(gram, alpha=b)
    P.diagonal(dim1=-2, dim2=-1).add_(a)
    gram = torch.bmm(P, torch.bmm(gram, P))
    a, b, c = second
    Q = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    Q.diagonal(dim1=-2, dim2=-1).add_(a)
    return torch.bmm(Q, P)
