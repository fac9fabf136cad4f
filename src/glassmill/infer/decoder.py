"""The decoder: token ids in, logits out, with a cache of its own. What every engine, sample and eval asks of a model.

A decoder holds *rows*, the texts being read or written. A row is opened, fed pieces of any length, cut back, and
closed. Reading a prompt in pieces, decoding one token for many rows, and checking several guessed tokens at once are
the same call, `forward`. Where the rows lie in memory, how they are packed into a forward pass, and on which device, is
the decoder's business: this module imports numpy alone.

`glassmill.infer.torch_decoder` is the reference. `tests/infer/test_decoder.py` states the contract for any decoder.

    B windows, T positions, W answered positions of a piece, V vocabulary
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from glassmill.errors import ContextOverflow
from glassmill.infer.sampling import Floats, Ids, log_normalizers

NO_LOGITS: Floats = np.zeros((0, 0), dtype=np.float32)
LOSS_TOKENS = 128
"""Positions whose logits `Decoder.token_losses` holds at once."""


@dataclass(frozen=True, slots=True)
class DecoderInfo:
    """What does not change while a decoder lives.

    Attributes:
        vocab_size: `V`; ids are `0 .. V - 1`.
        context_length: Tokens that a row holds at most.
        max_rows: Rows that may be open at once.
        token_bytes: Memory of one cached token.
    """

    vocab_size: int
    context_length: int
    max_rows: int
    token_bytes: int


class Piece(NamedTuple):  # not a dataclass: one is made for every new token
    """The next tokens of one row.

    Attributes:
        row: An open row.
        ids: At least one token id below `vocab_size`.
        want: Answer the last `want` of these positions: 0 for the middle of a prompt, 1 to choose the next token, all
            of them to score a prompt or to check guessed tokens.
        greedy: The answer is the likeliest id of each position; the logits stay where they are.
    """

    row: int
    ids: Sequence[int]
    want: int = 1
    greedy: bool = False


class Answer(NamedTuple):
    """What a piece got: one entry for each of its `want` positions, about the token after that position.

    Attributes:
        logits_WV: float32, `(W, V)`; empty for a greedy piece.
        ids: The likeliest ids (the lowest of equal ones); empty unless the piece is greedy.
    """

    logits_WV: Floats = NO_LOGITS
    ids: tuple[int, ...] = ()


class Decoder(Protocol):
    """A model that owns its cache. One thread at a time may call it.

    A class that derives from this one inherits `token_losses`; a faster one may replace it.
    """

    @property
    def info(self) -> DecoderInfo:
        """Its sizes and limits."""
        ...

    @property
    def cache_bytes(self) -> int:
        """Memory that the cache takes now."""
        ...

    def open_row(self) -> int:
        """A new, empty row.

        Raises:
            ValueError: `max_rows` are open.
        """
        ...

    def close_row(self, row: int) -> None:
        """Forget a row. Its number is not used again."""
        ...

    def length(self, row: int) -> int:
        """Tokens in the row."""
        ...

    def truncate(self, row: int, length: int) -> None:
        """Forget all but the first `length` tokens: guesses that were wrong, or an answer whose prompt is kept.

        Raises:
            ValueError: The row is shorter.
        """
        ...

    def fork(self, row: int, length: int) -> int:
        """A new row that begins with the first `length` tokens of `row`, which stays as it is.

        Raises:
            ValueError: The row is shorter, or `max_rows` are open.
        """
        ...

    def fits(self, lengths: Sequence[int]) -> bool:
        """Whether rows that grow to these lengths fit into the memory for the cache together."""
        ...

    def forward(self, pieces: Sequence[Piece]) -> list[Answer]:
        """Append every piece to its row; the answers in the order of the pieces.

        If it raises, no row has grown.

        Raises:
            ContextOverflow: A row would exceed `context_length`.
            ValueError: A row is not open or named twice, or a piece is empty.
        """
        ...

    def token_losses(self, windows_BT: Ids) -> Floats:
        """Loss, in nats, of every token but the first of each window: `(B, T - 1)`. Windows do not see each other."""
        losses_BT = np.zeros((len(windows_BT), windows_BT.shape[1] - 1), dtype=np.float32)
        for losses_T, ids_T in zip(losses_BT, windows_BT, strict=True):
            with new_row(self) as row:
                for start in range(0, len(losses_T), LOSS_TOKENS):
                    ids = ids_T[start : min(start + LOSS_TOKENS, len(losses_T))].tolist()
                    logits_TV = self.forward([Piece(row, ids, want=len(ids))])[0].logits_WV
                    following = ids_T[start + 1 : start + 1 + len(ids)]
                    losses_T[start : start + len(ids)] = (
                        log_normalizers(logits_TV) - logits_TV[np.arange(len(ids)), following]
                    )
        return losses_BT


@contextmanager
def new_row(decoder: Decoder) -> Iterator[int]:
    """A row that is closed at the end of the block."""
    row = decoder.open_row()
    try:
        yield row
    finally:
        decoder.close_row(row)


def whole_logits(decoder: Decoder, ids: Sequence[int]) -> Floats:
    """Logits `(T, V)` of a text from its beginning: row t is about the token after `ids[t]`."""
    with new_row(decoder) as row:
        return decoder.forward([Piece(row, ids, want=len(ids))])[0].logits_WV


def text_losses(decoder: Decoder, ids: Ids, document_end: int | None = None) -> Floats:
    """Loss, in nats, of every token of a text but the first: `(T - 1,)`.

    Args:
        document_end: The id at which attention starts anew; None: it sees all before it.
    """
    starts = [0] if document_end is None else sorted({0, *np.flatnonzero(ids[:-1] == document_end).tolist()})
    parts = [ids[None, start : end + 1] for start, end in pairwise([*starts, len(ids) - 1])]
    return np.concatenate([decoder.token_losses(part)[0] for part in parts])


def check_pieces(pieces: Sequence[Piece], lengths: Mapping[int, int], info: DecoderInfo) -> None:
    """What every `forward` checks first; `lengths` are those of the open rows.

    Raises:
        ContextOverflow, ValueError: See `Decoder.forward`.
    """
    if len({piece.row for piece in pieces}) != len(pieces):
        raise ValueError("a row may have only one piece in a call")
    for row, ids, want, _ in pieces:
        length, num_new = lengths.get(row), len(ids)
        if length is None:
            raise ValueError(f"row {row} is not open")
        if not num_new or not 0 <= want <= num_new:
            raise ValueError(f"want = {want} of a piece of {num_new} tokens")
        if length + num_new > info.context_length:
            raise ContextOverflow(f"{length} + {num_new} tokens exceed the context of {info.context_length}")
