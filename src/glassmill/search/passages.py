"""A document's passages: pieces of about a hundred words, cut where lines and sentences end.

In: the text of a document. Out: ranges of characters that follow each other; between two of them is only white space.
A short line without a full stop is a heading, or an option in a manual, and stays with what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from glassmill.search.lines import leads

ENOUGH_WORDS = 90
"""From here on a passage ends at the next empty line."""
MOST_WORDS = 160
MOST_LEADING_WORDS = 40
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.!?;]['\")\]]*$")


class Passage(NamedTuple):
    """A range of characters of a document's text."""

    start: int
    end: int


class _Unit(NamedTuple):
    """What is not cut: a line, or a part of a long one."""

    start: int
    end: int
    words: int
    after_gap: bool
    leads: bool


def passages(text: str) -> list[Passage]:
    """The passages of `text`, in order: every word is in exactly one.

    Example:
        >>> text = "Bread.\\n\\n" + "It rises slowly. " * 60
        >>> [len(text[start:end].split()) for start, end in passages(text)]
        [160, 21]
    """
    found: list[list[_Unit]] = []
    current: list[_Unit] = []
    words = 0
    for unit in _units(text):
        full = words + unit.words > MOST_WORDS or (words >= ENOUGH_WORDS and unit.after_gap)
        if current and full:
            leading = _leading(current)
            kept, current = current[: len(current) - leading], current[len(current) - leading :]
            if kept:
                found.append(kept)
                words = sum(one.words for one in current)
        current.append(unit)
        words += unit.words
    if current:
        found.append(current)
    return [Passage(units[0].start, units[-1].end) for units in found]


def _leading(units: list[_Unit]) -> int:
    """How many units at the end lead to what follows."""
    number = 0
    while number < len(units) and units[-1 - number].leads:
        number += 1
    return number if sum(unit.words for unit in units[len(units) - number :]) <= MOST_LEADING_WORDS else 0


def _units(text: str) -> Iterator[_Unit]:
    end_before = 0
    for line in _LINE.finditer(text):
        start, end = line.start(), line.end()
        gap = text.count("\n", end_before, start) > 1
        end_before = end
        words = [(start + word.start(), start + word.end()) for word in _WORD.finditer(line[0])]
        leading = leads(line[0])
        while len(words) > MOST_WORDS:
            cut = _cut(text, words)
            yield _Unit(words[0][0], words[cut - 1][1], cut, gap, False)
            words, gap = words[cut:], False
        yield _Unit(words[0][0], words[-1][1], len(words), gap, leading)


def _cut(text: str, words: list[tuple[int, int]]) -> int:
    """How many words of a long line are its first part: up to the last end of a sentence, if that is not too early."""
    for number in range(MOST_WORDS, ENOUGH_WORDS // 2, -1):
        if _SENTENCE_END.search(text[words[number - 1][0] : words[number - 1][1]]):
            return number
    return MOST_WORDS
