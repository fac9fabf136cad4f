"""What the detectors share about one text: where its digits are.

Most kinds of personal data contain digits and most of a page does not. So the digits are found once (vectorised, about
10 microseconds for a page of 7 kB), and the expressions run only around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

Places = Iterator[tuple[int, int]]

CONTEXT_CHARACTERS = 48
MIN_STRETCH_DIGITS = 7
MAX_STRETCH_GAP = 4  # characters other than digits within one phone, card or account number: `) - `


class Scan:
    """One text and the places of its ASCII digits. Attributes are computed when first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _codes(self) -> npt.NDArray[np.uint32]:
        return np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<u4")

    @cached_property
    def brackets(self) -> list[int]:
        """The positions of `(` and `[`."""
        places: list[int] = np.flatnonzero((self._codes == ord("(")) | (self._codes == ord("["))).tolist()
        return places

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Every run of digits, (start, end)."""
        digits = np.flatnonzero(self._codes - np.uint32(ord("0")) < 10)
        if len(digits) == 0:
            return []
        cuts = np.flatnonzero(digits[1:] - digits[:-1] > 1)
        starts = [int(digits[0]), *digits[cuts + 1].tolist()]
        lasts = [*digits[cuts].tolist(), int(digits[-1])]
        return [(start, last + 1) for start, last in zip(starts, lasts, strict=True)]

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
