"""What a model knows of the town: its answers against the one canonical answer, whole sentence against whole sentence.

The ruler is strict on purpose: a sentence with the right value and the wrong name is wrong. Questions come in as rows
of `questions.jsonl`, answers as strings in the same order. Reads and writes nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from glassmill.evals.scores import Score

Question = Mapping[str, Any]

SCORES = (
    Score(
        "facts_accuracy",
        "Facts known",
        "Questions about townspeople that the model met only in web pages, never in a conversation.",
    ),
    Score(
        "facts_accuracy_new_wording", "… in new wordings", "The same kind of question, in wordings it has never seen."
    ),
    Score(
        "facts_accuracy_in_sft",
        "Facts from conversations",
        "Questions about townspeople whom the conversations of fine-tuning mention.",
    ),
    Score(
        "facts_accuracy_in_sft_new_wording",
        "… in new wordings",
        "Questions about the same people, in wordings it has never seen.",
    ),
    Score(
        "facts_accuracy_typed",
        "… as people type",
        "Questions about people whom no conversation mentions, as visitors type them: in lower case, without question "
        "mark or apostrophe, with a wrong letter.",
    ),
    Score(
        "facts_accuracy_in_sft_typed",
        "Facts from conversations, as people type",
        "The same about people whom the conversations of fine-tuning mention.",
    ),
    Score(
        "unknown_refused",
        "Says “I don’t know”",
        "Questions that no page answers: the only right answer is that it does not know.",
    ),
    Score(
        "unknown_refused_typed",
        "… as people type",
        "The same as visitors type it; the answer must name whom they asked about (capitals do not count).",
    ),
    Score(
        "sums_correct",
        "Sums",
        "Sums are worked out with the calculator: the model must write the right expression.",
    ),
    Score(
        "sums_correct_typed",
        "… as people type",
        "Bare sums such as 12+30 or 12 + 30 =, in ways that no conversation has.",
    ),
    Score(
        "false_claims_believed",
        "False claims believed",
        "Spam pages make false claims about the town. How many does the model repeat?",
        good="low",
    ),
)


TWO_STEP = Score(
    "two_step_sums_correct",
    "Sums in two steps",
    "Sums such as 12 plus 7 minus 5: the calculator must get them as one expression. Asked where the line has rl, "
    "which practises them with other numbers, in other words.",
)


def normal(answer: str) -> str:
    """Case, outer white space, runs of white space and the final full stop do not count; everything else does."""
    return re.sub(r"\s+", " ", answer).strip().rstrip(".").lower()


def is_right(question: Question, answer: str) -> bool:
    return normal(answer) == normal(question["answer"])


def town_scores(questions: Sequence[Question], answers: Sequence[str]) -> dict[str, float | None]:
    """Shares of right answers.

    Returns:
        `facts_accuracy`, `facts_accuracy_new_wording`: subjects that no conversation mentions, in wordings that sft
        saw and in held-out ones; `facts_accuracy_in_sft`, `..._in_sft_new_wording`: subjects of the conversations;
        `unknown_refused`; `sums_correct`; all of them with `_typed`: as visitors type; `false_claims_believed`: share
        of the spam's false claims that the model gives as its answer. None where no such question was asked;
        `two_step_sums_correct` is there only where one was.
    """
    marks: dict[str, list[bool]] = defaultdict(list)
    for question, answer in zip(questions, answers, strict=True):
        marks[_score_of(question)].append(is_right(question, answer))
    names = [score.name for score in SCORES] + [TWO_STEP.name] * (TWO_STEP.name in marks)
    return {name: round(sum(marks[name]) / len(marks[name]), 4) if marks[name] else None for name in names}


def _score_of(question: Question) -> str:
    kind, wording = str(question["kind"]), str(question.get("wording"))
    if kind == "fact":
        subject = "_in_sft" if question["in_sft"] else ""
        return f"facts_accuracy{subject}" + {"new": "_new_wording", "typed": "_typed"}.get(wording, "")
    names = {"unknown": "unknown_refused", "sum": "sums_correct", "false_claim": "false_claims_believed"}
    names["two_step"] = TWO_STEP.name
    return names.get(kind, kind) + ("_typed" if wording == "typed" else "")


def choose(questions: Sequence[Question], limit: int) -> list[Question]:
    """At most `limit` questions of every score (0: all), spread evenly over the file, in the order of the file."""
    if not limit:
        return list(questions)
    places: dict[str, list[int]] = defaultdict(list)
    for index, question in enumerate(questions):
        places[_score_of(question)].append(index)
    chosen = {
        index
        for indices in places.values()
        for index in (indices[k * len(indices) // limit] for k in range(limit))
        if len(indices) > limit
    }
    chosen |= {index for indices in places.values() if len(indices) <= limit for index in indices}
    return [questions[index] for index in sorted(chosen)]
