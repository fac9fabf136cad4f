"""Lesson 3: four of Gopher's rules."""

from collections import Counter

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def repeated_lines(text: str) -> float:
    """The share of lines that repeat an earlier one. Empty lines do not count; 0.0 if there are no others."""
    ...


def top_phrase(words: list[str], n: int) -> int:
    """Characters of the most frequent run of `n` words, joined by blanks, times how often it occurs.

    If several are equally frequent, the one that comes first in the text counts. 0 for fewer than `n` words.
    """
    ...


def verdict(text: str) -> tuple[str, float] | None:
    """The first rule that the text breaks, with its value; None if it stays. In this order:

    - `duplicate_lines`: more than 0.3 of the lines repeat an earlier one
    - `top_2_gram`: the most frequent pair of words makes up more than 0.2 of all characters of the text
    - `too_few_words`: fewer than 50 words
    - `few_stop_words`: fewer than 2 different words of `STOP_WORDS`
    """
    ...
