"""What the model writes while it learns: the likeliest continuation of a few fixed prompts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from glassmill.infer.decoder import Decoder, Piece, new_row


def continue_greedily(decoder: Decoder, prompt: Sequence[int], num_tokens: int, stops: Collection[int]) -> list[int]:
    """At most `num_tokens` ids after `prompt`, up to the first of `stops` or the end of the context."""
    written: list[int] = []
    with new_row(decoder) as row:
        unread = list(prompt)
        for _ in range(min(num_tokens, decoder.info.context_length - len(prompt))):
            token = decoder.forward([Piece(row, unread, greedy=True)])[0].ids[-1]
            if token in stops:
                break
            written.append(token)
            unread = [token]
    return written
