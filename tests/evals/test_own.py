"""Own questions: read from what people have, scored row by row, with or without the town's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glassmill.errors import UserError
from glassmill.evals import eval as verb
from glassmill.evals import town
from glassmill.evals.own import is_all_of, own_scores, read_questions, stands_in
from glassmill.infer.completion import Reply
from glassmill.recipe import EvalSettings
from glassmill.run import kinds


@pytest.mark.parametrize(
    ("answers", "said", "stands", "is_all"),
    [
        (["Paris"], "Paris", True, True),
        (["Paris"], " paris. ", True, True),
        (["Paris"], "The capital of France is Paris.", True, False),
        (["Paris", "Lutetia"], "It was called Lutetia!", True, False),
        (["Paris"], "Parisians know.", False, False),
        (["4"], "It is 14.", False, False),
        (["4"], "It is 4.", True, False),
        (["4.5"], "4.5", True, True),
        (["C++"], "Use C++, please", True, False),
        (["Paris."], "“Paris”", True, True),
        (["two  words"], "two\nwords", True, True),
        (["Straße"], "STRASSE", True, True),
        (["Paris"], "", False, False),
        (["..."], "anything", False, False),
    ],
)
def test_an_answer_stands_in_what_was_said_or_is_all_of_it(
    answers: list[str], said: str, stands: bool, is_all: bool
) -> None:
    assert (stands_in(answers, said), is_all_of(answers, said)) == (stands, is_all)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.jsonl", '{"question": "2+2?", "answer": "4"}\n\n{"question": "Who?", "answer": ["Ada", "Bea"]}\n'),
        ("q.jsonl", '\ufeff{"question": "2+2?", "answer": 4}\r\n{"question": "Who?", "answers": ["Ada", "Bea"]}\r\n'),
        ("q.json", '[{"question": "2+2?", "answer": "4"}, {"question": "Who?", "answer": ["Ada", "Bea"]}]'),
        ("q.csv", 'Question,Answer\n2+2?,4\nWho?,"Ada or Bea"\n'),
    ],
)
def test_common_files_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    rows = read_questions(tmp_path / name)
    assert [(row["kind"], row["question"], row["answer"]) for row in rows] == [
        ("own", "2+2?", "4"),
        ("own", "Who?", "Ada or Bea"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "q"}', 'line 1: each row needs an "answer"'),
        ('{"question": "q", "answer": "a"}\n{"answer": "a"}', 'line 2: each row needs a text "question"'),
        ('{"question": "q", "answer": []}', 'needs an "answer"'),
        ('{"question": "q", "answer": [1]}', 'needs an "answer"'),
        ('{"question": "q", "answer": "  "}', 'needs an "answer"'),
        ('{"question": "q", "answer": true}', 'needs an "answer"'),
        ('"q"', 'needs a text "question"'),
        ("[1, 2", "q.jsonl is not valid JSON \\(Expecting"),
        ("hello", "line 1 is not valid JSON"),
        ("", "has no questions"),
    ],
)
def test_a_row_without_question_or_answer_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_questions(tmp_path / "q.jsonl")
    assert "q.jsonl" in str(caught.value) and "\n" not in str(caught.value)


class Parrot:
    """A model that answers every question with one sentence."""

    def reply_all(self, conversations: Any, max_tokens: int, logprobs: int) -> list[Reply]:
        return [Reply("It is 4.", ("It is 4.",), (), "stop", 1, 1)] * len(list(conversations))


def test_own_questions_are_scored_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "2+2?", "answer": ["4", "four"]}\n{"question": "Who?", "answer": "Ada"}\n')
    events: list[kinds.Event] = []
    shown = verb.score(Parrot(), EvalSettings(questions=str(path)), 7, None, None, events.append)  # type: ignore[arg-type]
    assert shown.scores == {"own_questions": 0.5, "own_questions_exactly": 0.0}
    assert [(row["question"], row["said"], row["right"]) for row in shown.answers] == [
        ("2+2?", "It is 4.", True),
        ("Who?", "It is 4.", False),
    ]
    assert any(isinstance(event, kinds.Answer) for event in events)


def test_a_limit_counts_own_questions_too() -> None:
    rows = [{"kind": "own", "question": str(n), "answers": ["x"], "answer": "x"} for n in range(9)]
    assert [row["question"] for row in town.choose(rows, 3)] == ["0", "3", "6"]
    assert own_scores([], []) == {}


def test_the_towns_questions_keep_their_scores_beside_own_ones(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    fact = (
        '{"kind": "sum", "question": "2+2?", "answer": "It is 4.", "value": "4", "subject": "2+2", "attribute": "", '
        '"in_sft": false, "wording": "typed"}'
    )
    path.write_text(fact + '\n{"question": "Who?", "answer": "Ada"}\n')
    shown = verb.score(Parrot(), EvalSettings(questions=str(path)), 7, None, None, lambda event: None)  # type: ignore[arg-type]
    assert shown.scores["sums_correct_typed"] == 1 and shown.scores["own_questions"] == 0
    assert shown.scores["facts_accuracy"] is None
