"""Bits per byte: how well a model predicts held-out text, comparable across tokenizers.

    B windows a batch, T positions, D documents

The sum of the losses of all predicted tokens, in bits, over the bytes of text that those tokens stand for. Special
tokens stand for no text: their loss does not count, and neither do bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

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
    nats, num_bytes = 0.0, 0
    for losses_n, bytes_n in _scored(model, ids, token_bytes, context_length, max_tokens, batch_tokens):
        nats += float(losses_n[bytes_n > 0].sum(dtype=np.float64))
        num_bytes += int(bytes_n.sum(dtype=np.int64))
    return nats / math.log(2) / max(num_bytes, 1)


class Bits(NamedTuple):
    """Bits that the tokens of each document take, and bytes of text that they stand for, both `(D,)`; and the bits per
    byte of all of them, which is exactly what `bits_per_byte` gives."""

    bits_D: npt.NDArray[np.float64]
    bytes_D: npt.NDArray[np.int64]
    per_byte: float


def bits_by_document(
    model: Scorer,
    ids: npt.NDArray[Any],
    token_bytes: npt.NDArray[Any],
    document_n: npt.NDArray[Any],
    context_length: int,
    batch_tokens: int = 4096,
) -> Bits:
    """`bits_per_byte`, and what each document has of it: `document_n` is the number of each id's document."""
    num_documents, done = int(document_n.max(initial=0)) + 1, 1
    nats_D, bytes_D = np.zeros(num_documents), np.zeros(num_documents, np.int64)
    nats = 0.0
    for losses_n, bytes_n in _scored(model, ids, token_bytes, context_length, 0, batch_tokens):
        counted = bytes_n > 0
        of_n = document_n[done : done + len(losses_n)][counted]
        nats_D += np.bincount(of_n, losses_n[counted].astype(np.float64), num_documents)
        bytes_D += np.bincount(of_n, bytes_n[counted], num_documents).astype(np.int64)
        nats += float(losses_n[counted].sum(dtype=np.float64))
        done += len(losses_n)
    return Bits(nats_D / math.log(2), bytes_D, nats / math.log(2) / max(int(bytes_D.sum()), 1))


def _scored(
    model: Scorer,
    ids: npt.NDArray[Any],
    token_bytes: npt.NDArray[Any],
    context_length: int,
    max_tokens: int,
    batch_tokens: int,
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[Any]]]:
    """Losses of the tokens from the second on, and the bytes that they stand for, a batch of windows at a time."""
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} held-out tokens: nothing to predict")
    length = min(context_length, len(ids) - 1)
    for window_BT in _windows(ids, length, max_tokens, max(1, batch_tokens // length)):
        yield model.token_losses(window_BT).ravel(), token_bytes[window_BT[:, 1:]].ravel()


def _windows(ids: npt.NDArray[Any], length: int, max_tokens: int, batch: int) -> Iterator[Ids]:
    count = (len(ids) - 1) // length
    if max_tokens:
        count = max(1, min(count, max_tokens // length))
    for begin in range(0, count, batch):
        yield np.stack(
            [ids[i * length : (i + 1) * length + 1].astype(np.int64) for i in range(begin, min(begin + batch, count))]
        )
