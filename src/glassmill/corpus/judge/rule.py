"""A rule that drops pages: its name in the shards, and what it says to people, with the number that decided.

Every module that drops a page holds its rules as constants beside the code that breaks them, and `Rule.broken` is the
only way to a verdict, so no page can be dropped for a reason that nobody can read. `glassmill.corpus.rules` collects
them; terminal and page take titles, sentences, units and directions from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

DIGITS = 6


class Unit(StrEnum):
    """How a rule's numbers are written."""

    COUNT = "count"  # 1,234
    SHARE = "share"  # 0.2 is 20%
    RATIO = "ratio"  # a mean, a score, or so many of one thing per other thing: 0.31
    STATUS = "status"  # a number that names something: 1234


class Direction(StrEnum):
    """How the value of a page that stays compares with the bound; each but the last is the words that say so."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    BELOW = "fewer than"
    IS = "is"  # nothing is compared: what was found is reason enough


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: As the shards, the funnel and SQL have it; `{n}` stands for the length of an n-gram.
        title: Two or three words.
        says: A sentence with `{value}` and `{bound}`. It names the direction, so that neither can change alone.
        unit: Of both numbers.
        direction: Which side of the bound a page must be on.
    """

    name: str
    title: str
    says: str
    unit: Unit = Unit.COUNT
    direction: Direction = Direction.IS

    def __post_init__(self) -> None:
        compared = self.direction is not Direction.IS
        assert not compared or f"{self.direction} {{bound}}" in self.says, self.says
        assert not compared or "{value}" in self.says, self.says

    def broken(self, value: float, bound: float, detail: str = "") -> Verdict:
        """The verdict on a page that had `value` where `bound` is drawn."""
        return Verdict(self, value, bound, detail)

    def of(self, n: int) -> Rule:
        """The rule about n-grams of `n` words."""
        name, title, says = (text.replace("{n}", str(n)) for text in (self.name, self.title, self.says))
        return replace(self, name=name, title=title, says=says)

    def sentence(self, value: float, bound: float) -> str:
        """What `says` says of these numbers.

        Example:
            >>> few = Rule("few", "", "words: {value}; at least {bound} required", Unit.COUNT, Direction.AT_LEAST)
            >>> few.sentence(12, 50)
            'words: 12; at least 50 required'
        """
        text = self.says.replace("{value}", written(value, bound, self.unit))
        return text.replace("{bound}", written(bound, bound, self.unit))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a document was dropped: the rule, the value it had, and the bound it broke."""

    rule: Rule
    value: float
    bound: float
    detail: str = ""


def written(value: float, bound: float, unit: Unit) -> str:
    """`value` for people, with as many decimals as show on which side of `bound` it is.

    Example:
        >>> written(0.3519, 0.3, Unit.SHARE), written(0.3004, 0.3, Unit.SHARE), written(2.5, 3, Unit.RATIO)
        ('35%', '30.04%', '2.5')
    """
    if unit is Unit.STATUS:
        return f"{value:.0f}"
    if unit is Unit.COUNT:
        return f"{value:,.0f}"
    scale, least = (100, 0) if unit is Unit.SHARE else (1, 2)
    digits = DIGITS if value == bound else least
    while digits < DIGITS and _rounded(value * scale, digits) == _rounded(bound * scale, DIGITS):
        digits += 1
    text = f"{_rounded(value * scale, digits):,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text}%" if unit is Unit.SHARE else text


def _rounded(value: float, digits: int) -> float:
    """Halves go up, as in the page's twin."""
    scale = 10.0**digits
    return math.floor(value * scale + 0.5) / scale
