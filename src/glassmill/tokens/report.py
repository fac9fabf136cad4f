"""How good a vocabulary is: measured on text, by language or domain, and beside another one.

A tokenizer and documents in, one dictionary of numbers out. Bytes per token compare tokenizers; fertility (tokens a
word) and parity tell what a language pays; a symbol that never occurs may be a glitch token (Land & Bartolo 2024, arXiv
2405.05417). The judge in the end is bits per byte after training.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np

from glassmill.tokens.bpe import BYTES, birth_counts, compression_curve
from glassmill.tokens.codecs import repair
from glassmill.tokens.formats import show
from glassmill.tokens.tokenizer import Tokenizer

BATCH = 256
LISTED = 30


class _Group:
    """What is added up for one language or domain."""

    def __init__(self, vocab_size: int) -> None:
        self.counts = np.zeros(vocab_size, dtype=np.int64)
        self.documents = self.bytes = self.characters = self.words = self.other_tokens = 0

    def add(self, text: str, ids: np.ndarray, other: np.ndarray | None) -> None:
        self.counts += np.bincount(ids, minlength=len(self.counts))
        self.documents += 1
        self.bytes += len(repair(text).encode())
        self.characters += len(text)
        self.words += len(text.split())
        self.other_tokens += 0 if other is None else len(other)

    def add_all(self, group: _Group) -> None:
        self.counts += group.counts
        for name in ("documents", "bytes", "characters", "words", "other_tokens"):
            setattr(self, name, getattr(self, name) + getattr(group, name))


def measure(tokenizer: Tokenizer, texts: Iterable[tuple[str, str]], against: Tokenizer | None = None) -> dict[str, Any]:
    """The report.

    Args:
        tokenizer: The one to judge.
        texts: (group, document) pairs; a group is a language or a domain.
        against: Another tokenizer for the same text, such as `cl100k_base`.

    Returns:
        `groups` and `total`: name, documents, bytes, tokens, bytes_per_token, characters_per_token, fertility,
        single_byte_share, used symbols, and with `against` its bytes_per_token and the ratio of the two. `vocabulary`:
        symbols, used, never_seen with the longest of them, longest. `curve`: vocabulary size against bytes per token.
        `births`: of every merge its rank, token and how often it was joined in this text (only where every symbol
        beyond the bytes is a merge of two others).
    """
    groups: dict[str, _Group] = {}
    stream = iter(texts)
    while batch := list(islice(stream, BATCH)):
        bodies = [text for _, text in batch]
        ids = tokenizer.encode_batch(bodies)
        others: list[Any] = against.encode_batch(bodies) if against else [None] * len(batch)
        for (name, text), one, other in zip(batch, ids, others, strict=True):
            groups.setdefault(name, _Group(tokenizer.vocab_size)).add(text, one, other)
    total = _Group(tokenizer.vocab_size)
    for group in groups.values():
        total.add_all(group)
    symbols = {number: tokenizer.token_bytes(number) for number in tokenizer.symbol_ids()}
    result: dict[str, Any] = {
        "groups": [_line(name, groups[name], symbols, against) for name in sorted(groups)],
        "total": _line("all", total, symbols, against),
        "vocabulary": _vocabulary(symbols, total.counts),
    }
    merges = tokenizer.merges
    if merges and total.bytes and len(merges) + BYTES == len(symbols):
        births = birth_counts(total.counts, merges)
        result["curve"] = compression_curve(total.bytes, births)
        result["births"] = [
            {"rank": BYTES + place, "token": show(symbols[BYTES + place]), "count": count}
            for place, count in enumerate(births)
        ]
    return result


def _line(name: str, group: _Group, symbols: dict[int, bytes], against: Tokenizer | None) -> dict[str, Any]:
    tokens = int(group.counts.sum())
    single = sum(int(group.counts[number]) for number, symbol in symbols.items() if len(symbol) == 1)
    line: dict[str, Any] = {
        "name": name,
        "documents": group.documents,
        "bytes": group.bytes,
        "tokens": tokens,
        "bytes_per_token": round(group.bytes / max(1, tokens), 4),
        "characters_per_token": round(group.characters / max(1, tokens), 4),
        "fertility": round(tokens / max(1, group.words), 4),
        "single_byte_share": round(single / max(1, tokens), 4),
        "used": int((group.counts > 0).sum()),
    }
    if against:
        other = group.bytes / max(1, group.other_tokens)
        line["against_bytes_per_token"] = round(other, 4)
        line["ratio"] = round(line["bytes_per_token"] / other, 4) if other else None
    return line


def _vocabulary(symbols: dict[int, bytes], counts: np.ndarray) -> dict[str, Any]:
    never = [number for number in symbols if not counts[number] and len(symbols[number]) > 1]

    def longest(numbers: Iterable[int]) -> list[dict[str, Any]]:
        ordered = sorted(numbers, key=lambda number: (-len(symbols[number]), number))[:LISTED]
        return [{"id": number, "text": show(symbols[number]), "count": int(counts[number])} for number in ordered]

    return {
        "symbols": len(symbols),
        "used": sum(bool(counts[number]) for number in symbols),
        "never_seen": len(never),
        "never_seen_longest": longest(never),
        "longest": longest(symbols),
    }
