"""Rewards: which answers are right, and which rows ask for something that is none."""

from __future__ import annotations

from typing import Any

import pytest

from glassmill.errors import Misshapen
from glassmill.infer.compose import ToolUse
from glassmill.tune.rewards import Said, create

SUM = (ToolUse("12+7-5", "14"),)


@pytest.mark.parametrize(
    ("row", "said", "worth"),
    [
        ({"answer": "Ada is a miller."}, Said("ada is  a miller"), 1),
        ({"answer": "Ada is a miller."}, Said("Ada is a miller and more."), 0),
        ({"answer": "Ada is a miller."}, Said("Ada is a miller.", finished=False), 0),
        ({"answers": ["yes", "Yes, she is."]}, Said("yes, she is"), 1),
        ({"answer": 14}, Said("14."), 1),
        ({"contains": ["miller", "mill"]}, Said("She works as a Miller, they say."), 1),
        ({"contains": "mill"}, Said("She works as a miller."), 0),
        ({"calculates": 14}, Said("14.", SUM), 1),
        ({"calculates": "14"}, Said("14."), 0),
        ({"calculates": 14}, Said("The answer is 14.", SUM), 0),
        ({"calculates": 15}, Said("15.", SUM), 0),
        ({"json": True}, Said('[1, {"a": null}]'), 1),
        ({"json": True}, Said("{'a': 1}"), 0),
        ({"json": True}, Said("NaN"), 0),
        ({"json": ["name", "age"]}, Said('{"name": "Ada", "age": 3, "more": 1}'), 1),
        ({"json": ["name", "age"]}, Said('{"name": "Ada"}'), 0),
        ({"json": ["name"]}, Said('["name"]'), 0),
        ({"json": True}, Said("[" * 100_000), 0),
        ({"refuses": "Ada Holt"}, Said("I do not know that; I never read about Ada Holt."), 1),
        ({"refuses": "Ada Holt"}, Said("Sorry, I don’t know Ada Holt."), 1),
        ({"refuses": "Ada Holt"}, Said("I do not know that."), 0),
        ({"refuses": "Ada Holt"}, Said("Ada Holt is a miller."), 0),
    ],
)
def test_what_an_answer_is_worth(row: dict[str, Any], said: Said, worth: int) -> None:
    assert create(row).score(said) == worth


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "?"}, "does not say what is right; give it one of answer, answers, calculates, contains"),
        ({"answer": ""}, '"answer" must be a text or a list of texts'),
        ({"answers": []}, '"answers" must be a text or a list of texts'),
        ({"contains": [["a"]]}, '"contains" must be a text or a list of texts'),
        ({"calculates": True}, '"calculates" is True'),
        ({"json": False}, '"json" is False'),
        ({"refuses": 3}, '"refuses" is 3'),
    ],
)
def test_a_row_that_asks_for_no_reward_is_told_what_is_missing(row: dict[str, Any], message: str) -> None:
    with pytest.raises(Misshapen) as caught:
        create(row)
    assert message in str(caught.value)
