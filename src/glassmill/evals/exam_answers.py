"""An exam is taken: a model alone, and with passages of the documents, free or quoting; what was said, and the scores.

In: a model, the rows of an exam, an index of the documents. Out: every answer with its mark, whether the passage it
cites first holds the right answer, and for each way to answer the share of right answers with its 95 % interval.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypedDict

from glassmill.errors import ContextOverflow
from glassmill.evals.exam_scores import difference_interval, holds, is_right, share_interval
from glassmill.infer.generate import Message, Model, answer_params
from glassmill.infer.grounding import NOTHING, Documents, Grounded

Way = Literal["bare", "free", "quote"]
WAYS: tuple[Way, ...] = ("bare", "free", "quote")
ANSWER_TOKENS = 64
TOO_LONG = "(the question and a passage do not fit into the model's context)"


class Answered(TypedDict):
    """A question and what was said. `cites`: the document cited first; `held`: whether that passage has the answer."""

    question: str
    kind: str
    part: str
    answers: list[str]
    said: str
    right: bool
    cites: str | None
    held: bool


class WayScore(TypedDict):
    """A way to answer, on the questions that are held out: shares, with 95 % intervals.

    Attributes:
        way: Its name; that of a trained model's begins with `adapted_`.
        gain: `right` minus that of the model alone; its interval is of the difference.
        cited: Of the right answers, those whose first citation holds the answer.
        unanswered: Where the documents say nothing, by what the search found.
        seconds: Of processor time, for all questions.
    """

    way: str
    asked: int
    right: float
    right_interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]
    cited: float | None
    cited_interval: tuple[float, float]
    unanswered: float
    kinds: dict[str, float]
    chosen_by: float
    seconds: float


def take_exam(model: Model, rows: Sequence[Mapping[str, Any]], way: Way, documents: Documents) -> list[Answered]:
    """The answers to all questions, computed as a batch."""
    params = answer_params(ANSWER_TOKENS, {})
    grounds: list[Grounded | None] = []
    prompts, forms, places = [], [], []
    said = [NOTHING] * len(rows)
    for place, row in enumerate(rows):
        messages: list[Message] = [{"role": "user", "content": row["question"]}]
        try:
            ground = None if way == "bare" else documents.ground(model, messages, ANSWER_TOKENS, way)
        except ContextOverflow:
            grounds.append(None)
            said[place] = TOO_LONG
            continue
        grounds.append(ground)
        if ground is None or ground.hits:
            prompts.append(model.chat_ids(ground.messages if ground else messages))
            forms.append(replace(params, grammar=ground.grammar, tools=False) if ground and ground.grammar else params)
            places.append(place)
    for place, completion in zip(places, model.engine.submit_all(prompts, forms, may_exceed_queue=True), strict=True):
        said[place] = completion.reply().text
    return [_marked(row, text, ground) for row, text, ground in zip(rows, said, grounds, strict=True)]


def _marked(row: Mapping[str, Any], said: str, ground: Grounded | None) -> Answered:
    question, answers = row["question"], row["answers"]
    cited = ground.citations(said) if ground else []
    return {
        "question": question,
        "kind": str(row.get("form", "own")),
        "part": row["part"],
        "answers": answers,
        "said": said,
        "right": is_right(question, answers, said),
        "cites": cited[0].hit.document if cited else None,
        "held": bool(cited) and holds(question, answers, cited[0].hit.text),
    }


def way_score(way: str, answered: Sequence[Answered], bare: Sequence[Answered], seed: int, seconds: float) -> WayScore:
    """The score of a way on the held-out questions, beside the model alone; `chosen_by` is its share on the others."""
    held_out = [one for one in answered if one["part"] == "held_out"]
    alone = [one["right"] for one in bare if one["part"] == "held_out"]
    choose = [one["right"] for one in answered if one["part"] != "held_out"] or [one["right"] for one in held_out]
    right = [one["right"] for one in held_out]
    cited = [one["held"] for one in held_out if one["right"]]
    kinds = {one["kind"]: [other["right"] for other in held_out if other["kind"] == one["kind"]] for one in held_out}
    return {
        "way": way,
        "asked": len(right),
        "right": _share(right),
        "right_interval": _rounded(share_interval(sum(right), len(right))),
        "gain": round(_share(right) - _share(alone), 4),
        "gain_interval": _rounded(difference_interval(alone, right, seed)),
        "cited": _share(cited) if not way.endswith("bare") and cited else None,
        "cited_interval": _rounded(share_interval(sum(cited), len(cited))),
        "unanswered": _share([one["said"] == NOTHING for one in held_out]),
        "kinds": {kind: _share(marks) for kind, marks in kinds.items()},
        "chosen_by": _share(choose),
        "seconds": round(seconds, 1),
    }


def timed(
    model: Model, rows: Sequence[Mapping[str, Any]], way: Way, documents: Documents
) -> tuple[list[Answered], float]:
    """`take_exam`, and the seconds of processor time that it took."""
    begin = time.process_time()
    return take_exam(model, rows, way, documents), time.process_time() - begin


def _share(marks: Sequence[bool]) -> float:
    return round(sum(marks) / len(marks), 4) if marks else 0.0


def _rounded(interval: tuple[float, float]) -> tuple[float, float]:
    return round(interval[0], 4), round(interval[1], 4)
