"""Seeded randomness of the MiniWeb: the same seed gives the same draws on every machine with the same Python.

`random.Random` hashes a string seed with SHA-512, so neither PYTHONHASHSEED nor the platform matters.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


def stream(seed: int, *names: str | int) -> random.Random:
    """An independent generator for one purpose: `stream(7, "shop", 3)`."""
    return random.Random("/".join(["miniweb", str(seed), *map(str, names)]))


class Deck(Generic[T]):
    """Cards drawn in shuffled rounds: each card comes once per round, so all come equally often."""

    def __init__(self, cards: Iterable[T], rng: random.Random) -> None:
        self._cards = list(cards)
        self._rng = rng
        self._round: list[T] = []

    def draw(self) -> T:
        """The next card; a new shuffled round starts when the current one is used up."""
        if not self._round:
            self._round = self._cards.copy()
            self._rng.shuffle(self._round)
        return self._round.pop()

    def hand(self, count: int) -> list[T]:
        """`count` distinct cards; all of them if there are fewer."""
        hand: list[T] = []
        held_back: list[T] = []
        while len(hand) < min(count, len(self._cards)):
            card = self.draw()
            (held_back if card in hand else hand).append(card)
        self._round.extend(held_back)
        return hand


def article(noun: str) -> str:
    """The noun with its indefinite article: `a baker`, `an optician`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def capital(text: str) -> str:
    """The text with its first letter capitalised."""
    return text[:1].upper() + text[1:]


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
