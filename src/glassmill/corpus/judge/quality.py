"""C4's and FineWeb's rules on lines: boilerplate lines are removed, and documents made of menus, lists and placeholders
are dropped.

Source: Raffel et al. 2020 (arXiv 1910.10683), section 2.2, without the rule that lines must end in punctuation; Penedo
et al. 2024 (arXiv 2406.17557), section 3.6. One document in, one verdict out; C4 also returns the text without the
lines it removed.
"""

from __future__ import annotations

import re

from glassmill.corpus.judge.english_tables import SENTENCE_TERMINALS
from glassmill.corpus.judge.gopher import duplicates
from glassmill.corpus.judge.rule import Direction, Rule, Unit, Verdict
from glassmill.corpus.judge.scripts import has_no_blanks, has_no_stops, letters_in, sentences_in, words_in
from glassmill.corpus.judge.words import count_sentences, count_words
from glassmill.recipe import C4Settings, FinewebSettings

POLICY_PHRASES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")

LOREM_IPSUM = Rule("c4/lorem_ipsum", "placeholder text", "the text contains the placeholder “lorem ipsum”")
CURLY_BRACE = Rule("c4/curly_brace", "program code", "opening braces in one line, a sign of program code: {value}")
TOO_FEW_SENTENCES = Rule(
    "c4/too_few_sentences",
    "too few sentences",
    "sentences in the text: {value}; at least {bound} required",
    Unit.COUNT,
    Direction.AT_LEAST,
)
EMPTY = Rule("fineweb/empty", "nothing left", "no line is left once C4’s rules have removed theirs")
FEW_PUNCTUATED_LINES = Rule(
    "fineweb/few_punctuated_lines",
    "few finished lines",
    "lines that end in punctuation: {value}; at least {bound} required",
    Unit.SHARE,
    Direction.AT_LEAST,
)
SHORT_LINES = Rule(
    "fineweb/short_lines",
    "short lines",
    "short lines: {value}; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
DUPLICATE_LINES = Rule(
    "fineweb/duplicate_lines",
    "text in repeated lines",
    "characters in repeated lines: {value} of the text; at most {bound} allowed",
    Unit.SHARE,
    Direction.AT_MOST,
)
NEWLINES_PER_WORD = Rule(
    "fineweb/newlines_per_word",
    "many line breaks",
    "line breaks per word: {value}; at most {bound} allowed",
    Unit.RATIO,
    Direction.AT_MOST,
)


def c4(text: str, bounds: C4Settings) -> tuple[str, Verdict | None]:
    """The text without boilerplate lines, and the first rule that the document breaks."""
    lower = text.lower()
    placeholder, scripts = "lorem ipsum" in lower, "javascript" in lower
    policies = any(phrase in lower for phrase in POLICY_PHRASES)
    no_blanks = has_no_blanks(text)
    kept: list[str] = []
    sentences = 0
    for line in text.splitlines():
        line = line.strip()
        words = line.split()
        if (
            len(line) > bounds.max_word_length
            and not no_blanks
            and any(len(word) > bounds.max_word_length for word in words)
        ):
            continue
        if "[" in line:
            line = _CITATION.sub("", line)
        if len(words) < bounds.min_line_words and not (no_blanks and words_in(line) >= bounds.min_line_words):
            continue
        if placeholder and "lorem ipsum" in line.lower():
            return text, LOREM_IPSUM.broken(1, 0, line[:80])
        if scripts and "javascript" in line.lower():
            continue
        if bounds.curly_brace and "{" in line:
            return text, CURLY_BRACE.broken(line.count("{"), 0, line[:80])
        if policies and any(phrase in line.lower() for phrase in POLICY_PHRASES):
            continue
        if sentences < bounds.min_sentences:
            sentences += sentences_in(line) if no_blanks else count_sentences(line, bounds.min_sentences)
        kept.append(line)
    if sentences < bounds.min_sentences:
        return text, TOO_FEW_SENTENCES.broken(sentences, bounds.min_sentences)
    return "\n".join(kept).strip(), None


def fineweb(text: str, bounds: FinewebSettings) -> Verdict | None:
    """The first of FineWeb's own rules that the document breaks, or `None` if it stays."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return EMPTY.broken(0, 1)
    no_blanks = has_no_blanks(text)
    punctuated = sum(line[-1] in SENTENCE_TERMINALS for line in lines) / len(lines)
    if no_blanks and has_no_stops(text):
        punctuated = 1.0
    if punctuated < bounds.min_punctuated_lines:
        return FEW_PUNCTUATED_LINES.broken(punctuated, bounds.min_punctuated_lines)
    length = letters_in if no_blanks else len
    short = sum(length(line) <= bounds.short_line for line in lines) / len(lines)
    if short > bounds.max_short_lines:
        return SHORT_LINES.broken(short, bounds.max_short_lines)
    characters = len(text.replace("\n", "")) or 1
    repeated = duplicates(lines)[1] / characters
    if repeated > bounds.max_duplicate_line_characters:
        return DUPLICATE_LINES.broken(repeated, bounds.max_duplicate_line_characters)
    newlines = text.count("\n")
    if newlines > bounds.max_newlines_per_word * len(text.split()):  # blanks never split finer than tokens
        ratio = newlines / max(len(count_words(text)) + (words_in(text) if no_blanks else 0), 1)
        if ratio > bounds.max_newlines_per_word:
            return NEWLINES_PER_WORD.broken(ratio, bounds.max_newlines_per_word)
    return None
