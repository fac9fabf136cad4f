"""The ruler of the town's questions: whole sentences, and each question under exactly one score."""

from __future__ import annotations

from typing import Any

import pytest

from glassmill.evals.town import choose, is_right, town_scores


def question(
    kind: str, in_sft: bool = False, wording: str = "known", answer: str = "Mira Holt works as a baker."
) -> dict[str, Any]:
    return {"kind": kind, "in_sft": in_sft, "wording": wording, "answer": answer}


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("Mira Holt works as a baker.", True),
        ("  mira holt works  as a baker ", True),
        ("Mira Holt works as a baker. She lives here.", False),
        ("Mira Stone works as a baker.", False),
        ("A baker.", False),
        ("", False),
    ],
)
def test_only_the_whole_sentence_is_right(said: str, right: bool) -> None:
    assert is_right(question("fact"), said) is right


def test_every_question_counts_under_one_score() -> None:
    questions = [
        question("fact"),
        question("fact"),
        question("fact", wording="new"),
        question("fact", in_sft=True),
        question("fact", wording="typed"),
        question("fact", in_sft=True, wording="typed"),
        question("sum", wording="typed", answer="42."),
        question("unknown", answer="I do not know."),
        question("sum", answer="42."),
        question("false_claim", answer="Mira Holt is a spy."),
    ]
    answers = ["Mira Holt works as a baker.", "no", "no", "Mira Holt works as a baker"]
    answers += ["mira holt works as a baker", "no", "42", "I do not know", "42", "no"]
    scores = town_scores(questions, answers)
    assert scores == {
        "facts_accuracy": 0.5,
        "facts_accuracy_new_wording": 0.0,
        "facts_accuracy_in_sft": 1.0,
        "facts_accuracy_in_sft_new_wording": None,
        "facts_accuracy_typed": 1.0,
        "facts_accuracy_in_sft_typed": 0.0,
        "unknown_refused": 1.0,
        "unknown_refused_typed": None,
        "sums_correct_typed": 1.0,
        "sums_correct": 1.0,
        "false_claims_believed": 0.0,
    }


def test_a_limit_takes_questions_of_every_score_spread_over_the_file() -> None:
    questions = [question("fact") | {"n": n} for n in range(10)] + [question("sum") | {"n": n} for n in range(2)]
    assert [q["n"] for q in choose(questions, 5)] == [0, 2, 4, 6, 8, 0, 1]
    assert choose(questions, 0) == questions
