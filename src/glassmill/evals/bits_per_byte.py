"""Bits per byte: how well a model predicts held-out text, comparable across tokenizers.

    B windows a batch, T positions

The sum of the losses of all predicted tokens, in bits, over the bytes of text that those tokens stand for. Special
tokens stand for no text: their loss does not count, and neither do bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class Scorer(Protocol):
    """A `glassmill.infer.decoder.Decoder`, or a `Model`."""

    def token_losses(self, windows_BT: Ids, /) -> npt.NDArray[np.float32]: ...


def bits_per_byte(
    model: Scorer,
    ids: npt.NDArray[Any],
    token_bytes: npt.NDArray[Any],
    context_length: int,
    max_tokens: int = 0,
    batch_tokens: int = 4096,
) -> float:
    """Bits per byte of `model` on the flat token stream `ids`.

    Args:
        model: Gives the loss of every token.
        ids: Held-out tokens, shape `(n,)`, any integer type.
        token_bytes: UTF-8 bytes of every token, shape `(V,)`; 0 for special tokens.
        context_length: Tokens in a window; windows follow each other without overlap.
        max_tokens: Score only about so many tokens from the start; 0 is all.
        batch_tokens: Tokens that the model gets at once, in whole windows.

    Raises:
        ValueError: fewer than two tokens, so that nothing can be predicted.
    """
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} held-out tokens: nothing to predict")
    length = min(context_length, len(ids) - 1)
    nats, num_bytes = 0.0, 0
    for window_BT in _windows(ids, length, max_tokens, max(1, batch_tokens // length)):
        losses_BT, bytes_BT = model.token_losses(window_BT), token_bytes[window_BT[:, 1:]]
        nats += float(losses_BT[bytes_BT > 0].sum(dtype=np.float64))
        num_bytes += int(bytes_BT.sum(dtype=np.int64))
    return nats / math.log(2) / max(num_bytes, 1)


def _windows(ids: npt.NDArray[Any], length: int, max_tokens: int, batch: int) -> Iterator[Ids]:
    count = (len(ids) - 1) // length
    if max_tokens:
        count = max(1, min(count, max_tokens // length))
    for begin in range(0, count, batch):
        yield np.stack(
            [ids[i * length : (i + 1) * length + 1].astype(np.int64) for i in range(begin, min(begin + batch, count))]
        )
