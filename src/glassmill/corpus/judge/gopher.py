"""Gopher's rules: is this document prose, or menus, code listings and text that repeats itself?

Source: Rae et al. 2021 (arXiv 2112.11446), appendix A1.1 and table A1, with the thresholds and the readings that
FineWeb kept. One document in, one verdict out; reads and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from glassmill.corpus.document import Verdict
from glassmill.corpus.judge.words import WordCounts
from glassmill.recipe import GopherQualitySettings, GopherRepetitionSettings

ELLIPSES = ("...", "…")
BULLETS = ("•", "-")

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")
_LINE_BREAK = re.compile(r"\n+")


def gopher_repetition(text: str, words: WordCounts, bounds: GopherRepetitionSettings) -> Verdict | None:
    """The first kind of repetition that is too much, or `None` if the document stays.

    Because the first broken rule is the reason, the reasons of a corpus add up to its dropped documents.
    """
    size = len(text) or 1
    paragraphs = split_paragraphs(text.strip())
    number, characters = duplicates(paragraphs)
    if number / len(paragraphs) > bounds.duplicate_paragraphs:
        return Verdict("gopher/duplicate_paragraphs", number / len(paragraphs), bounds.duplicate_paragraphs)
    if characters / size > bounds.duplicate_paragraph_characters:
        return Verdict(
            "gopher/duplicate_paragraph_characters", characters / size, bounds.duplicate_paragraph_characters
        )
    lines = split_lines(text)
    number, characters = duplicates(lines)
    if number / len(lines) > bounds.duplicate_lines:
        return Verdict("gopher/duplicate_lines", number / len(lines), bounds.duplicate_lines)
    if characters / size > bounds.duplicate_line_characters:
        return Verdict("gopher/duplicate_line_characters", characters / size, bounds.duplicate_line_characters)
    for n, bound in bounds.top_ngram:
        share = words.top_ngram_characters(n) / size
        if share > bound:
            return Verdict(f"gopher/top_{n}_gram", share, bound)
    for n, bound in bounds.duplicate_ngrams:
        share = words.duplicate_ngram_characters(n) / size
        if share > bound:
            return Verdict(f"gopher/duplicate_{n}_grams", share, bound)
    return None


def split_paragraphs(text: str) -> list[str]:
    """The pieces between empty lines, like `re.split(r"\n{2,}", text)`, at a fraction of its time."""
    return text.split("\n\n") if "\n\n\n" not in text else _PARAGRAPH_BREAK.split(text)


def split_lines(text: str) -> list[str]:
    """The pieces between newlines, like `re.split(r"\n+", text)`, at a fraction of its time."""
    if text[:1] in ("", "\n") or text[-1] == "\n":
        return _LINE_BREAK.split(text)
    return [line for line in text.split("\n") if line]


def duplicates(elements: Iterable[str]) -> tuple[int, int]:
    """How many elements stood before, and how many characters they have together."""
    seen: set[str] = set()
    number = characters = 0
    for element in elements:
        if element in seen:
            number += 1
            characters += len(element)
        else:
            seen.add(element)
    return number, characters


def gopher_quality(text: str, words: WordCounts, bounds: GopherQualitySettings) -> Verdict | None:
    """The first rule of prose that `words` breaks, or `None` if the document stays."""
    number = words.num_words
    if number < bounds.min_words:
        return Verdict("gopher/too_few_words", number, bounds.min_words)
    if number > bounds.max_words:
        return Verdict("gopher/too_many_words", number, bounds.max_words)
    mean = words.word_characters / number
    if mean < bounds.min_word_length:
        return Verdict("gopher/short_words", mean, bounds.min_word_length)
    if mean > bounds.max_word_length:
        return Verdict("gopher/long_words", mean, bounds.max_word_length)
    hashes = text.count("#") / len(words)
    if hashes > bounds.max_symbol_share:
        return Verdict("gopher/too_many_hashes", hashes, bounds.max_symbol_share)
    ellipses = sum(text.count(ellipsis) for ellipsis in ELLIPSES) / len(words)
    if ellipses > bounds.max_symbol_share:
        return Verdict("gopher/too_many_ellipses", ellipses, bounds.max_symbol_share)
    return _quality_of_lines(text, bounds) or _quality_of_vocabulary(words, bounds)


def _quality_of_lines(text: str, bounds: GopherQualitySettings) -> Verdict | None:
    lines = text.splitlines()
    bullets = sum(line.lstrip().startswith(BULLETS) for line in lines) / len(lines)
    if bullets > bounds.max_bullet_lines:
        return Verdict("gopher/bullet_lines", bullets, bounds.max_bullet_lines)
    trailing = sum(line.rstrip().endswith(ELLIPSES) for line in lines) / len(lines)
    if trailing > bounds.max_ellipsis_lines:
        return Verdict("gopher/ellipsis_lines", trailing, bounds.max_ellipsis_lines)
    return None


def _quality_of_vocabulary(words: WordCounts, bounds: GopherQualitySettings) -> Verdict | None:
    alphabetic = words.num_alphabetic / len(words)
    if alphabetic < bounds.min_alphabetic_words:
        return Verdict("gopher/few_alphabetic_words", alphabetic, bounds.min_alphabetic_words)
    found = words.num_stop_words
    if found < bounds.min_stop_words:
        return Verdict("gopher/few_stop_words", found, bounds.min_stop_words)
    return None
