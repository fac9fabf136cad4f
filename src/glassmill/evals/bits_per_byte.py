"""Bits per byte: how well a model predicts held-out text, comparable across tokenizers.

    B windows a batch, T positions

The sum of the losses of all predicted tokens, in bits, over the bytes of text that those tokens stand for. Special
tokens stand for no text: their loss does not count, and neither do bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from glassmill.model.transformer import Transformer


@torch.inference_mode()
def bits_per_byte(
    model: Transformer,
    ids: np.ndarray,
    token_bytes: np.ndarray,
    context_length: int,
    max_tokens: int = 0,
    batch_tokens: int = 4096,
) -> float:
    """Bits per byte of `model` on the flat token stream `ids`.

    Args:
        ids: Held-out tokens, shape `(n,)`, any integer type.
        token_bytes: UTF-8 bytes of every token, shape `(V,)`; 0 for special tokens.
        context_length: Tokens in a window; windows follow each other without overlap.
        max_tokens: Score only about so many tokens from the start; 0 is all.

    Raises:
        ValueError: fewer than two tokens, so that nothing can be predicted.
    """
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} held-out tokens: nothing to predict")
    length = min(context_length, len(ids) - 1)
    device = next(model.parameters()).device
    bytes_V = torch.from_numpy(token_bytes.astype(np.int64)).to(device)
    nats, num_bytes = 0.0, 0
    for window_BT in _windows(ids, length, max_tokens, max(1, batch_tokens // length)):
        window_BT = window_BT.to(device)
        inputs_BT, targets_BT = window_BT[:, :-1], window_BT[:, 1:]
        logits_BTV = model.logits(model.hidden(inputs_BT)).float()
        loss_N = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="none")
        weights_N = bytes_V[targets_BT.flatten()]
        nats += float(loss_N[weights_N > 0].double().sum())
        num_bytes += int(weights_N.sum())
    return nats / math.log(2) / max(num_bytes, 1)


def _windows(ids: np.ndarray, length: int, max_tokens: int, batch: int) -> Iterator[Tensor]:
    count = (len(ids) - 1) // length
    if max_tokens:
        count = max(1, min(count, max_tokens // length))
    for begin in range(0, count, batch):
        rows = [
            ids[i * length : (i + 1) * length + 1].astype(np.int64) for i in range(begin, min(begin + batch, count))
        ]
        yield torch.from_numpy(np.stack(rows))
