"""Looking into a tokenizer: how a text is split, how each token was built, and how two tokenizers differ on a text.

In: a tokenizer and a text. Out: plain values for a page or a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypedDict

import numpy as np

from glassmill.tokens.formats import show
from glassmill.tokens.plain_bpe import merge_piece, merge_steps
from glassmill.tokens.split import Piece

LONGEST_STEPS = 200


class Explainable(Protocol):
    """What this module needs of a `Tokenizer`, which itself has a method that calls this module."""

    special: dict[str, int]

    @property
    def ranks(self) -> Mapping[bytes, int]: ...

    def pieces(self, text: str) -> list[Piece]: ...

    def encode_with_spans(self, text: str) -> tuple[np.ndarray, np.ndarray]: ...

    def token_bytes(self, number: int) -> bytes: ...

    def id_of(self, symbol: bytes) -> int: ...


class TokenEntry(TypedDict):
    """One token of a text: `bytes` in hex, `start` and `end` in bytes of the text.

    `piece` is the number of the piece it belongs to, `branch` the branch of the split pattern that cut that piece.
    `whole` is False for a token that holds part of a character; its `text` then shows the bytes.
    """

    id: int
    text: str
    bytes: str
    start: int
    end: int
    piece: int
    branch: str
    whole: bool


class MergeTree(TypedDict):
    """A token and the two it was merged from; `rank` is None for a special token, `bytes` is hex."""

    id: int
    rank: int | None
    text: str
    bytes: str
    parts: list[MergeTree]


class Part(TypedDict):
    """A symbol at one stage of merging; `bytes` is hex."""

    id: int
    text: str
    bytes: str


class Comparison(TypedDict):
    """Two tokenizers on one text of `bytes` bytes.

    `shared_ends` are the byte positions at which both end a token, so that a page can align the two rows.
    """

    bytes: int
    tokens: list[int]
    bytes_per_token: list[float]
    shared_ends: list[int]


def tokens(tokenizer: Explainable, text: str) -> list[TokenEntry]:
    """One entry per token of `text`."""
    pieces = tokenizer.pieces(text)
    borders = np.cumsum([len(piece.text.encode()) for piece in pieces])
    ids, spans = tokenizer.encode_with_spans(text)
    places = np.searchsorted(borders, spans[:, 0], "right").tolist()
    entries: list[TokenEntry] = []
    for number, (start, end), place in zip(ids.tolist(), spans.tolist(), places, strict=True):
        symbol = tokenizer.token_bytes(number)
        shown = show(symbol)
        entries.append(
            {
                "id": number,
                "text": shown,
                "bytes": symbol.hex(),
                "start": start,
                "end": end,
                "piece": place,
                "branch": pieces[place].branch if place < len(pieces) else "",
                "whole": shown.encode() == symbol,
            }
        )
    return entries


def merge_tree(tokenizer: Explainable, number: int) -> MergeTree:
    """How a token was built by merges.

    A single byte, a special token, and a symbol that no merge makes have no parts.

    Raises:
        ValueError: the id is not in the vocabulary.
    """
    symbol = tokenizer.token_bytes(number)
    ranks = tokenizer.ranks
    rank = None if number in tokenizer.special.values() else ranks.get(symbol)
    parts: list[bytes] = []
    if rank is not None and len(symbol) > 1:
        parts = merge_piece(symbol, ranks, below=rank)
    trees = [merge_tree(tokenizer, tokenizer.id_of(part)) for part in parts] if len(parts) == 2 else []
    return {"id": number, "rank": rank, "text": show(symbol), "bytes": symbol.hex(), "parts": trees}


def steps(tokenizer: Explainable, piece: str) -> list[list[Part]]:
    """The merging of one piece, stage by stage, from its bytes to its tokens.

    Raises:
        ValueError: the piece is too long to show.
    """
    data = piece.encode("utf-8", "replace")
    if len(data) > LONGEST_STEPS:
        raise ValueError(f"a piece of {len(data)} bytes is too long; at most {LONGEST_STEPS} can be shown step by step")
    return [
        [{"id": tokenizer.id_of(part), "text": show(part), "bytes": part.hex()} for part in stage]
        for stage in merge_steps(data, tokenizer.ranks)
    ]


def compare(one: Explainable, other: Explainable, text: str) -> Comparison:
    """How two tokenizers encode the same text."""
    spans = [tokenizer.encode_with_spans(text)[1] for tokenizer in (one, other)]
    ends = [set(span[:, 1].tolist()) for span in spans]
    num_bytes = max([0, *ends[0], *ends[1]])
    return {
        "bytes": num_bytes,
        "tokens": [len(span) for span in spans],
        "bytes_per_token": [round(num_bytes / max(1, len(span)), 4) for span in spans],
        "shared_ends": sorted(ends[0] & ends[1]),
    }
