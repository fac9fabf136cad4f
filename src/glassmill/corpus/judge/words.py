"""A document's words, counted once for all filters.

In: text. Out: `Words`: the numbers that the filters ask for, and repeats of n words in a row, found on rolling 64-bit
hashes. `count_words` takes the native core where it is built; `Words` is its plain twin, with the tokens of
`english.py`. They agree on every character that Python's Unicode knows; of newer ones, only the native core knows which
are letters. So the version of its table is part of a corpus's identity (`facts.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glassmill.corpus.judge import english_tables as tables
from glassmill.corpus.judge.english import IN_PIECES, tokens_of_chunk

try:
    from glassmill.native import _core
except ImportError:  # not built here: the twin does the work
    _core = None  # type: ignore[assignment]

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class WordCounts(Protocol):
    """What the filters ask of a text's words. `num_words`: tokens that are not just punctuation,
    `word_characters` theirs, `num_alphabetic` the tokens with a letter, `num_stop_words` the different stop words."""

    @property
    def num_words(self) -> int: ...
    @property
    def word_characters(self) -> int: ...
    @property
    def num_alphabetic(self) -> int: ...
    @property
    def num_stop_words(self) -> int: ...
    def __len__(self) -> int: ...
    def top_ngram_characters(self, n: int) -> int: ...
    def duplicate_ngram_characters(self, n: int) -> int: ...


def count_words(text: str) -> WordCounts:
    """The words of `text`, by the native core where it is built."""
    counts: WordCounts = native_counter().count(text) if _core else Words(text)
    return counts


def numbers_of(words: WordCounts) -> list[int]:
    """What `Counted` needs of a text's words."""
    return [len(words), words.num_words, words.word_characters, words.num_alphabetic, words.num_stop_words]


class Counted:
    """The words of a text of which `numbers_of` is known; it is counted only if its repeats are asked for."""

    def __init__(self, numbers: list[int], count: Callable[[], WordCounts]) -> None:
        self._length, self.num_words, self.word_characters, self.num_alphabetic, self.num_stop_words = numbers
        self._count = count

    def __len__(self) -> int:
        return self._length

    def top_ngram_characters(self, n: int) -> int:
        return self._count().top_ngram_characters(n)

    def duplicate_ngram_characters(self, n: int) -> int:
        return self._count().duplicate_ngram_characters(n)


def count_sentences(line: str, enough: int) -> int:
    """Sentences in one line, counted no further than `enough`.

    Example:
        >>> count_sentences("It rained. (A lot.) So what?", 9)
        3
    """
    if _core:
        found: int = native_counter().sentences(line, enough)
        return found
    return plain_sentences(line, enough)


def plain_sentences(line: str, enough: int) -> int:
    """The twin: a sentence starts with the first token, and with the first one after an end that is not a mark."""
    sentences, ended = 0, True
    for chunk in line.split():
        for token in tokens_of_chunk(chunk):
            ends = token in tables.SENTENCE_TERMINALS
            if not sentences or (ended and not ends and not tables.CLOSING.issuperset(token)):
                sentences += 1
                ended = False
                if sentences >= enough:
                    return sentences
            ended = ended or ends
    return sentences


@cache
def native_counter() -> Any:
    """The native core's rules, made from the same tables."""
    merges = {"\x1f".join(pieces): list(parts) for pieces, parts in IN_PIECES.items()}
    traits = {
        "front": tables.FRONT,
        "back": tables.BACK,
        "icons": tables.ICONS,
        "quotes": tables.QUOTES,
        "money": tables.MONEY,
        "before_dot": tables.BEFORE_DOT,
        "punctuation": tables.PUNCTUATION,
        "terminal": tables.SENTENCE_TERMINALS,
        "closing": tables.CLOSING,
    }
    lists = {
        "units": sorted(tables.UNITS),
        "dollars": tables.DOLLARS,
        "clitics": tables.CLITICS,
        "hyphens": tables.HYPHENS,
        "stop_words": STOP_WORDS,
    }
    return _core.WordCounter(
        {text: list(parts) for text, parts in tables.EXCEPTIONS.items()},
        merges,
        {name: "".join(sorted(characters)) for name, characters in traits.items()},
        {name: list(strings) for name, strings in lists.items()},
    )


