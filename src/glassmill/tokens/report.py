"""How good a vocabulary is, measured on text by language or domain, and compared with another one.

In: a tokenizer and documents. Out: one dictionary of numbers. Bytes per token compares tokenizers; fertility (tokens
per word) shows how well a language is served; a symbol that never occurs may be a glitch token (Land & Bartolo 2024,
arXiv 2405.05417). The final measure is bits per byte after training.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NotRequired, TypedDict

import numpy as np

from glassmill.tokens.bpe import BYTES, birth_counts, compression_curve
from glassmill.tokens.codecs import repair
from glassmill.tokens.formats import show
from glassmill.tokens.tokenizer import Tokenizer

BATCH = 256
LISTED = 30


class GroupLine(TypedDict):
    """One language or domain, or all text. `fertility` is tokens per word, `used` the number of symbols that occur.

    Only with a second tokenizer: its bytes per token, and how many times more bytes a token of the first one holds.
    """

    name: str
    documents: int
    bytes: int
    tokens: int
    bytes_per_token: float
    characters_per_token: float
    fertility: float
    single_byte_share: float
    used: int
    against_bytes_per_token: NotRequired[float]
    ratio: NotRequired[float | None]


class SymbolCount(TypedDict):
    """A symbol and how often it occurs in the encoded text."""

    id: int
    text: str
    count: int


class VocabularyLine(TypedDict):
    """The whole vocabulary: how many symbols there are, occur, and never occur, with the longest ones."""

    symbols: int
    used: int
    never_seen: int
    never_seen_longest: list[SymbolCount]
    longest: list[SymbolCount]


class Birth(TypedDict):
    """A merge, and how often its pair was joined in this text."""

    rank: int
    token: str
    count: int


class Report(TypedDict):
    """The report. `curve` is vocabulary size against bytes per token; it and `births` exist only where every symbol
    beyond the bytes is a merge of two others."""

    groups: list[GroupLine]
    total: GroupLine
    vocabulary: VocabularyLine
    curve: NotRequired[list[tuple[int, float]]]
    births: NotRequired[list[Birth]]


class _Group:
    """The sums for one language or domain."""

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


def measure(tokenizer: Tokenizer, texts: Iterable[tuple[str, str]], against: Tokenizer | None = None) -> Report:
    """Measures a tokenizer.

    Args:
        tokenizer: The one to measure.
        texts: (group, document) pairs; a group is a language or a domain.
        against: Another tokenizer for the same text, such as `cl100k_base`.
    """
    groups: dict[str, _Group] = {}
    stream = iter(texts)
    while batch := list(islice(stream, BATCH)):
        bodies = [text for _, text in batch]
        ids = tokenizer.encode_batch(bodies)
        others = against.encode_batch(bodies) if against else [None] * len(batch)
        for (name, text), one, other in zip(batch, ids, others, strict=True):
            groups.setdefault(name, _Group(tokenizer.vocab_size)).add(text, one, other)
    total = _Group(tokenizer.vocab_size)
    for group in groups.values():
        total.add_all(group)
    symbols = {number: tokenizer.token_bytes(number) for number in tokenizer.symbol_ids()}
    result: Report = {
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


def _line(name: str, group: _Group, symbols: dict[int, bytes], against: Tokenizer | None) -> GroupLine:
    tokens = int(group.counts.sum())
    single = sum(int(group.counts[number]) for number, symbol in symbols.items() if len(symbol) == 1)
    line: GroupLine = {
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


def _vocabulary(symbols: dict[int, bytes], counts: np.ndarray) -> VocabularyLine:
    never = [number for number in symbols if not counts[number] and len(symbols[number]) > 1]

    def longest(numbers: Iterable[int]) -> list[SymbolCount]:
        ordered = sorted(numbers, key=lambda number: (-len(symbols[number]), number))[:LISTED]
        return [{"id": number, "text": show(symbols[number]), "count": int(counts[number])} for number in ordered]

    return {
        "symbols": len(symbols),
        "used": sum(bool(counts[number]) for number in symbols),
        "never_seen": len(never),
        "never_seen_longest": longest(never),
        "longest": longest(symbols),
    }
