"""Gopher's rules: is this document prose, or menus, code listings and text that repeats itself?

Source: Rae et al. 2021 (arXiv 2112.11446), appendix A1.1 and table A1, with the thresholds and the readings that
FineWeb kept. One document in, one verdict out; reads and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from glassmill.corpus.judge.rule import Direction, Rule, Unit, Verdict
from glassmill.corpus.judge.scripts import has_no_blanks, words_in
from glassmill.corpus.judge.words import WordCounts
from glassmill.recipe import GopherQualitySettings, GopherRepetitionSettings

ELLIPSES = ("...", "…")
BULLETS = ("•", "-")

_PARAGRAPH_BREAK = re.compile(r"\n{2,}")
_LINE_BREAK = re.compile(r"\n+")

DUPLICATE_PARAGRAPHS = Rule(
    "gopher/duplicate_paragraphs",
    "repeated paragraphs",
    "paragraphs that repeat an earlier one: {value}; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
DUPLICATE_PARAGRAPH_CHARACTERS = Rule(
    "gopher/duplicate_paragraph_characters",
    "text in repeated paragraphs",
    "characters in repeated paragraphs: {value} of the text; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
DUPLICATE_LINES = Rule(
    "gopher/duplicate_lines",
    "repeated lines",
    "lines that repeat an earlier one: {value}; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
DUPLICATE_LINE_CHARACTERS = Rule(
    "gopher/duplicate_line_characters",
    "text in repeated lines",
    "characters in repeated lines: {value} of the text; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
TOP_NGRAM = Rule(
    "gopher/top_{n}_gram",
    "frequent {n}-word phrase",
    "characters in the most frequent {n}-word phrase: {value} of the text; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
DUPLICATE_NGRAMS = Rule(
    "gopher/duplicate_{n}_grams",
    "repeated {n}-word phrases",
    "characters in repeated {n}-word phrases: {value} of the text; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
TOO_FEW_WORDS = Rule(
    "gopher/too_few_words",
    "too few words",
    "words in the text: {value}; at least {bound} required",
    Unit.COUNT,
    Direction.AT_LEAST,
)
TOO_MANY_WORDS = Rule(
    "gopher/too_many_words",
    "too many words",
    "words in the text: {value}; at most {bound} allowed",
    Unit.COUNT,
    Direction.AT_MOST,
)
SHORT_WORDS = Rule(
    "gopher/short_words",
    "short words",
    "mean word length in characters: {value}; at least {bound} required",
    Unit.RATIO,
    Direction.AT_LEAST,
)
LONG_WORDS = Rule(
    "gopher/long_words",
    "long words",
    "mean word length in characters: {value}; at most {bound} allowed",
    Unit.RATIO,
    Direction.AT_MOST,
)
TOO_MANY_HASHES = Rule(
    "gopher/too_many_hashes",
    "too many hash signs",
    "hash signs per word: {value}; at most {bound} allowed",
    Unit.RATIO,
    Direction.AT_MOST,
)
TOO_MANY_ELLIPSES = Rule(
    "gopher/too_many_ellipses",
    "too many ellipses",
    "ellipses per word: {value}; at most {bound} allowed",
    Unit.RATIO,
    Direction.AT_MOST,
)
BULLET_LINES = Rule(
    "gopher/bullet_lines",
    "bullet lines",
    "lines that start with a bullet: {value}; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
ELLIPSIS_LINES = Rule(
    "gopher/ellipsis_lines",
    "lines cut short",
    "lines that end in an ellipsis: {value}; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
FEW_ALPHABETIC_WORDS = Rule(
    "gopher/few_alphabetic_words",
    "few words with letters",
    "words with a letter in them: {value}; at least {bound} required",
    Unit.SHARE,
    Direction.AT_LEAST,
)
FEW_STOP_WORDS = Rule(
    "gopher/few_stop_words",
    "few stop words",
    "different stop words (the, be, to, of, and, that, have, with): {value}; at least {bound} required",
    Unit.COUNT,
    Direction.AT_LEAST,
)


def gopher_repetition(text: str, words: WordCounts, bounds: GopherRepetitionSettings) -> Verdict | None:
    """The first rule on repetition that the document breaks, or `None` if it stays.

    Because only the first broken rule counts, the counts by rule add up to the dropped documents.
    """
    size = len(text) or 1
    paragraphs = split_paragraphs(text.strip())
    number, characters = duplicates(paragraphs)
    if number / len(paragraphs) > bounds.duplicate_paragraphs:
        return DUPLICATE_PARAGRAPHS.broken(number / len(paragraphs), bounds.duplicate_paragraphs)
    if characters / size > bounds.duplicate_paragraph_characters:
        return DUPLICATE_PARAGRAPH_CHARACTERS.broken(characters / size, bounds.duplicate_paragraph_characters)
    lines = split_lines(text)
    number, characters = duplicates(lines)
    if number / len(lines) > bounds.duplicate_lines:
        return DUPLICATE_LINES.broken(number / len(lines), bounds.duplicate_lines)
    if characters / size > bounds.duplicate_line_characters:
        return DUPLICATE_LINE_CHARACTERS.broken(characters / size, bounds.duplicate_line_characters)
    no_blanks = has_no_blanks(text)
    for n, bound in bounds.top_ngram:
        if no_blanks and not words.duplicate_ngram_characters(n):
            continue  # where a whole clause counts as a word, a phrase that occurs once can be most of the text
        share = words.top_ngram_characters(n) / size
        if share > bound:
            return TOP_NGRAM.of(n).broken(share, bound)
    for n, bound in bounds.duplicate_ngrams:
        share = words.duplicate_ngram_characters(n) / size
        if share > bound:
            return DUPLICATE_NGRAMS.of(n).broken(share, bound)
    return None


def split_paragraphs(text: str) -> list[str]:
    """The pieces between empty lines: `re.split(r"\n{2,}", text)` in a fraction of the time."""
    return text.split("\n\n") if "\n\n\n" not in text else _PARAGRAPH_BREAK.split(text)


def split_lines(text: str) -> list[str]:
    """The pieces between newlines: `re.split(r"\n+", text)` in a fraction of the time."""
    if text[:1] in ("", "\n") or text[-1] == "\n":
        return _LINE_BREAK.split(text)
    return [line for line in text.split("\n") if line]


def duplicates(elements: Iterable[str]) -> tuple[int, int]:
    """How many elements repeat an earlier one, and their characters in all."""
    seen: set[str] = set()
    number = characters = 0
    for element in elements:
        if element in seen:
            number += 1
            characters += len(element)
        else:
            seen.add(element)
    return number, characters


def signs_of(text: str) -> list[int]:
    """Of a text its hashes, ellipses, lines, lines with a bullet, and lines that end in an ellipsis."""
    lines = text.splitlines() or [""]
    return [
        text.count("#"),
        sum(map(text.count, ELLIPSES)),
        len(lines),
        sum(line.lstrip().startswith(BULLETS) for line in lines),
        sum(line.rstrip().endswith(ELLIPSES) for line in lines),
    ]


def gopher_quality(
    text: str, words: WordCounts, bounds: GopherQualitySettings, signs: Callable[[str], list[int]] = signs_of
) -> Verdict | None:
    """The first rule on prose that the document breaks, or `None` if it stays.

    `signs`: `signs_of`, or who remembers what it said.
    """
    if has_no_blanks(text):
        return _quality_without_blanks(text, words, bounds, signs)
    number = words.num_words
    if number < bounds.min_words:
        return TOO_FEW_WORDS.broken(number, bounds.min_words)
    if number > bounds.max_words:
        return TOO_MANY_WORDS.broken(number, bounds.max_words)
    mean = words.word_characters / (number or 1)
    if mean < bounds.min_word_length:
        return SHORT_WORDS.broken(mean, bounds.min_word_length)
    if mean > bounds.max_word_length:
        return LONG_WORDS.broken(mean, bounds.max_word_length)
    return _quality_of_signs(signs(text), len(words), bounds) or _quality_of_vocabulary(words, bounds)


def _quality_without_blanks(
    text: str, words: WordCounts, bounds: GopherQualitySettings, signs: Callable[[str], list[int]]
) -> Verdict | None:
    """For a text without blanks between words: rules on the length of words and on English ones say nothing of it."""
    number = words.num_words + words_in(text)
    if number < bounds.min_words:
        return TOO_FEW_WORDS.broken(number, bounds.min_words)
    if number > bounds.max_words:
        return TOO_MANY_WORDS.broken(number, bounds.max_words)
    return _quality_of_signs(signs(text), number, bounds)


def _quality_of_signs(signs: list[int], number: float, bounds: GopherQualitySettings) -> Verdict | None:
    hashes, ellipses, lines, bullets, trailing = signs
    tokens = number or 1
    if hashes / tokens > bounds.max_symbol_share:
        return TOO_MANY_HASHES.broken(hashes / tokens, bounds.max_symbol_share)
    if ellipses / tokens > bounds.max_symbol_share:
        return TOO_MANY_ELLIPSES.broken(ellipses / tokens, bounds.max_symbol_share)
    if bullets / lines > bounds.max_bullet_lines:
        return BULLET_LINES.broken(bullets / lines, bounds.max_bullet_lines)
    if trailing / lines > bounds.max_ellipsis_lines:
        return ELLIPSIS_LINES.broken(trailing / lines, bounds.max_ellipsis_lines)
    return None


def _quality_of_vocabulary(words: WordCounts, bounds: GopherQualitySettings) -> Verdict | None:
    alphabetic = words.num_alphabetic / (len(words) or 1)
    if alphabetic < bounds.min_alphabetic_words:
        return FEW_ALPHABETIC_WORDS.broken(alphabetic, bounds.min_alphabetic_words)
    found = words.num_stop_words
    if found < bounds.min_stop_words:
        return FEW_STOP_WORDS.broken(found, bounds.min_stop_words)
    return None