class Words:
    """The tokens of one text. Attributes are computed when first asked for."""

    def __init__(self, text: str) -> None:
        self.tokens = [token for chunk in text.split() for token in tokens_of_chunk(chunk)]
        self.distinct = list(dict.fromkeys(self.tokens))
        index = dict(zip(self.distinct, range(len(self.distinct)), strict=True))
        self.ids: Ints = np.fromiter(map(index.__getitem__, self.tokens), np.int64, len(self.tokens))
        self._ngrams: dict[int, Hashes] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def num_words(self) -> int:
        return int(self._counts[self._is_word].sum())

    @cached_property
    def word_characters(self) -> int:
        return int((self._counts * self._lengths)[self._is_word].sum())

    @cached_property
    def num_alphabetic(self) -> int:
        letters = (token.isalpha() or any(map(str.isalpha, token)) for token in self.distinct)
        return int(self._counts[np.fromiter(letters, np.bool_, len(self.distinct))].sum())

    @cached_property
    def num_stop_words(self) -> int:
        return len(set(STOP_WORDS).intersection(self.distinct))

    @cached_property
    def _counts(self) -> Ints:
        """How often each distinct token occurs."""
        return np.bincount(self.ids, minlength=len(self.distinct))

    @cached_property
    def _lengths(self) -> Ints:
        """Characters of each distinct token."""
        return np.fromiter(map(len, self.distinct), np.int64, len(self.distinct))

    @cached_property
    def _is_word(self) -> npt.NDArray[np.bool_]:
        """Which distinct tokens are not just punctuation."""
        words = (not tables.PUNCTUATION.issuperset(token) for token in self.distinct)
        return np.fromiter(words, np.bool_, len(self.distinct))

    @cached_property
    def _ends(self) -> Ints:
        """Characters of the tokens before each place, joined without blanks."""
        return np.concatenate([[0], np.cumsum(self._lengths[self.ids])])

    def ngrams(self, n: int) -> Hashes:
        """A hash of the `n` tokens from each place on; equal tokens give equal hashes."""
        if n not in self._ngrams and n == 1:
            mixed = (self.ids.astype(np.uint64) + np.uint64(1)) * _PRIME
            mixed ^= mixed >> np.uint64(29)
            self._ngrams[n] = mixed * _MIX
        elif n not in self._ngrams:
            shorter = self.ngrams(n - 1)
            self._ngrams[n] = shorter[:-1] * _PRIME + self.ngrams(1)[n - 1 :] if len(shorter) else shorter
        return self._ngrams[n]

    def top_ngram_characters(self, n: int) -> int:
        """Characters of the most frequent run of `n` tokens, blanks between, times its number; of equals, the first."""
        grams = self.ngrams(n)
        if len(grams) == 0:
            return 0
        in_order = np.sort(grams)
        begins = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]]))
        counts = np.diff(np.append(begins, len(grams)))
        most = int(counts.max())
        place = 0 if most == 1 else int(np.isin(grams, in_order[begins[counts == most]]).argmax())
        return (int(self._ends[place + n] - self._ends[place]) + n - 1) * most

    def duplicate_ngram_characters(self, n: int) -> int:
        """Characters in runs of `n` tokens that repeat an earlier one. The search continues after each repeat."""
        grams = self.ngrams(n)
        in_order = np.sort(grams)
        if not (in_order[1:] == in_order[:-1]).any():
            return 0
        _, inverse, counts = np.unique(grams, return_inverse=True, return_counts=True)
        seen: set[int] = set()
        characters = free = 0
        places = np.flatnonzero(counts[inverse] > 1)
        for place, gram in zip(places.tolist(), inverse[places].tolist(), strict=True):
            if place < free:
                continue
            if gram in seen:
                characters += int(self._ends[place + n] - self._ends[place])
                free = place + n
            else:
                seen.add(gram)
        return characters
