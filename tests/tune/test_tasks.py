"""Files of tasks, and of preference pairs: the common shapes, and the place of what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glassmill.errors import Misshapen, UserError
from glassmill.tune.pairs import pair_of, read_pairs
from glassmill.tune.rewards import Exactly
from glassmill.tune.tasks import read_tasks, task_of

ASKED = {"role": "user", "content": "Who is Ada?"}
GOOD, BAD = {"role": "assistant", "content": "A miller."}, {"role": "assistant", "content": "Who knows?"}


def test_a_task_is_a_question_or_a_conversation_and_what_is_right() -> None:
    plain = task_of({"prompt": "Who is Ada?", "answer": "A miller.", "kind": "fact"})
    assert (plain.messages, plain.kind, plain.reward) == ((ASKED,), "fact", Exactly(("A miller.",)))
    assert task_of({"messages": [GOOD | {"role": "system"}, ASKED], "contains": "miller"}).kind == "contains"
    solved = task_of({"question": "7?", "calculates": 7, "solution": "7."}).solution
    assert solved == {"role": "assistant", "content": "7."}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "it is not an object"),
        ({"answer": "x"}, 'it needs a "prompt"'),
        ({"prompt": [ASKED, GOOD], "answer": "x"}, "its last message must be the user's"),
        ({"prompt": "x"}, "does not say what is right"),
    ],
)
def test_a_row_that_is_no_task_is_named_with_its_line(tmp_path: Path, row: Any, message: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(f"{json.dumps({'prompt': 'a', 'answer': 'b'})}\n{json.dumps(row)}\n")
    with pytest.raises(UserError) as caught:
        read_tasks([str(file)])
    assert f"{file}, line 2 is not a task: " in str(caught.value) and message in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Who is Ada?", "chosen": "A miller.", "rejected": "Who knows?"},
        {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]},
        {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {"prompt": "Who is Ada?", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD], "score_chosen": 9},
        {"question": "Who is Ada?", "chosen": GOOD, "rejected": BAD},
        {"chosen": [{"from": "human", "value": "Who is Ada?"}, {"from": "gpt", "value": "A miller."}],
         "rejected": [{"from": "human", "value": "Who is Ada?"}, {"from": "gpt", "value": "Who knows?"}]},
    ],
)  # fmt: skip
def test_a_pair_in_any_common_shape_is_the_same_pair(row: dict[str, Any]) -> None:
    pair = pair_of(row)
    assert (pair.prompt, pair.chosen, pair.rejected) == ([ASKED], [ASKED, GOOD], [ASKED, BAD])
    assert pair.learned(pair.chosen) == [False, True]


def test_only_what_follows_the_common_turns_is_preferred() -> None:
    again = {"role": "user", "content": "And Bruno?"}
    pair = pair_of({"prompt": [ASKED, GOOD, again], "chosen": "A baker.", "rejected": "No."})
    assert pair.learned(pair.chosen) == [False, False, False, True]
    assert pair_of({"system": "Be short.", "prompt": "x", "chosen": "a", "rejected": "b"}).num_common == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "x", "chosen": "a"}, 'it has no "rejected"'),
        ({"chosen": "Human: x", "rejected": "b"}, '"chosen" is a text, and there is no "prompt"'),
        ({"prompt": "x", "chosen": "a", "rejected": "a"}, "answers are the same"),
        ({"chosen": [ASKED, GOOD], "rejected": [again := {"role": "user", "content": "?"}, BAD]}, "share no prompt"),
        ({"prompt": "x", "chosen": [GOOD, again], "rejected": "b"}, "its last message must be the assistant's"),
        ({"prompt": 3, "chosen": "a", "rejected": "b"}, "neither a text nor a list of messages"),
        ({"prompt": "x", "chosen": 5, "rejected": "b"}, '"chosen" is neither a text nor'),
    ],
)
def test_a_row_that_is_no_pair_says_why(row: dict[str, Any], message: str) -> None:
    with pytest.raises(Misshapen) as caught:
        pair_of(row)
    assert message in str(caught.value)


def test_a_bad_pair_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "x", "chosen": "a", "rejected": "b"}\n{"prompt": "x"}\n')
    with pytest.raises(UserError, match=r"pairs\.jsonl, line 2 is not a preference pair: it has no \"chosen\""):
        list(read_pairs([str(file)]))
