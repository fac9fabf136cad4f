"""The stretches of a text that stand word for word in the training documents: the longest, the rarest first.

In: a text, its tokenizer, and the index of the training ids. Out: stretches of whole words, none inside another.

OLMoTrace (Liu et al. 2025, arXiv 2504.07096, section 3) finds them so: for every token, the longest match from there
on; those that are no part of another; ranked by how unlikely their tokens are together. OLMoTrace keeps a twentieth of
them, we what a text of that many tokens would not have by chance. The first word of a text stands in others after a
blank, or at the start of a line; these are different tokens, and both are looked up. In a document, the last word of a
stretch may go on.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from glassmill.tokens.suffixes import SuffixIndex
from glassmill.tokens.tokenizer import Tokenizer

MOST_STRETCHES = 12


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a text that stands in the training ids.

    Attributes:
        start, end: Its characters in the text.
        forms: Its ids; with and without a blank before them, these may be two sequences.
        count: How often it stands there.
        bits: How unlikely its tokens are together, each with its own share of the training ids.
    """

    start: int
    end: int
    forms: tuple[tuple[int, ...], ...]
    count: int
    bits: float


def stretches(index: SuffixIndex, tokenizer: Tokenizer, text: str, most: int = MOST_STRETCHES) -> list[Stretch]:
    """At most `most` stretches, the least likely first. The best one is among them even if it may be chance."""
    forms: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for before in ("",) if text[:1].isspace() else ("", " "):
        for start, end, ids in _matches(index, tokenizer, text, before):
            forms.setdefault((start, end), []).append(ids)
    shares = _Shares(index)
    ranked = sorted((-sum(shares[number] for number in forms[span][0]), span) for span in _widest(forms))
    bound = math.log2(max(2, index.tokens))
    kept = [(-bits, span) for rank, (bits, span) in enumerate(ranked[:most]) if rank == 0 or -bits >= bound]
    return [_stretch(index, span, forms[span], bits) for bits, span in kept]


def _matches(
    index: SuffixIndex, tokenizer: Tokenizer, text: str, before: str
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Start, end and ids of the longest matches of whole words, none inside another."""
    ids = tokenizer.encode(before + text)
    ends = [min(max(0, end - len(before)), len(text)) for end in ends_of(tokenizer, ids)]
    starts, reached = [0, *ends[:-1]], 0
    for first, length in enumerate(index.longest(ids).tolist()):
        last = first + length
        if last <= reached:
            continue
        reached = last
        while first < last and not (_border(text, starts[first]) and _says(text[starts[first] : ends[first]])):
            first += 1
        while first < last and not (_border(text, ends[last - 1]) and text[starts[last - 1] : ends[last - 1]].strip()):
            last -= 1
        if first < last:
            shown = text[starts[first] : ends[last - 1]]
            start = ends[last - 1] - len(shown.lstrip())
            yield start, start + len(shown.strip()), tuple(ids[first:last].tolist())


def ends_of(tokenizer: Tokenizer, ids: np.ndarray) -> list[int]:
    """Where each token ends, in characters of the text; one that ends inside a character, before that."""
    stream, ends, end = tokenizer.stream(), [], 0
    for number in ids.tolist():
        end += len(stream.push(number))
        ends.append(end)
    return [*ends[:-1], end + len(stream.finish())] if ends else []


def _border(text: str, at: int) -> bool:
    """Whether a word may start or end there. Scripts without capitals often write words without blanks."""
    if not 0 < at < len(text):
        return True
    around = text[at - 1 : at + 1]
    return not all(map(str.isalnum, around)) or any(unicodedata.category(one) == "Lo" for one in around)


def _says(token: str) -> bool:
    """Whether a stretch may start with it: not with a blank or a full stop."""
    return any(map(str.isalnum, token))


def _widest(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Those that are not inside another."""
    reached = 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if end > reached:
            yield start, end
            reached = end


class _Shares(dict[int, float]):
    """Token id -> how unlikely it is, in bits, by its share of the training ids; each is counted once."""

    def __init__(self, index: SuffixIndex) -> None:
        super().__init__()
        self._index = index

    def __missing__(self, number: int) -> float:
        count = self._index.count(np.array([number], np.uint32))
        self[number] = math.log2(self._index.tokens / count) if count else 0.0
        return self[number]


def _stretch(index: SuffixIndex, span: tuple[int, int], forms: list[tuple[int, ...]], bits: float) -> Stretch:
    unique = tuple(dict.fromkeys(forms))
    return Stretch(*span, unique, sum(index.count(np.array(ids, np.uint32)) for ids in unique), bits)
