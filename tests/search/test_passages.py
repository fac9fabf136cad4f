"""Passages hold every word of a document once, and end where sentences and lines do."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from glassmill.search.lines import Match, best_lines, matches_of, sentences
from glassmill.search.passages import MOST_LEADING_WORDS, MOST_WORDS, passages
from glassmill.search.question import terms

TEXTS = st.lists(
    st.sampled_from(["word", "An end.", "\n", "\n\n", " ", "--option=X\n", "Heading\n\n", "é " * 40, "long " * 200]),
    max_size=30,
).map("".join)


@given(text=st.one_of(st.text(), TEXTS))
def test_every_word_is_in_exactly_one_passage(text: str) -> None:
    cut = passages(text)
    assert [word for start, end in cut for word in text[start:end].split()] == text.split()
    assert all(before.end <= after.start for before, after in itertools.pairwise(cut))


@given(text=TEXTS)
def test_no_passage_is_longer_than_the_longest_with_what_leads_to_it(text: str) -> None:
    assert all(len(text[start:end].split()) <= MOST_WORDS + MOST_LEADING_WORDS for start, end in passages(text))


def test_an_option_stays_with_its_description() -> None:
    before = "This sentence has eight words and a stop. " * 12
    text = f"{before}\n\n--exclude=PATTERN\n\nExclude files that match the pattern."
    assert [text[start:end] for start, end in passages(text)] == [
        before.strip(),
        "--exclude=PATTERN\n\nExclude files that match the pattern.",
    ]


def test_a_long_line_is_cut_behind_a_sentence() -> None:
    text = "One two three four five six seven. " * 60
    assert all(text[start:end].endswith("seven.") for start, end in passages(text))


@given(text=st.text())
def test_sentences_hold_every_word_in_order(text: str) -> None:
    assert [word for start, end in sentences(text) for word in text[start:end].split()] == text.split()


def test_the_best_lines_begin_with_what_was_asked_for() -> None:
    text = "It stops in winter.\nThe wheel turns at eleven revolutions.\nIce stops the wheel. " + "More of it. " * 20
    where = [
        Match(text.index("wheel"), "wheel"),
        Match(text.rindex("Ice"), "ice"),
        Match(text.rindex("wheel"), "wheel"),
    ]
    start, end, _ = best_lines(text, where, {"wheel": 2.0, "ice": 1.0})
    assert text[start:].startswith("Ice stops the wheel.") and len(text[start:end].split()) <= 30


def test_marks_of_the_index_become_places_in_the_text() -> None:
    marked = "The \x02mills\x03 by the \x02river\x03."
    assert matches_of(marked, ["river", "mill"]) == [Match(4, "mill"), Match(17, "river")]


def test_a_question_is_looked_for_by_the_words_that_say_something() -> None:
    assert terms("What does the option --exclude-from of tar do, and what is tar's default?") == [
        "option",
        "exclude-from",
        "tar",
        "tar's",
        "default",
    ]
    assert terms('  "?" ') == [] and terms("who is it") == []
