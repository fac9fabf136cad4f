"""What the detectors share about one text: where its digits are.

Most kinds of personal data contain digits and most of a page does not. So the digits are found once (vectorised, about
10 microseconds for a page of 7 kB), and the expressions run only around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

Places = Iterator[tuple[int, int]]

CONTEXT_CHARACTERS = 48
MIN_STRETCH_DIGITS = 7
MAX_STRETCH_GAP = 4  # characters other than digits within one phone, card or account number: `) - `

MIN_LONG_WORD = 20
_WORDS_BACKWARDS = re.compile(r"[^\d\n]*+(?:\d{1,3}+(?=-?[A-Za-z])[^\d\n]*+){0,3}+")
_NO_DIGITS = re.compile(r"\D*")
_WORD_MARKS = bytes(
    ord("a") if code < 128 and (chr(code).isalnum() or chr(code) in "_-./") else ord(" ") for code in range(256)
)
_NAME_ENDS = frozenset("dsetynDSETYN\"'])\t ")


def word_set(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


class Scan:
    """One text and the places of its ASCII digits. Attributes are computed when first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _codes(self) -> npt.NDArray[np.uint32]:
        return np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<u4")

    def places_of(self, word: str) -> Iterator[int]:
        """Where `word` begins, in order."""
        place = self.text.find(word)
        while place >= 0:
            yield place
            place = self.text.find(word, place + 1)

    @cached_property
    def at_signs(self) -> list[tuple[int, int]]:
        """Starts and ends of the signs `@`, its full-width form, and `%40` in URLs."""
        places = [(place, place + len(sign)) for sign in ("@", "＠", "%40") for place in self.places_of(sign)]
        return sorted(places)

    @cached_property
    def long_words(self) -> list[tuple[int, int]]:
        """Runs of `MIN_LONG_WORD` or more letters and digits of ASCII and `_-./`: keys, URLs, paths; (start, end)."""
        marks = self.text.encode("latin-1", "replace").translate(_WORD_MARKS)
        found = []
        start = marks.find(b"a" * MIN_LONG_WORD)
        while start >= 0:
            end = marks.find(b" ", start)
            end = len(marks) if end < 0 else end
            found.append((start, end))
            start = marks.find(b"a" * MIN_LONG_WORD, end)
        return found

    @cached_property
    def assignments(self) -> list[int]:
        """The positions of `=` and `:` behind a letter that can end the name of a secret, a quote, bracket or blank."""
        text = self.text
        places = [*self.places_of(":"), *self.places_of("=")]
        return sorted(place for place in places if text[place - 1 : place] in _NAME_ENDS)

    @cached_property
    def brackets(self) -> list[int]:
        """The positions of `(`, `[` and `{`."""
        codes = self._codes
        places: list[int] = np.flatnonzero((codes == ord("(")) | (codes == ord("[")) | (codes == ord("{"))).tolist()
        return places

    @cached_property
    def run_edges(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Starts and ends of the runs of digits."""
        digits = np.flatnonzero(self._codes - np.uint32(ord("0")) < 10)
        if len(digits) == 0:
            return digits, digits
        cuts = np.flatnonzero(digits[1:] - digits[:-1] > 1)
        return digits[np.concatenate([[0], cuts + 1])], digits[np.concatenate([cuts, [-1]])] + 1

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Every run of digits, (start, end)."""
        starts, ends = self.run_edges
        return list(zip(starts.tolist(), ends.tolist(), strict=True))

    @cached_property
    def stretches(self) -> list[tuple[int, int, int]]:
        """Stretches of seven digits or more, with gaps as in a written number: start, end, digits."""
        found = []
        begin = end = -1 - MAX_STRETCH_GAP
        digits = 0
        for start, stop in [*self.runs, (len(self.text) + MAX_STRETCH_GAP + 1, 0)]:
            if start - end > MAX_STRETCH_GAP:
                if digits >= MIN_STRETCH_DIGITS:
                    found.append((begin, end, digits))
                begin, digits = start, 0
            digits += stop - start
            end = stop
        return found

    @cached_property
    def has_units(self) -> bool:
        """Whether an apartment or a suite is named somewhere."""
        return any(word in self.text for word in ("Apt", "apt", "APT", "part", "uite", "UITE", "Ste", "STE"))

    @cached_property
    def is_lower(self) -> bool:
        """Whether the text has letters and no capital: a chat, where names are written small too."""
        return self.text.islower()

    def before(self, place: int) -> str:
        """The text in which a word may say what stands at `place`."""
        return self.text[max(0, place - CONTEXT_CHARACTERS) : place]

    def words_before(self, place: int, over_lines: bool = False) -> str:
        """The part of `before` behind its last number (one within a word, as in `ISBN-13`, is none) and line end.

        Expressions that search it cost little: no two places share a part of it.
        """
        match = (_NO_DIGITS if over_lines else _WORDS_BACKWARDS).match(self.before(place)[::-1])
        return match[0][::-1] if match else ""
