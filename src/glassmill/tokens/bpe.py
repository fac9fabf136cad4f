"""Training a byte-level BPE vocabulary, and statistics of its merges.

In: documents. Out: the bytes of every symbol. The native core does the work; `plain_bpe` is its readable twin and
replaces it where it is not compiled. Documents are never joined: a merge across two of them would be an artefact of
their order. Of equally frequent pairs the one with the lower ids is merged first, so the result depends only on the
text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from glassmill import native
from glassmill.errors import UserError
from glassmill.run.executors import cores
from glassmill.tokens import plain_bpe
from glassmill.tokens.plain_bpe import merge_piece
from glassmill.tokens.split import piece_ends, scheme_of

Merge = tuple[int, int]
TieBreak = Literal["bytes", "hf"]
BYTES = 256


def train(
    documents: Iterable[str],
    num_symbols: int,
    pattern: str,
    *,
    tie_break: TieBreak = "bytes",
    threads: int = 0,
    progress: Callable[[int], object] | None = None,
) -> list[bytes]:
    """The bytes of every symbol, in id order; fewer than `num_symbols` if the text runs out of pairs.

    Args:
        documents: Read once and streamed: only the distinct pieces of the text are kept in memory.
        num_symbols: Including the 256 bytes.
        pattern: How text is split; one of `PATTERNS` is fast, any other regex works.
        tie_break: What orders single bytes: their value, as in rustbpe, or their place in GPT-2's byte alphabet, as in
            Hugging Face's trainer.
        threads: 0 uses all cores. Does not change the result.
        progress: Called with the number of merges so far, every 512 merges.
    """
    if not native.available():
        if tie_break != "bytes":
            raise UserError(f"tie_break={tie_break} needs the native core; {native.WITHOUT}")
        return plain_bpe.train(documents, num_symbols, pattern)
    scheme = scheme_of(pattern)
    if scheme:
        trainer = native.Trainer(scheme.name, scheme.digits, tie_break, threads or cores())
        trainer.add(documents)
    else:
        trainer = native.Trainer("none", 0, tie_break, 1)
        for text in documents:
            trainer.add_pieces(text.encode(), piece_ends(text, pattern))
    merges, _ = trainer.train(num_symbols, progress)
    symbols = [bytes([value]) for value in range(BYTES)]
    for left, right in merges.tolist():
        symbols.append(symbols[left] + symbols[right])
    return symbols


def recover_merges(ranks: Mapping[bytes, int]) -> list[Merge]:
    """The two ids joined to make each symbol beyond the single bytes, in rank order.

    A rank file has only the results; encoding each symbol with the merges before it recovers the parts.
    """
    merges: list[Merge] = []
    for symbol, rank in sorted(ranks.items(), key=lambda entry: entry[1]):
        if len(symbol) == 1:
            continue
        parts = merge_piece(symbol, ranks, below=rank)
        if len(parts) == 2:  # otherwise no merge makes it (GPT-4's vocabulary has no such symbol)
            merges.append((ranks[parts[0]], ranks[parts[1]]))
    return merges


def birth_counts(token_counts: Sequence[int] | np.ndarray, merges: Sequence[Merge]) -> list[int]:
    """How often each pair was joined in training, from how often each token remains in the encoded text.

    Exact without watching the trainer: a symbol once made either remains or went into a later merge. `merges[i]` made
    the id `256 + i`.
    """
    counts = [int(count) for count in token_counts]
    for place in range(len(merges) - 1, -1, -1):
        for part in merges[place]:
            counts[part] += counts[BYTES + place]
    return counts[BYTES : BYTES + len(merges)]


def compression_curve(num_bytes: int, births: Sequence[int], points: int = 48) -> list[tuple[int, float]]:
    """Vocabulary size (BPE symbols) against bytes per token: each merge saves one token per pair it joined."""
    tokens_left = num_bytes - np.cumsum([0, *births])
    places = np.unique(np.geomspace(1, len(births) + 1, points).astype(int) - 1)
    return [
        (BYTES + int(place), round(num_bytes / int(tokens_left[place]), 4)) for place in places if tokens_left[place]
    ]
