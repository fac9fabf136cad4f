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
_NAME_ENDS = np.array([chr(code) in "dsetynDSETYN\"'])\t " for code in range(128)] + [False])


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
    def at_signs(self) -> list[int]:
        """The positions of `@`."""
        if "@" not in self.text:
            return []
        places: list[int] = np.flatnonzero(self._codes == ord("@")).tolist()
        return places

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
        codes = self._codes
        signs = (codes[1:] == ord("=")) | (codes[1:] == ord(":"))
        places = np.flatnonzero(signs) + 1
        named: list[int] = places[_NAME_ENDS[np.minimum(codes[places - 1], 128)]].tolist()
        return named

    @cached_property
    def brackets(self) -> list[int]:
        """The positions of `(` and `[`."""
        places: list[int] = np.flatnonzero((self._codes == ord("(")) | (self._codes == ord("["))).tolist()
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
        starts, ends = self.run_edges
        if len(starts) == 0:
            return []
        cuts = np.flatnonzero(starts[1:] - ends[:-1] > MAX_STRETCH_GAP)
        first, last = np.concatenate([[0], cuts + 1]), np.concatenate([cuts, [len(starts) - 1]])
        sums = np.concatenate([[0], np.cumsum(ends - starts)])
        digits = sums[last + 1] - sums[first]
        wide = digits >= MIN_STRETCH_DIGITS
        begins, stops = starts[first][wide].tolist(), ends[last][wide].tolist()
        return list(zip(begins, stops, digits[wide].tolist(), strict=True))

    def around(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The characters at `places` as codes up to 255, 0 outside the text and for all other characters."""
        codes = self._codes
        inside = (places >= 0) & (places < len(codes))
        found = np.where(inside, codes[np.where(inside, places, 0)], 0) if len(codes) else np.zeros(len(places), int)
        return np.where(found < 256, found, 0).astype(np.uint8)

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
