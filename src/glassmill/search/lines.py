"""The lines of a passage that a question is about: a few sentences to read, or to quote.

In: a passage, and where the question's words stand in it. Out: a range of whole lines and sentences of at most
`MOST_WORDS` words (one longer sentence stays whole).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

MOST_WORDS = 30
FIRST_COUNTS = 0.5
"""How much a word counts again in the first sentence: what follows a question's words says more than what precedes."""
OPEN, CLOSE = "\x02", "\x03"
HEADING_WORDS = 8
_BREAK = re.compile(r"(?<=[.!?;:])(?<!e\.g\.)(?<!i\.e\.)[ \t]+(?=[\w(\"'`-])|\s*\n\s*")


class Match(NamedTuple):
    """A word of the question in a passage: where it begins, and which it is."""

    start: int
    term: str


class Lines(NamedTuple):
    """A range of characters, and how much of the question it has."""

    start: int
    end: int
    weight: float


def sentences(text: str) -> list[tuple[int, int]]:
    """The ranges of a text's lines and sentences."""
    found, start = [], 0
    for gap in [*_BREAK.finditer(text), None]:
        end = gap.start() if gap else len(text)
        if text[start:end].strip():
            found.append((start, end))
        start = gap.end() if gap else end
    return found


def leads(line: str) -> bool:
    """Whether a line is a heading, or an option in a manual: short, without a full stop."""
    return len(line.split()) <= HEADING_WORDS and line.rstrip()[-1:] not in (".", "!", "?", ";")


def best_lines(text: str, matches: Iterable[Match], rare: Mapping[str, float], named: Collection[str] = ()) -> Lines:
    """The lines with most of the question, the first such ones.

    Args:
        text: A passage.
        matches: Where the question's words stand in it.
        rare: What each of them says.
        named: Those in the document's name, which count everywhere.
    """
    pieces = sentences(text) or [(0, len(text))]
    where = sorted(matches)
    has = [frozenset(match.term for match in where if start <= match.start < end) for start, end in pieces]
    words = [len(text[start:end].split()) for start, end in pieces]
    best = Lines(*pieces[0], -1.0)
    for first in range(len(pieces)):
        last, total, terms = first, words[first], has[first].union(named)
        while last + 1 < len(pieces) and total + words[last + 1] <= MOST_WORDS:
            last, total = last + 1, total + words[last + 1]
            terms |= has[last]
        weight = sum(rare[term] for term in terms) + FIRST_COUNTS * sum(rare[term] for term in has[first])
        if weight > best.weight + 1e-9:
            best = Lines(pieces[first][0], pieces[last][1], weight)
    return best


def matches_of(marked: str, terms: Collection[str]) -> list[Match]:
    """Matches in a text in which FTS5 put `OPEN` and `CLOSE` around each; each is the term that it begins like."""
    found: list[tuple[int, str]] = []
    before, *pieces = marked.split(OPEN)
    at = len(before)
    for piece in pieces:
        found.append((at, piece.partition(CLOSE)[0].casefold()))
        at += len(piece) - piece.count(CLOSE)
    nearest = {word: max(terms, key=lambda term: (_alike(term, word), term)) for _, word in found}
    return [Match(start, nearest[word]) for start, word in found]


def _alike(term: str, word: str) -> int:
    """Characters at the start that both share."""
    return next((at for at in range(min(len(term), len(word)), 0, -1) if term[:at] == word[:at]), 0)
