"""Which numbers of a text can belong to a house or a box: by the characters beside them and the words around them.

In: a scanned text. Out: places. Rules out most numbers of a table before an expression is tried, all at once.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from glassmill.corpus.pii import street_words as words
from glassmill.corpus.pii.scan import Scan

MAX_DIGITS = 6
DENSE_CHARACTERS = 30
"""A text with more numbers than one in so many is dense: there the words around the numbers are looked up first."""
MIN_DENSE_CHARACTERS = 2000

_WORDS = re.compile(r"[^\W\d_]{2,}|#")
_CLOSE_BEFORE = 64
_COUNTRY_WORDS = frozenset(
    word.lower() for word in re.findall(r"[^\W\d_]{2,}", words.COUNTRIES) if word.lower() not in ("of", "the", "er")
)


_NOT_BEFORE = frozenset("$€£#/.,-_=@:")
_BLANK = frozenset(" \u00a0")
_BEHIND = frozenset(" \u00a0,-/abcdABCDt")


def house_numbers(scan: Scan) -> tuple[list[tuple[int, int, bool, bool]], bool]:
    """The numbers, and whether they are dense: start, end, whether a blank is before, whether a street may follow."""
    text = scan.text
    runs = scan.runs
    dense = len(runs) * DENSE_CHARACTERS > len(text) > MIN_DENSE_CHARACTERS
    if dense:
        signs = _has_sign(scan, *scan.run_edges)
        runs = [run for run, sign in zip(runs, signs.tolist(), strict=True) if sign]
    found = []
    for start, end in runs:
        before = text[start - 1 : start]
        if end - start > MAX_DIGITS or before in _NOT_BEFORE or before.isalnum():
            continue
        behind_blank, before_name = before in _BLANK, text[end : end + 1] in _BEHIND
        if behind_blank or before_name:
            found.append((start, end, behind_blank, before_name))
    return found, dense


def _has_sign(scan: Scan, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether a word around a number may show that it is a house's, or a postcode or a country that follows."""
    signs, countries = [], []
    for match in _WORDS.finditer(scan.text):
        word = match[0].lower()
        if word == "#" or word in words.SIGNS or word.endswith(words.COMPOUND_ENDS):
            signs.append(match.start())
        elif word in _COUNTRY_WORDS:
            countries.append(match.start())
    near = _any_between(np.array(signs, np.int64), starts - words.SIGN_CHARACTERS, ends + words.SIGN_CHARACTERS)
    sizes = ends - starts
    in_two = np.concatenate([(sizes[:-1] == 3) & (sizes[1:] == 2) & (starts[1:] - ends[:-1] == 1), [False]])  # `110 00`
    codes = starts[(sizes >= 4) | in_two]
    follows = _any_between(codes, ends + 1, ends + words.SIGN_CHARACTERS)
    follows |= _any_between(np.array(countries, np.int64), ends, ends + words.SIGN_CHARACTERS)
    close = np.concatenate([[False], starts[1:] - ends[:-1] < _CLOSE_BEFORE])  # `5850 Jana Nerudy 894`
    sign: npt.NDArray[np.bool_] = near | (follows & close)
    return sign


def _any_between(
    places: npt.NDArray[np.int64], begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """For each pair of bounds, whether one of the sorted `places` is between them."""
    found: npt.NDArray[np.bool_] = np.searchsorted(places, begins) < np.searchsorted(places, ends)
    return found
