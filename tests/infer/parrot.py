"""A decoder that answers at once: for tests of what happens in which pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from glassmill.infer.decoder import Answer, Decoder, DecoderInfo, Piece
from glassmill.tokens.specials import NAMED

VOCABULARY = 256 + len(NAMED)


class Parrot(Decoder):
    """A model that says after every token what it is told to, at once; counts its forward passes."""

    def __init__(self, follows: Mapping[int, int], noise: float = 0.0) -> None:
        self._info = DecoderInfo(VOCABULARY, 4096, 4, 1)
        self.lengths: dict[int, int] = {}
        self.opened = self.passes = 0
        self.logits = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY)).astype(np.float32) * noise
        for token, then in follows.items():
            self.logits[token, then] += 5

    @property
    def info(self) -> DecoderInfo:
        return self._info

    @property
    def cache_bytes(self) -> int:
        return 0

    def open_row(self) -> int:
        self.opened += 1
        self.lengths[self.opened] = 0
        return self.opened

    def close_row(self, row: int) -> None:
        del self.lengths[row]

    def length(self, row: int) -> int:
        return self.lengths[row]

    def truncate(self, row: int, length: int) -> None:
        assert 0 <= length <= self.lengths[row]
        self.lengths[row] = length

    def fork(self, row: int, length: int) -> int:
        fork = self.open_row()
        self.lengths[fork] = length
        return fork

    def fits(self, lengths: Sequence[int]) -> bool:
        return len(lengths) <= 4

    def forward(self, pieces: Sequence[Piece]) -> list[Answer]:
        self.passes += 1
        answers = []
        for row, ids, want, greedy in pieces:
            self.lengths[row] += len(ids)
            logits = self.logits[list(ids[len(ids) - want :])]
            answers.append(Answer(ids=tuple(logits.argmax(-1).tolist())) if greedy else Answer(logits))
        return answers
