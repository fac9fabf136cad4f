"""How far one model's predictions are from another's, token by token: what rounding, pruning or merging costs.

    T positions, V vocabulary

KL is that of the second model's distribution of the next token from the first's, in nats: the extra bits a text of the
first model would cost. It sees what perplexity cannot, because gains and losses do not cancel.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glassmill.infer.decoder import Decoder, Piece, new_row

PIECE = 128
"""Positions whose logits are held at once."""
Doubles = npt.NDArray[np.float64]


class Drift(NamedTuple):
    """Means over all predicted tokens.

    Attributes:
        perplexity_before, perplexity: Of the first model and the second.
        kl: Mean divergence, nats a token.
        kl_error: Its standard error.
        same_best: Share of tokens whose likeliest successor is the same.
        num_tokens: How many were predicted.
    """

    perplexity_before: float
    perplexity: float
    kl: float
    kl_error: float
    same_best: float
    num_tokens: int


def drift(before: Decoder, after: Decoder, ids: npt.NDArray[Any], window: int) -> Drift:
    """Compares two decoders on a text.

    Args:
        before: The model to compare with.
        after: The model to judge.
        ids: The text, `(n,)`, at least two tokens.
        window: Tokens read together; windows follow each other without overlap.

    Raises:
        ValueError: Fewer than two tokens.
    """
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} tokens: nothing to predict")
    parts = [
        part
        for start in range(0, len(ids) - 1, window)
        for part in _compared(before, after, ids[start : start + window + 1].tolist())
    ]
    loss_before, loss, kl, same = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Drift(
        math.exp(loss_before.mean()),
        math.exp(loss.mean()),
        float(kl.mean()),
        float(kl.std() / math.sqrt(len(kl))),
        float(same.mean()),
        len(kl),
    )


def _compared(before: Decoder, after: Decoder, ids: list[int]) -> list[tuple[Doubles, Doubles, Doubles, Doubles]]:
    """Losses of both, divergence, and whether the best token is the same, for every token of a window but the first."""
    found = []
    with new_row(before) as one, new_row(after) as other:
        for start in range(0, len(ids) - 1, PIECE):
            read = ids[start : min(start + PIECE, len(ids) - 1)]
            following = np.array(ids[start + 1 : start + 1 + len(read)])
            old_TV, new_TV = (
                _log_probabilities(decoder.forward([Piece(row, read, want=len(read))])[0].logits_WV)
                for decoder, row in ((before, one), (after, other))
            )
            at = np.arange(len(read))
            kl = (np.exp(old_TV) * (old_TV - new_TV)).sum(1)
            same = (old_TV.argmax(1) == new_TV.argmax(1)).astype(np.float64)
            found.append((-old_TV[at, following], -new_TV[at, following], kl, same))
    return found


def _log_probabilities(logits_TV: npt.NDArray[np.float32]) -> Doubles:
    wide: Doubles = logits_TV.astype(np.float64)
    wide -= wide.max(1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(1, keepdims=True))
    return wide
