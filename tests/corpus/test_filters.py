"""Every rule of the text filters at its bound, and the counting that they share."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.judge.gopher import duplicates, gopher_quality, gopher_repetition, split_lines, split_paragraphs
from glassmill.corpus.judge.language import detect, judge_language
from glassmill.corpus.judge.quality import c4, fineweb
from glassmill.corpus.judge.rule import Verdict
from glassmill.corpus.judge.words import Words, count_sentences
from glassmill.recipe import (
    C4Settings,
    FinewebSettings,
    GopherQualitySettings,
    GopherRepetitionSettings,
    LanguageSettings,
)

VOCABULARY = [
    first + middle + last
    for first in "bdfgklmnprst"
    for middle in ("a", "ei", "oo")
    for last in ("rt", "n", "lm", "sk")
]


def prose(words: int, seed: int = 0) -> str:
    """Sentences of ten words without repeats to speak of, `of` and `the` in each."""
    choose = random.Random(seed)
    sentences = []
    while words > 0:
        sentences.append(
            " ".join(["The", *choose.choices(VOCABULARY, k=5), "of", "the", *choose.choices(VOCABULARY, k=2)]) + "."
        )
        words -= 10
    return " ".join(sentences)


def quality(text: str) -> Verdict | None:
    return gopher_quality(text, Words(text), GopherQualitySettings())


@pytest.mark.parametrize("text", ["", "...", "-- !", "\n"])
def test_a_text_without_a_word_is_judged_even_where_no_word_is_required(text: str) -> None:
    loose = GopherQualitySettings(min_words=0, min_word_length=0, max_symbol_share=9, max_ellipsis_lines=1)
    verdict = gopher_quality(text, Words(text), loose)
    assert verdict and verdict.rule.name in ("gopher/few_alphabetic_words", "gopher/bullet_lines")
    assert gopher_quality(text, Words(text), GopherQualitySettings(min_words=0)) is not None


def repetition(text: str) -> Verdict | None:
    return gopher_repetition(text, Words(text), GopherRepetitionSettings())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (prose(100), None),
        (prose(50), None),
        (prose(50).removeprefix("The "), "gopher/too_few_words"),
        ("", "gopher/too_few_words"),
        (prose(200) + " a" * 250, "gopher/short_words"),
        (prose(100) + " " + "incomprehensibilities " * 200, "gopher/long_words"),
        (prose(100) + " #" * 10, None),
        (prose(100) + " # mill" * 20, "gopher/too_many_hashes"),
        (prose(100) + " mill..." * 25, "gopher/too_many_ellipses"),
        ("\n".join("- " + prose(10, n) for n in range(10)), "gopher/bullet_lines"),
        ("\n".join("• " + prose(10, n) for n in range(10)), "gopher/bullet_lines"),
        ("\n".join(["- " + prose(10, n) for n in range(9)] + [prose(10, 9)]), None),
        (
            "\n".join([prose(20, n) for n in range(6)] + [prose(20, n) + " and more…" for n in range(4)]),
            "gopher/ellipsis_lines",
        ),
        ("\n".join([prose(20, n) for n in range(7)] + [prose(20, n) + " and more…" for n in range(3)]), None),
        (prose(100) + " 1717" * 100, "gopher/few_alphabetic_words"),
        (prose(100).replace("of the", "mill stone"), "gopher/few_stop_words"),
    ],
)
def test_gopher_quality(text: str, rule: str | None) -> None:
    verdict = quality(text)
    assert (verdict and verdict.rule.name) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (prose(300), None),
        ("\n\n".join([prose(40, 1)] * 2 + [prose(80, n) for n in range(2, 8)]), None),  # 1 of 8 repeated
        ("\n\n".join([prose(40, 1)] * 3 + [prose(40, n) for n in range(2, 5)]), "gopher/duplicate_paragraphs"),
        (
            "\n\n".join([prose(90, 1)] * 2 + [prose(20, n) for n in range(2, 8)]),
            "gopher/duplicate_paragraph_characters",
        ),
        ("\n".join(["a mill"] * 5 + [prose(60, n) for n in range(2, 8)]), "gopher/duplicate_lines"),
        ("\n".join([prose(90, 1)] * 2 + [prose(20, n) for n in range(2, 8)]), "gopher/duplicate_line_characters"),
        (prose(60) + " the mill" * 20, "gopher/top_2_gram"),
        (
            prose(150) + " " + " ".join(f"grinding the morning flour {word}" for word in VOCABULARY[:20]),
            "gopher/top_3_gram",
        ),
        (prose(300) + " seven old boats lay there" + prose(60, 1) + " seven old boats lay there", None),
        (" ".join([prose(200), prose(60, 5), prose(60, 6), prose(60, 5)]), "gopher/duplicate_8_grams"),
    ],
)
def test_gopher_repetition(text: str, rule: str | None) -> None:
    verdict = repetition(text)
    assert (verdict and verdict.rule.name) == rule
    if verdict:
        assert verdict.value > verdict.bound


@pytest.mark.parametrize(
    ("lines", "kept", "rule"),
    [
        ([prose(60)], [prose(60)], None),
        ([prose(40)], None, "c4/too_few_sentences"),
        ([prose(60), "two words"], [prose(60)], None),
        ([prose(60), "now three words"], [prose(60), "now three words"], None),
        ([prose(60), "Please enable JavaScript to go on."], [prose(60)], None),
        ([prose(60), "Read our Privacy Policy to learn more."], [prose(60)], None),
        ([prose(60), "This site uses cookies, like every site."], [prose(60)], None),
        ([prose(60), "Lorem Ipsum dolor sit amet."], None, "c4/lorem_ipsum"),
        ([prose(60), "if (a) { return b; }"], None, "c4/curly_brace"),
        ([prose(60), "{ x"], [prose(60)], None),  # the short line goes before its brace is seen
        (
            [prose(60), "As was shown[12] by others[edit] before.[citation needed]"],
            [prose(60), "As was shown by others before."],
            None,
        ),
        ([prose(60), "a b " + "x" * 1001], [prose(60)], None),
        ([prose(60), "a b " + "x" * 1000], [prose(60), "a b " + "x" * 1000], None),
    ],
)
def test_c4_takes_lines_and_documents_away(lines: list[str], kept: list[str] | None, rule: str | None) -> None:
    text, verdict = c4("\n".join(lines), C4Settings())
    assert (verdict and verdict.rule.name) == rule
    if kept is not None:
        assert text == "\n".join(kept)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("", 0),
        ("One", 1),
        ("One. Two", 2),
        ("One. Two.", 2),
        ("Is 3.5 one? Yes!", 2),
        ('He said "no." Then he left.', 2),
        ("Well...", 1),
    ],
)
def test_sentences_are_counted(line: str, number: int) -> None:
    assert count_sentences(line, 99) == number


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\n".join(prose(20, n) for n in range(10)), None),
        ("", "fineweb/empty"),
        (
            "\n".join([prose(20)] + [prose(20, n)[:-1] for n in range(8)]),
            "fineweb/few_punctuated_lines",
        ),  # 1 of 9 = 0.11
        ("\n".join([prose(20)] + [prose(20, n)[:-1] for n in range(1, 8)]), None),  # 1 of 8 = 0.125
        ("\n".join([prose(60)] + [f"short line {n}." for n in range(3)]), "fineweb/short_lines"),
        ("\n".join([prose(60)] + [f"short line {n}." for n in range(2)]), None),
        ("\n".join([prose(60), prose(10, 1), prose(10, 1)]), "fineweb/duplicate_lines"),
        ("\n".join([prose(600), "mill.", "mill."]), None),
        (
            "\n".join(f"incomprehensibilities  {n} counterrevolutionaries." for n in range(20)),
            "fineweb/newlines_per_word",
        ),
    ],
)
def test_fineweb(text: str, rule: str | None) -> None:
    verdict = fineweb(text, FinewebSettings(max_newlines_per_word=0.2))
    assert (verdict and verdict.rule.name) == rule


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("It's 3.5 km; don't", ["It", "'s", "3.5", "km", ";", "do", "n't"]),
        ("1,000 and 1,00", ["1,000", "and", "1,00"]),
        ("see https://a.example/x?y=1 now", ["see", "https://a.example/x?y=1", "now"]),
        ("wait... what", ["wait", "...", "what"]),
        ("16GB, a 40-inch COVID-19", ["16", "GB", ",", "a", "40", "-", "inch", "COVID-19"]),
        ("24/7 and/or TCP/IP", ["24/7", "and/or", "TCP", "/", "IP"]),
        ("the end.Start of file.txt", ["the", "end", ".", "Start", "of", "file.txt"]),
        ("Mr. A. Smith of the U.S. cannot", ["Mr.", "A.", "Smith", "of", "the", "U.S.", "can", "not"]),
        ("foo(bar) o'clock it's", ["foo(bar", ")", "o'clock", "it", "'s"]),
        ("état-major", ["état", "-", "major"]),
        ("  \n ", []),
    ],
)
def test_words(text: str, tokens: list[str]) -> None:
    assert Words(text).tokens == tokens


def slow_top(tokens: list[str], n: int) -> int:
    """As datatrove counts: the first of the most frequent n-grams."""
    grams = [" ".join(tokens[place : place + n]) for place in range(len(tokens) - n + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def slow_duplicates(tokens: list[str], n: int) -> int:
    seen: set[str] = set()
    characters = place = 0
    while place < len(tokens) - n + 1:
        gram = "".join(tokens[place : place + n])
        if gram in seen:
            characters += len(gram)
            place += n
        else:
            seen.add(gram)
            place += 1
    return characters


@given(st.lists(st.sampled_from(["mill", "a", "river", "of", "stone", ","]), max_size=120), st.integers(2, 10))
def test_ngrams_are_counted_as_the_plain_algorithm_counts_them(tokens: list[str], n: int) -> None:
    words = Words(" ".join(tokens))
    assert words.tokens == tokens
    assert words.top_ngram_characters(n) == slow_top(tokens, n)
    assert words.duplicate_ngram_characters(n) == slow_duplicates(tokens, n)


@given(st.lists(st.text(max_size=3)))
def test_duplicates_are_what_is_left_of_the_distinct(elements: list[str]) -> None:
    number, characters = duplicates(elements)
    assert number == len(elements) - len(set(elements))
    assert characters == sum(map(len, elements)) - sum(map(len, set(elements)))


@given(st.text(st.sampled_from("a \n\r")))
def test_lines_and_paragraphs_are_what_the_expressions_split(text: str) -> None:
    assert split_lines(text) == re.split(r"\n+", text)
    assert split_paragraphs(text) == re.split(r"\n{2,}", text)


@given(st.text())
def test_no_text_breaks_a_filter(text: str) -> None:
    quality(text)
    repetition(text)
    fineweb(text, FinewebSettings())
    c4(text, C4Settings())
    detect(text)


ENGLISH = "The old mill stands by the river, and every morning the miller opens its doors to the farmers of the valley."
GERMAN = "Die alte Mühle steht am Fluss, und jeden Morgen öffnet der Müller den Bauern des Tales ihre Türen."


@pytest.mark.parametrize(
    ("text", "settings", "rule"),
    [
        (ENGLISH, LanguageSettings(), None),
        (GERMAN, LanguageSettings(), "language/not_wanted"),
        (GERMAN, LanguageSettings(languages=("en", "de")), None),
        (GERMAN, LanguageSettings(languages=()), None),
        (GERMAN, LanguageSettings(enabled=False), None),
        (ENGLISH, LanguageSettings(min_score=1), "language/low_score"),
        ("", LanguageSettings(), "language/not_wanted"),
    ],
)
def test_language(text: str, settings: LanguageSettings, rule: str | None) -> None:
    language, score, verdict = judge_language(text, settings)
    assert (verdict and verdict.rule.name) == rule
    assert text == "" or (language in ("en", "de") and score > 0.8)
