"""Questions of your own: what a model answers, against the answers that you expect.

In: rows of `{question, answer}`; `answer` may be a list of answers, any of which is right (`answers` too). A model that
speaks in sentences rarely gives an answer word for word, so two things are scored: whether it stands in what the model
said, and whether it is all that the model said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.evals.scores import Score
from glassmill.run.rows import read_rows

KIND = "own"
SCORES = (
    Score("own_questions", "Your questions", "Your own questions: one of the expected answers stands in what it said."),
    Score("own_questions_exactly", "… word for word", "Nothing but one of the expected answers was said."),
)
NOT_KNOWING = re.compile(r"\b(?:do not|don't|don’t|does not|cannot|can't) (?:know|say|tell)\b|\bnever (?:read|heard)\b")
"""How an answer says that the model does not know."""
EDGES = " \t\n.,;:!?\"'“”‘’()"


def read_questions(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of questions; those of a MiniWeb have more keys, which are kept.

    Raises:
        UserError: no such file, or a row without a question and an answer; the message has file and line.
    """
    questions = []
    for place, row in read_rows(path):
        if not isinstance(row, Mapping) or not isinstance(question := row.get("question", row.get("prompt")), str):
            raise UserError(f'{place}: each row needs a text "question"')
        answers = row.get("answer", row.get("answers"))
        if isinstance(answers, str | int | float) and not isinstance(answers, bool):
            answers = [str(answers)]
        if not isinstance(answers, list) or not answers or not all(isinstance(a, str) and a.strip() for a in answers):
            raise UserError(f'{place}: each row needs an "answer", a text or a list of texts')
        own = {} if is_town(row) else {"kind": KIND, "answers": answers}
        questions.append({**row, "question": question, "answer": " or ".join(answers), **own})
    if not questions:
        raise UserError(f"{path} has no questions")
    return questions


def is_town(row: Mapping[str, Any]) -> bool:
    """Whether a row is a MiniWeb's: those are scored in kinds."""
    return {"kind", "value", "subject", "in_sft", "wording"} <= row.keys()


def plain(text: str) -> str:
    """The text without case, runs of white space, and punctuation at its edges."""
    return " ".join(text.casefold().split()).strip(EDGES)


def stands_in(answers: Sequence[str], said: str) -> bool:
    """Whether one of the answers stands in what was said, as whole words."""
    text = plain(said)
    return any(re.search(rf"(?<!\w){re.escape(plain(answer))}(?!\w)", text) for answer in answers if plain(answer))


def is_all_of(answers: Sequence[str], said: str) -> bool:
    """Whether what was said is one of the answers and nothing else."""
    return plain(said) in {plain(answer) for answer in answers}


def own_scores(questions: Sequence[Mapping[str, Any]], said: Sequence[str]) -> dict[str, float]:
    """`own_questions` and `own_questions_exactly`, shares; nothing where there are no own questions."""
    asked = [(row["answers"], text) for row, text in zip(questions, said, strict=True) if row["kind"] == KIND]
    if not asked:
        return {}
    return {
        score.name: round(sum(right(answers, text) for answers, text in asked) / len(asked), 4)
        for score, right in zip(SCORES, (stands_in, is_all_of), strict=True)
    }
