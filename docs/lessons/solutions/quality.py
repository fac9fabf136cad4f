"""Lesson 3: four of Gopher's rules."""

from collections import Counter

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def repeated_lines(text: str) -> float:
    """The share of lines that repeat an earlier one. Empty lines do not count; 0.0 if there are no others."""
    lines = [line for line in text.split("\n") if line]
    return (len(lines) - len(set(lines))) / len(lines) if lines else 0.0


def top_phrase(words: list[str], n: int) -> int:
    """Characters of the most frequent run of `n` words, joined by blanks, times how often it occurs.

    If several are equally frequent, the one that comes first in the text counts. 0 for fewer than `n` words.
    """
    runs = Counter(" ".join(words[place : place + n]) for place in range(len(words) - n + 1))
    if not runs:
        return 0
    phrase, count = runs.most_common(1)[0]  # of equals, the one that was counted first
    return len(phrase) * count


def verdict(text: str) -> tuple[str, float] | None:
    """The first rule that the text breaks, with its value; None if it stays. In this order:

    - `duplicate_lines`: more than 0.3 of the lines repeat an earlier one
    - `top_2_gram`: the most frequent pair of words makes up more than 0.2 of all characters of the text
    - `too_few_words`: fewer than 50 words
    - `few_stop_words`: fewer than 2 different words of `STOP_WORDS`
    """
    words = text.split()
    if (share := repeated_lines(text)) > 0.3:
        return "duplicate_lines", share
    if (share := top_phrase(words, 2) / max(len(text), 1)) > 0.2:
        return "top_2_gram", share
    if len(words) < 50:
        return "too_few_words", len(words)
    if (found := len(STOP_WORDS & set(words))) < 2:
        return "few_stop_words", found
    return None
