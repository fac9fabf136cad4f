"""The keys by which duplicates are found: one hash of the whole text, and MinHash keys that near duplicates share.

Source: Broder 1997; FineWeb's parameters (arXiv 2406.17557, 3.4): 112 hashes in 14 bands of 8. Two documents with
shingle overlap s are found with probability 1 - (1 - s^8)^14: 0.56 at s = 0.70, 0.92 at 0.80.

In: texts. Out: per document a row of 64-bit keys, first that of the whole text, then one a band; equal keys in one
column make two documents neighbours. `clusters.py` makes clusters of neighbours, `duplicates.py` does so on disk.

`MinHasher.keys` takes the native core where it is built; `plain_keys` is its plain twin.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from glassmill.recipe import DedupSettings

try:
    from glassmill.native import _core
except ImportError:  # not built here: the twin does the work
    _core = None  # type: ignore[assignment]

Keys = npt.NDArray[np.uint64]

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_ACCENT = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)  # combining diacritics
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_ROWS_AT_ONCE = 2048
VERSION = 1


class Family(TypedDict):
    """What two corpora must have in common for their keys to be comparable."""

    version: int
    seed: int
    near: bool
    num_bands: int
    rows_per_band: int
    ngram: int


def family(settings: DedupSettings, seed: int) -> Family:
    """The family of a corpus's keys."""
    return {
        "version": VERSION,
        "seed": seed,
        "near": settings.near,
        "num_bands": settings.num_bands,
        "rows_per_band": settings.rows_per_band,
        "ngram": settings.ngram,
    }


class MinHasher:
    """The hash family of one seed: signatures are comparable only within it."""

    def __init__(self, settings: DedupSettings, seed: int) -> None:
        self.settings = settings
        generator = np.random.default_rng([seed, 0x6D696E68])
        size = settings.num_bands * settings.rows_per_band
        self._multipliers = generator.integers(0, 2**63, size, np.uint64) * np.uint64(2) + np.uint64(1)
        self._summands = generator.integers(0, 2**63, size, np.uint64)
        self._native: Any = None
        if _core:
            self._native = _core.MinHasher(
                self._multipliers, self._summands, settings.num_bands, settings.ngram, _characters
            )

    def keys(self, text: str) -> Keys:
        """The document's row: the key of the whole text, then those of the bands, if near duplicates are wanted.

        The keys ignore case, digits, accents and punctuation.
        """
        if self._native is None:
            return self.plain_keys(text)
        row: Keys | None = self._native.keys(text, self.settings.near)
        if row is None:
            row = self._native.keys_of_words(" ".join(normalise(text)).encode(), self.settings.near)
        return row

    def plain_keys(self, text: str) -> Keys:
        """The twin of `keys`."""
        words = normalise(text)
        exact = np.array([_exact_key(words)], np.uint64)
        if not self.settings.near:
            return exact
        return np.concatenate([exact, self._fold(self.signature(shingles(words, self.settings.ngram)))])

    def signature(self, hashes: Keys) -> npt.NDArray[np.uint32]:
        """The least value of every hash function over the shingles, shape `(num_bands * rows_per_band,)`."""
        least = np.full(len(self._multipliers), np.iinfo(np.uint64).max, np.uint64)
        for start in range(0, len(hashes), _ROWS_AT_ONCE):
            some = hashes[start : start + _ROWS_AT_ONCE]
            values = self._multipliers[:, None] * some[None, :]
            values += self._summands[:, None]
            np.minimum(least, values.min(axis=1), out=least)
        return (least >> np.uint64(32)).astype(np.uint32)

    def _fold(self, signature: npt.NDArray[np.uint32]) -> Keys:
        rows = signature.reshape(self.settings.num_bands, self.settings.rows_per_band).astype(np.uint64)
        keys = np.zeros(self.settings.num_bands, np.uint64)
        for row in rows.T:
            keys = _mix(keys * _PRIME + row + np.uint64(1))
        return keys


def normalise(text: str) -> list[str]:
    """The words that are compared: lower case, no accents or punctuation, every number a 0."""
    text = text.lower()
    if not text.isascii():
        text = _ACCENT.sub("", unicodedata.normalize("NFD", text))
    return _WORD.findall(_NUMBER.sub("0", text))


@cache
def _characters(page: int) -> list[str | None]:
    """What `normalise` makes of each of the 256 characters from `256 * page` on: see `_stands_for`."""
    return [_stands_for(chr(point)) for point in range(256 * page, 256 * page + 256)]


def _stands_for(character: str) -> str | None:
    """Its letters, a 0 for a digit, a blank for what cannot be part of a word; None where its neighbours decide.

    Only the capital sigma has two small forms. Decomposed marks may change places, but those that are left are no part
    of words, so they all stand for a blank.

    Example:
        >>> [_stands_for(character) for character in "É7²!ﬁ"]
        ['e', '0', '²', ' ', 'ﬁ']
    """
    if character == "Σ":
        return None
    parts = _ACCENT.sub("", unicodedata.normalize("NFD", character.lower()))
    return "".join("0" if part.isdecimal() else part if _WORD.match(part) else " " for part in parts)


def shingles(words: Sequence[str], n: int) -> Keys:
    """A 64-bit hash of every run of `n` words; of all words, where there are fewer than `n`."""
    hashes = np.fromiter(map(_word_hash, words), np.uint64, len(words))
    width = max(min(n, len(hashes)), 1)
    if len(hashes) == 0:
        return np.zeros(1, np.uint64)
    count = len(hashes) - width + 1
    total = np.zeros(count, np.uint64)
    for place in range(width):
        total = total * _PRIME + hashes[place : place + count]
    return np.unique(_mix(total))


def _exact_key(words: Sequence[str]) -> int:
    digest = hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8, person=b"exact")
    return int.from_bytes(digest.digest(), "little")


@lru_cache(maxsize=1 << 16)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _mix(values: Keys) -> Keys:
    """Spreads the bits (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
