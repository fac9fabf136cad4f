"""What the model writes while it learns: the likeliest continuation of a few fixed prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from glassmill.model.cache import KVCache
from glassmill.model.transformer import Transformer


@torch.inference_mode()
def continue_greedily(model: Transformer, prompt: Sequence[int], num_tokens: int, stop_id: int) -> list[int]:
    """At most `num_tokens` ids after `prompt`, up to the first `stop_id`."""
    room = min(len(prompt) + num_tokens, model.config.context_length)
    cache = KVCache(model.config, 1, room, model.head_weight.dtype, model.head_weight.device)
    ids = torch.tensor([list(prompt)], device=model.head_weight.device)
    written: list[int] = []
    for _ in range(room - len(prompt)):
        token = int(model.logits(model.hidden(ids, cache)[0, -1]).argmax())
        if token == stop_id:
            break
        written.append(token)
        ids = torch.tensor([[token]], device=ids.device)
    return written
