"""Looking into a tokenizer: how a text is cut, how each token came to be, and what another tokenizer makes of it.

A tokenizer and a text in, plain values for a page or a notebook out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from glassmill.tokens.formats import show
from glassmill.tokens.plain_bpe import merge_piece, merge_steps

if TYPE_CHECKING:
    from glassmill.tokens.tokenizer import Tokenizer

Ranks = Mapping[bytes, int]
LONGEST_STEPS = 200


def tokens(tokenizer: Tokenizer, text: str) -> list[dict[str, Any]]:
    """One entry a token of `text`.

    Its `id`, `text`, `bytes` (hex), `start` and `end` in bytes, the number of its `piece` and the `branch` of the
    pattern that cut that. A token that holds part of a character has `whole` False, and its text shows the bytes.
    """
    pieces = tokenizer.pieces(text)
    borders = np.cumsum([len(piece.text.encode()) for piece in pieces])
    ids, spans = tokenizer.encode_with_spans(text)
    places = np.searchsorted(borders, spans[:, 0], "right").tolist()
    entries: list[dict[str, Any]] = []
    for number, (start, end), place in zip(ids.tolist(), spans.tolist(), places, strict=True):
        symbol = tokenizer.token_bytes(number)
        shown = show(symbol)
        entry = {"id": number, "text": shown, "bytes": symbol.hex(), "start": start, "end": end, "piece": place}
        branch = pieces[place].branch if place < len(pieces) else ""
        entries.append({**entry, "branch": branch, "whole": shown.encode() == symbol})
    return entries


def merge_tree(tokenizer: Tokenizer, number: int) -> dict[str, Any]:
    """How a token was put together: `id`, `rank`, `text`, `bytes`, and its two `parts`, each of them such a tree.

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


def steps(tokenizer: Tokenizer, piece: str) -> list[list[dict[str, Any]]]:
    """The merging of one piece, stage by stage from its bytes to its tokens; each part with `text`, `bytes` and `id`.

    Raises:
        ValueError: the piece is too long to be shown.
    """
    data = piece.encode("utf-8", "replace")
    if len(data) > LONGEST_STEPS:
        raise ValueError(f"a piece of {len(data)} bytes; {LONGEST_STEPS} is the most that is shown step by step")
    return [
        [{"id": tokenizer.id_of(part), "text": show(part), "bytes": part.hex()} for part in stage]
        for stage in merge_steps(data, tokenizer.ranks)
    ]


def compare(one: Tokenizer, other: Tokenizer, text: str) -> dict[str, Any]:
    """What two tokenizers make of a text.

    Returns:
        `tokens`: both numbers of tokens; `bytes`; `bytes_per_token` of both; `shared_ends`: the byte positions at
        which both end a token, so that a page can lay the two rows side by side.
    """
    spans = [tokenizer.encode_with_spans(text)[1] for tokenizer in (one, other)]
    ends = [set(span[:, 1].tolist()) for span in spans]
    num_bytes = max([0, *ends[0], *ends[1]])
    return {
        "bytes": num_bytes,
        "tokens": [len(span) for span in spans],
        "bytes_per_token": [round(num_bytes / max(1, len(span)), 4) for span in spans],
        "shared_ends": sorted(ends[0] & ends[1]),
    }
