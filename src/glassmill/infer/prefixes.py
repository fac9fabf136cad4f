"""The prefix cache: a text that begins like one read before is read from where they part.

A row that is done stays open in the decoder, with its tokens, until its place is needed. A new prompt looks for the
longest beginning that it shares with such a row, or with one that is running, and starts from a fork of it; where
nothing of the old row would be lost, it takes the row over instead. What leaves first is what was used longest ago.

A scan over the rows and not a tree over their tokens: a decoder has a few dozen rows, and to compare two texts of a
thousand tokens takes two microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glassmill.infer.decoder import Decoder
from glassmill.infer.sampling import Ids

MIN_SHARED = 32
"""Shorter beginnings are read again: that costs less than a copy of their keys and values."""


class PrefixCache:
    """Rows kept for prompts to come.

    Args:
        decoder: Whose rows.
        max_bytes: Of keys and values that are kept; 0 keeps nothing.

    Attributes:
        num_tokens: In the rows that are kept.
        hits: Prompts that began with something read before.
        saved_tokens: What they did not have to read.
    """

    def __init__(self, decoder: Decoder, max_bytes: int) -> None:
        self.decoder, self.max_bytes = decoder, max_bytes
        self._kept: dict[int, Ids] = {}  # row -> its tokens, the one used longest ago first
        self.num_tokens = self.hits = self.saved_tokens = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def num_bytes(self) -> int:
        """Of keys and values that are kept."""
        return self.num_tokens * self.decoder.info.token_bytes

    def begin(self, prompt: Ids, longest: int, running: Sequence[tuple[int, Ids, int]]) -> tuple[int, int]:
        """A row for a prompt, and how many of its tokens the row holds already: at least the last one is still to read.

        Args:
            prompt: Its tokens.
            longest: Tokens that the row may grow to.
            running: The other rows: number, the tokens of the row that have been read, and to what it may grow.
        """
        source, shared = self._longest(prompt[:-1], running)
        taken = source in self._kept and shared == len(self._kept[source])
        if taken:
            self._release(source)
        needed = [*(grows_to for _, _, grows_to in running), longest]
        while self._kept and not self.decoder.fits([*needed, *map(len, self._kept.values())]):
            oldest = next((row for row in self._kept if row != source), source)
            self._release(oldest)
            if oldest == source:
                taken = True
            else:
                self.decoder.close_row(oldest)
        if not shared:
            return self.decoder.open_row(), 0
        self.hits += 1
        self.saved_tokens += shared
        if taken:
            self.decoder.truncate(source, shared)
            return source, shared
        return self.decoder.fork(source, shared), shared

    def _longest(self, prompt: Ids, running: Sequence[tuple[int, Ids, int]]) -> tuple[int, int]:
        """The row that shares most of its beginning with `prompt`, and how much; `(-1, 0)` where it is not worth it."""
        source, shared = -1, MIN_SHARED - 1
        if self.max_bytes and len(prompt) > shared:
            for row, ids in (*self._kept.items(), *((row, ids) for row, ids, _ in running)):
                length = common_length(ids, prompt)
                if length > shared:
                    source, shared = row, length
        if source in self._kept:
            self._kept[source] = self._kept.pop(source)
        return (source, shared) if source >= 0 else (-1, 0)

    def keep(self, row: int, ids: Sequence[int]) -> None:
        """Take over a row that is done and holds `ids`, or close it."""
        tokens = np.array(ids, dtype=np.int64)
        if len(tokens) < MIN_SHARED or len(tokens) * self.decoder.info.token_bytes > self.max_bytes:
            self.decoder.close_row(row)
            return
        for other, known in list(self._kept.items()):
            length = common_length(known, tokens)
            if length == len(tokens):
                self._kept[other] = self._kept.pop(other)
                self.decoder.close_row(row)
                return
            if length == len(known):
                self._drop(other)
        self._kept[row] = tokens
        self.num_tokens += len(tokens)
        while self.num_bytes > self.max_bytes:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Close the row that was used longest ago, if there is one."""
        if self._kept:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Close all rows."""
        while self._kept:
            self.drop_oldest()

    def _drop(self, row: int) -> None:
        self._release(row)
        self.decoder.close_row(row)

    def _release(self, row: int) -> None:
        self.num_tokens -= len(self._kept.pop(row))


def common_length(one: Ids, other: Ids) -> int:
    """How many tokens two texts have in common from their beginning.

    >>> common_length(np.array([1, 2, 3]), np.array([1, 2, 4, 5]))
    2
    """
    length = min(len(one), len(other))
    differ = one[:length] != other[:length]
    first = int(differ.argmax()) if length else 0
    return first if length and differ[first] else length
