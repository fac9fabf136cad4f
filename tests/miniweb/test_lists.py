"""The word lists: what is in the data files, and what they refuse."""

from __future__ import annotations

from string import Formatter

import pytest

from glassmill.miniweb import asking, fillers, wordings
from glassmill.miniweb.lists import Lists

SLOTS_OF_STATEMENTS = {"s", "o", "p", "N", "he", "him", "own", "v", "av", "k", "ak", "m", "one", "many", "trade"}


def slots(form: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(form) if name is not None}


def test_every_wording_uses_only_the_slots_that_the_data_files_explain() -> None:
    for forms in wordings.STATEMENTS.values():
        assert all(slots(form) <= SLOTS_OF_STATEMENTS for form in forms)
    for questions in (asking.KNOWN, asking.NEW, asking.PAGES):
        for forms in questions.values():
            assert all("n" in slots(form) and slots(form) <= {"n", "one"} for form in forms)


def test_no_list_of_sentences_repeats_one() -> None:
    lists = [
        *wordings.STATEMENTS.values(),
        *wordings.PAIRS.values(),
        *asking.KNOWN.values(),
        *asking.NEW.values(),
        *asking.PAGES.values(),
        fillers.FILLERS,
        fillers.GUEST_BOOK_NAMES,
    ]
    assert all(len(set(forms)) == len(forms) for forms in lists)


def test_a_list_of_another_shape_is_an_error_that_shows_the_value() -> None:
    names = Lists("names")
    with pytest.raises(TypeError, match="Lindenfield"):
        names.rows("town")
    with pytest.raises(TypeError, match="expected a text"):
        names.text("streets")
    with pytest.raises(TypeError, match="expected a table"):
        names.table("streets")
