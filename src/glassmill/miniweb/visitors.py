"""How visitors type what they ask: lower case, no question mark, no apostrophe, one wrong letter, bare sums.

In: a question as it should be written. Out: the question as somebody types it. A slip of the finger spares the name: it
would be somebody else's. What a model learns from (pages and conversations) and the evaluation have slips and forms of
their own.
"""

from __future__ import annotations

import random
import re
from typing import Literal, NamedTuple

For = Literal["learning", "evaluation"]
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
ALPHABET = "".join(sorted("".join(KEYBOARD)))


class Style(NamedTuple):
    """What somebody leaves out or gets wrong."""

    lower: bool = False
    bare: bool = False
    """Without the mark at the end and without apostrophes."""
    slip: bool = False


STYLES: dict[For, tuple[Style, ...]] = {
    "learning": (
        Style(lower=True, bare=True),
        Style(lower=True, bare=True),
        Style(lower=True),
        Style(bare=True),
        Style(slip=True),
        Style(lower=True, slip=True),
        Style(lower=True, bare=True, slip=True),
    ),
    "evaluation": (
        Style(lower=True, bare=True),
        Style(lower=True),
        Style(lower=True, bare=True, slip=True),
        Style(bare=True, slip=True),
    ),
}
SUMS: dict[For, tuple[str, ...]] = {
    "learning": (
        "{a}{s}{b}",
        "{a} {s} {b}",
        "{a}{s}{b}=",
        "{a}{s}{b} =",
        "{a} {s} {b}=?",
        "what is {a} {s} {b}",
        "what is {a}{s}{b}?",
        "whats {a} {s} {b}?",
        "how much is {a}{s}{b}",
        "calculate {a}{s}{b}",
    ),
    "evaluation": (
        "{a} {s} {b} =",
        "{a}{s}{b} = ?",
        "{a} {s}{b}",
        "{a}{s} {b}",
        "what is {a}{s}{b}",
        "whats {a}{s}{b}",
        "What is {a}{s}{b} ?",
    ),
}


def typed(question: str, name: str, rng: random.Random, purpose: For) -> str:
    """The question as somebody types it; `name` is whom it asks about, and may be empty."""
    style = rng.choice(STYLES[purpose])
    if style.slip:
        question = _slipped(question, name, rng, purpose)
    if style.lower:
        question = question.lower()
    if style.bare:
        question = question.rstrip("?.!").replace("'s ", "s " if rng.random() < 0.5 else "'s ")
    return question


def typed_sum(left: int, sign: str, right: int, rng: random.Random, purpose: For) -> str:
    """A sum as somebody types it."""
    return rng.choice(SUMS[purpose]).format(a=left, s=sign, b=right)


def _slipped(question: str, name: str, rng: random.Random, purpose: For) -> str:
    """With one wrong letter in a word of four letters or more that is no part of the name.

    Where a model learns, a letter is lost, two are swapped, or any other is hit; in the evaluation one is doubled, or
    its neighbour on the keyboard hit.
    """
    start = question.find(name) if name else -1
    inside = range(start, start + len(name)) if start >= 0 else range(0)
    words = [found for found in re.finditer(r"[A-Za-z]{4,}", question) if found.start() not in inside]
    if not words:
        return question
    word = rng.choice(words)
    place = rng.randrange(word.start() + 1, word.end() - 1)
    letter, after = question[place], question[place + 1]
    if purpose == "learning":
        wrong, width = rng.choice((("", 1), (after + letter, 2), (rng.choice(ALPHABET), 1)))
    else:
        wrong, width = (letter * 2 if rng.random() < 0.5 else _neighbour(letter, rng)), 1
    return question[:place] + wrong + question[place + width :]


def _neighbour(letter: str, rng: random.Random) -> str:
    row = next(row for row in KEYBOARD if letter.lower() in row)
    place = row.index(letter.lower())
    return rng.choice([row[near] for near in (place - 1, place + 1) if 0 <= near < len(row)])
