"""Calibration: does a model know when it is right? Its own probability of an answer against how often that is right.

In: of every answer how sure the model was, its credit, and what kind of answer it is. Out: a reliability table with its
summary numbers (Guo et al. 2017, arXiv 1706.04599, section 2; Brier 1950). Reads and writes nothing.

How sure: of a written answer the probability of all of its tokens, its end included, as the model drew them; of a
chosen one its share of the probability of all choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from glassmill.evals.exam_scores import share_interval
from glassmill.evals.own import NOT_KNOWING, plain
from glassmill.evals.scores import Score
from glassmill.infer.completion import Reply

NUM_BINS = 10
ROUND_TO = 4
Outcome = Literal["knows", "refuses", "wrong"]
OUTCOMES: tuple[Outcome, ...] = ("knows", "refuses", "wrong")

ERROR = Score(
    "calibration_error",
    "Misjudges its answers",
    "How far its own probability of an answer is from the share of such answers that are right, on average. At 0 % it "
    "is right as often as it is sure: of answers given with 70 %, seven in ten.",
    good="low",
)


class Bin(TypedDict):
    """Answers given with a probability above `low` and up to `high`.

    Attributes:
        answers: How many.
        sure: Their mean probability; None without answers, as are the others.
        right: The share that is right, with its 95 % interval.
        knows, refuses, wrong: How many say the right thing, say that they do not know, and say something wrong.
    """

    low: float
    high: float
    answers: int
    sure: float | None
    right: float | None
    interval: tuple[float, float]
    knows: NotRequired[int]
    refuses: NotRequired[int]
    wrong: NotRequired[int]


class Calibration(TypedDict):
    """Of all answers.

    Attributes:
        sure, right: Mean probability, and the share that is right.
        error: Expected calibration error: the mean distance of `sure` and `right` of a bin, weighted by its answers.
        brier: Mean squared distance of probability and credit; 0.25 is what never deciding gets.
    """

    answers: int
    sure: float
    right: float
    error: float
    brier: float
    bins: list[Bin]


def calibration(sure: npt.ArrayLike, credit: npt.ArrayLike, outcomes: Sequence[Outcome] = ()) -> Calibration | None:
    """The table; None without answers.

    Args:
        sure: Probability of each answer, 0 to 1.
        credit: 1 for a right one, 0 for a wrong one; ties share the point.
        outcomes: What each of them is, if that is to be told.
    """
    p, right = np.asarray(sure, np.float64), np.asarray(credit, np.float64)
    if not len(p):
        return None
    place = np.clip(np.ceil(p * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    bins = [_bin(number, p[place == number], right[place == number]) for number in range(NUM_BINS)]
    if outcomes:
        said = np.asarray(outcomes)
        for number, one in enumerate(bins):
            for name in OUTCOMES:
                one[name] = int((said[place == number] == name).sum())
    gaps = [abs(float(p[place == number].sum() - right[place == number].sum())) for number in range(NUM_BINS)]
    return {
        "answers": len(p),
        "sure": _rounded(p.mean()),
        "right": _rounded(right.mean()),
        "error": _rounded(sum(gaps) / len(p)),
        "brier": _rounded(((p - right) ** 2).mean()),
        "bins": bins,
    }


def probability(reply: Reply) -> float:
    """Of a reply that was asked for with `logprobs`: of all tokens that the model wrote, not of what tools gave."""
    own = (token.logprobs.logprob for token in reply.tokens if token.logprobs and not token.forced)
    return math.exp(min(0.0, sum(own)))


def outcome(said: str, right: bool) -> Outcome:
    """What kind of answer it is. To say that one does not know is a refusal, whether it is right or not."""
    if NOT_KNOWING.search(plain(said)):
        return "refuses"
    return "knows" if right else "wrong"


def choice_probability(log_probabilities: Iterable[float]) -> float:
    """The share of the likeliest choice in the probability of all.

    >>> round(choice_probability([math.log(0.03), math.log(0.01)]), 6)
    0.75
    """
    values = np.fromiter(log_probabilities, np.float64)
    return float(1 / np.exp(values - values.max()).sum())


def _bin(number: int, p: np.ndarray, right: np.ndarray) -> Bin:
    low, high = share_interval(float(right.sum()), len(right))
    return {
        "low": number / NUM_BINS,
        "high": (number + 1) / NUM_BINS,
        "answers": len(p),
        "sure": _rounded(p.mean()) if len(p) else None,
        "right": _rounded(right.mean()) if len(p) else None,
        "interval": (_rounded(low), _rounded(high)),
    }


def _rounded(value: float) -> float:
    return round(float(value), ROUND_TO)
