"""The native language model says what fastText says, to the last bit of every probability."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.judge import language as module
from glassmill.corpus.judge.language import detect, library_predict, native_predict
from glassmill.corpus.judge.language_model import LabelModel

PIECES = [
    *[
        " ",
        "\0",
        " </s> ",
        "</s>",
        " __label__en",
        "the ",
        "mill ",
        "und ",
        "Mühle ",
        "le moulin ",
        "мельница ",
        "中文",
    ],
    *["한국어 ", "हिन्दी ", "é", "Σ", "<", ">", "-", "'s ", "12 ", "👍", "\ufffd", "x" * 70 + " "],
]
needs_native = pytest.mark.skipif(module._core is None, reason="the native core is not built here")


def check_equal(line: str) -> None:
    for count in (1, 5):
        ours, theirs = native_predict()(line.encode(), count), library_predict()(line.encode(), count)
        assert ours == theirs


@needs_native
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map("".join))
def test_the_native_model_predicts_what_the_library_predicts(line: str) -> None:
    check_equal(line)


@needs_native
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\x85\u2028\u2029"), min_size=1))
def test_the_native_model_agrees_on_any_line(line: str) -> None:
    check_equal(line)


@needs_native
def test_what_is_remembered_of_words_has_a_bound_and_no_effect() -> None:
    before = native_predict()(b"the mill by the river", 1)
    native_predict()(" ".join(map(str, range(90_000))).encode(), 1)
    assert native_predict()(b"the mill by the river", 1) == before


@needs_native
@pytest.mark.parametrize("data", [b"", b"not a model", bytes(200)])
def test_another_file_is_no_model(data: bytes) -> None:
    with pytest.raises(ValueError, match="fastText"):
        LabelModel(data, module._core)


def test_lone_surrogates_and_long_texts_are_no_trouble() -> None:
    assert detect("\ud800 the old mill stands by the river " * 500)[0] == "en"
    assert 0 <= detect("\ud800")[1] <= 1
