"""Conversations to rows of one length, packed whole, with targets only where the assistant speaks.

Rows are a pure function of the seed: each epoch takes the conversations in its own order and fills one row after
another.

    T positions of a row
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glassmill.errors import UserError
from glassmill.tokens.shards import Shards
from glassmill.train.base import Base
from glassmill.train.batches import WindowBatches
from glassmill.train.gradients import Batch
from glassmill.train.order import permuted


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as ids, and True where the assistant learns to write the id."""

    ids: np.ndarray
    mask: np.ndarray


class PackedConversations:
    """Rows of `length` tokens. A conversation longer than that is cut at its end."""

    def __init__(self, conversations: Sequence[Rendered], length: int, pad_id: int, seed: int) -> None:
        assert conversations
        self.conversations, self.length, self.pad_id, self.seed = conversations, length, pad_id, seed
        self._epochs: list[list[list[int]]] = []
        self._first_rows = [0]

    @property
    def rows_per_epoch(self) -> int:
        """Rows of the first epoch; later ones differ by a few."""
        return len(self._epoch(0))

    def row(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, targets and mask `(T,)` of a row: target t is the id at t + 1, and the mask is 1 where it is learned."""
        while index >= self._first_rows[-1]:
            self._epoch(len(self._epochs))
        epoch = next(i for i in reversed(range(len(self._epochs))) if self._first_rows[i] <= index)
        ids = np.full(self.length + 1, self.pad_id, dtype=np.int64)
        mask = np.zeros(self.length + 1, dtype=np.float32)
        start = 0
        for number in self._epochs[epoch][index - self._first_rows[epoch]]:
            conversation = self.conversations[number]
            part = slice(start, min(start + len(conversation.ids), self.length))
            ids[part] = conversation.ids[: part.stop - start]
            mask[part] = conversation.mask[: part.stop - start]
            start = part.stop
        return torch.from_numpy(ids[:-1].copy()), torch.from_numpy(ids[1:].copy()), torch.from_numpy(mask[1:].copy())

    def _epoch(self, epoch: int) -> list[list[int]]:
        """The numbers of the conversations in every row of an epoch."""
        while len(self._epochs) <= epoch:
            size, rows, room = len(self.conversations), list[list[int]](), 0
            for index in range(size):
                number = permuted(index, size, self.seed, len(self._epochs))
                needed = min(len(self.conversations[number].ids), self.length)
                if needed > room:
                    rows.append([])
                    room = self.length
                rows[-1].append(number)
                room -= needed
            self._epochs.append(rows)
            self._first_rows.append(self._first_rows[-1] + len(rows))
        return self._epochs[epoch]


def in_rows(conversations: Sequence[Rendered], length: int, pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, targets and mask `(B, T)` of conversations, one a row: the mask is 1 where the target is learned."""
    ids = np.full((len(conversations), length + 1), pad_id, dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=np.float32)
    for row, one in enumerate(conversations):
        ids[row, : len(one.ids)], mask[row, : len(one.ids)] = one.ids, one.mask
    ids_BT = torch.from_numpy(ids)
    return ids_BT[:, :-1].contiguous(), ids_BT[:, 1:].contiguous(), torch.from_numpy(mask[:, 1:].copy())


def pages_of(start: Base, tokens: Path | None, rows: int, length: int, seed: int, stage: str) -> WindowBatches | None:
    """Windows of the tokens run, if there is one.

    Raises:
        UserError: it was made with another vocabulary than the model's.
    """
    if tokens is None:
        return None
    shards = Shards(tokens, "train")
    if shards.vocab_size != start.config.vocab_size:
        raise UserError(
            f"{tokens} has a vocabulary of {shards.vocab_size}, the model one of {start.config.vocab_size}; "
            f"set {stage}.pages=0"
        )
    if not np.array_equal(np.load(tokens / "token_bytes.npy", allow_pickle=False), start.tokenizer.text_lengths()):
        raise UserError(
            f"{tokens} is encoded with another vocabulary than that of {start.folder}, though of equal size; set "
            f"{stage}.pages=0 to do without"
        )
    return WindowBatches(shards, rows, length, seed + 1)


class MixedBatches:
    """Batches whose first rows are conversations and the rest windows of pages.

    A row of pages has many more learned tokens than a row of conversations. `page_share` is their share of the rows and
    of the loss, so that they don't drown out the conversations.
    """

    def __init__(self, packed: PackedConversations, pages: WindowBatches | None, rows: int, page_share: float) -> None:
        self.packed, self.pages, self.rows, self.length = packed, pages, rows, packed.length
        self.page_rows = min(round(rows * page_share), rows - 1) if pages is not None else 0
        self.page_weight = page_share if self.page_rows else 0.0
        self.conversation_rows = rows - self.page_rows

    def batch(self, step: int) -> Batch:
        """What a step reads."""
        first = step * self.conversation_rows
        triples = [self.packed.row(first + row) for row in range(self.conversation_rows)]
        ids, targets, mask = (torch.stack(part) for part in zip(*triples, strict=True))
        weights = mask * (1 - self.page_weight) / mask.sum().clamp_min(1)
        if self.pages is None or self.page_rows == 0:
            return Batch(ids, targets, weights)
        page_ids, page_targets = self.pages.rows_of(step * self.page_rows, self.page_rows)
        page_weights = torch.full(page_ids.shape, self.page_weight / page_ids.numel())
        return Batch(*map(torch.cat, ((ids, page_ids), (targets, page_targets), (weights, page_weights))))
