"""Hashes of the n-grams of words in many texts at once, in numpy: about ten nanoseconds a byte.

A word is a run of letters and digits in lower case; ASCII's punctuation, Latin-1's and U+2000 to U+203F (dashes, curly
quotes) part words. Letters of ASCII and Latin-1 are lowered, others stay. A text without blanks between its words, such
as Chinese, is one long word: it has no n-grams.

An n-gram's hash is a polynomial in its words' hashes modulo 2^64. It comes from running sums, so n-grams of any length
cost one subtraction each; the result is mixed, and two different ones are equal with a chance of about 2^-64. Of a word
of more than 32 bytes the first 24, the last 8 and the length count.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_BASE = 0xD1342543DE82EF95  # odd, so that it has an inverse
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_PART = np.uint64(0x9E3779B97F4A7C15)
_LOADS = 3
"""Parts of 8 bytes that begin a word."""
_TABLE = bytes(ord(chr(b).lower()) if b < 0x80 and chr(b).isalnum() else b * (b >= 0x80) for b in range(256))
_SIGNS = np.array([0x80 <= byte < 0xC0 and byte not in (0xAA, 0xB5, 0xBA) for byte in range(256)])
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


class Words(NamedTuple):
    """The words of texts, one text after the other.

    Attributes:
        text: Of each word the number of its text, ascending.
        sums: The running sum of the words' hashes, one more than there are words.
    """

    text: Places
    sums: Hashes

    def grams(self, n: int) -> Hashes:
        """The hash of every n-gram, by its first word; also of those that begin in one text and end in another."""
        count = max(0, len(self.text) - n + 1)
        return _mixed((self.sums[n : n + count] - self.sums[:count]) * _powers(_inverse(_BASE), count)[:count])

    def grams_at(self, firsts: Places, n: int) -> Hashes:
        """The same for the n-grams with these first words only."""
        return _mixed((self.sums[firsts + n] - self.sums[firsts]) * _powers(_inverse(_BASE), len(self.text))[firsts])

    def whole(self, firsts: Places, n: int) -> npt.NDArray[np.bool_]:
        """Which n-grams, given by their first words, lie in one text."""
        return np.asarray(self.text[firsts] == self.text[firsts + n - 1])


def words_of(texts: Sequence[str]) -> Words:
    """The words of these texts."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    return words(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)]))


def words(data: Bytes, offsets: Places) -> Words:
    """The words of texts that lie one behind the other in UTF-8; text `i` from `offsets[i]` to `offsets[i + 1]`."""
    whole = data.tobytes()
    parted = b" ".join([whole[begin:end] for begin, end in pairwise(offsets.tolist())])  # so no two words meet
    raw = np.frombuffer(b" " + parted + bytes(8 * (_LOADS + 1)), np.uint8)
    codes = np.frombuffer(bytearray(raw.tobytes().translate(_TABLE)), np.uint8)
    _read_non_ascii(raw, codes)
    in_word = codes[: len(parted) + 2] != 0
    edges = np.flatnonzero(in_word[1:] != in_word[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    hashes = _word_hashes(codes, starts, ends - starts)
    running = np.zeros(len(starts) + 1, np.uint64)
    np.cumsum(hashes * _powers(_BASE, len(starts))[: len(starts)], out=running[1:])
    counts = np.diff(np.searchsorted(starts, offsets + np.arange(len(offsets))))
    return Words(np.repeat(np.arange(len(offsets) - 1), counts), running)


def _word_hashes(codes: Bytes, starts: Places, lengths: Places) -> Hashes:
    """Of every word: its bytes in parts of eight, its length, mixed."""
    eights: Hashes = np.ndarray((len(codes) - 7,), "<u8", codes, strides=(1,))
    hashes = (eights[starts] & _MASKS[np.minimum(lengths, 8)]) * _PART + lengths.astype(np.uint64)
    longer = np.flatnonzero(lengths > 8)
    for part in range(1, _LOADS):
        rest = np.minimum(lengths[longer] - 8 * part, 8)
        hashes[longer] = _mixed(hashes[longer]) * _PART + (eights[starts[longer] + 8 * part] & _MASKS[rest])
        longer = longer[lengths[longer] > 8 * (part + 1)]
    hashes[longer] = _mixed(hashes[longer]) * _PART + eights[(starts + lengths)[longer] - 8]
    return _mixed(hashes)


def _read_non_ascii(data: Bytes, codes: Bytes) -> None:
    """Lowers Latin-1's capitals, and takes Latin-1's signs and the dashes and quotes out of the words."""
    high = np.flatnonzero((data[:-1] >= 0xC2) & (data[:-1] <= 0xE2))
    if not len(high):
        return
    lead, following = data[high], data[high + 1]
    codes[high[(lead == 0xC3) & (following <= 0x9E) & (following != 0x97)] + 1] += 0x20
    sign = high[((lead == 0xC2) & _SIGNS[following]) | ((lead == 0xC3) & ((following == 0x97) | (following == 0xB7)))]
    codes[sign] = codes[sign + 1] = 0
    dash = high[(lead == 0xE2) & (following == 0x80)]
    codes[dash] = codes[dash + 1] = codes[dash + 2] = 0


def _mixed(hashes: Hashes) -> Hashes:
    hashes = hashes ^ (hashes >> np.uint64(32))
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    return hashes


@lru_cache(16)
def _inverse(odd: int) -> int:
    return pow(odd, -1, 1 << 64)


_KEPT: dict[int, Hashes] = {}


def _powers(base: int, least: int) -> Hashes:
    """1, base, base², ... modulo 2^64: at least `least` of them, kept for the next call."""
    known = _KEPT.get(base)
    if known is None or len(known) < least:
        factors = np.full(max(least, 1 << 17), base, np.uint64)
        factors[0] = 1
        known = _KEPT[base] = np.cumprod(factors, dtype=np.uint64)
    return known
