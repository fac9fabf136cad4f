"""Masking costs in proportion to the text, whatever the text is."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.corpus.pii import find
from glassmill.corpus.pii import house_numbers as house_numbers_module
from glassmill.corpus.pii.scan import Scan
from glassmill.corpus.pii.streets import find_addresses


@pytest.mark.parametrize(
    "unit",
    [
        "a.",
        "a@",
        "@",
        "1 ",
        "1-",
        "12 Main ",
        "::",
        "1.1.",
        "(",
        "+1",
        "1 A ",
        "a@b.c",
        "555-555-5555 ",
        "call ",
        "[at]",
        "1 Main St ",
        "A1 ",
        "GB82WEST1234",
        "1 Aa",
        "1 Aa ",
        "12345 ",
        "Box 1 ",
        "corner of A ",
        "lives at A 1 ",
        "1 Main St\nA\n",
        "rue de la 1 ",
        "+1 2 3 4 5 6",
        "=",
        "password=",
        "://a:b",
        "eyJ",
        "sk-",
        "-----BEGIN PRIVATE KEY-----",
        "1.2.3.4 ",
        "phone 1234567 ",
        "Via 7 ",
        "\u0661 ",
    ],
)
def test_work_grows_with_the_text_and_not_faster(unit: str) -> None:
    """Four times the text, at most six times the calls and the characters given to expressions and searches."""

    def work(size: int) -> int:
        text = (unit * size)[:size]
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            find(text)
        finally:
            sys.setprofile(None)
        return calls

    assert work(12_000) < 6 * work(3_000) + 200


@given(
    st.lists(
        st.sampled_from(["12 Main Street", "Via Roma 7", "1 A ", " 345 ", "Apt. 3, ", "lives at Jahu 80 "]),
        min_size=300,
        max_size=400,
    )
)
@settings(max_examples=20)
def test_a_dense_text_is_judged_like_one_piece_of_it(pieces: list[str]) -> None:
    """Numbers without a sign of an address around them are passed over in dense texts: nothing is lost by that."""
    text = "; ".join(pieces)
    dense = list(find_addresses(Scan(text)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house_numbers_module, "MIN_DENSE_CHARACTERS", 10**9)
        assert dense == list(find_addresses(Scan(text)))
