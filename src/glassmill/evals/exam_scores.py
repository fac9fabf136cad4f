"""How an exam is marked: is the answer right, does the cited passage hold it, and how sure are the shares.

An answer of up to three words is right if it stands in what was said, as `own.py` has it. A longer one is a
description, which nobody repeats word for word: it is right if at least `RECALL` of its words that say something (no
stop words, none of the question) stand in what was said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassmill.evals.own import read_questions, stands_in
from glassmill.search.question import STOP_WORDS

SHORT_WORDS = 3
RECALL = 0.6
RESAMPLES = 10_000
_WORD = re.compile(r"\w+")


def read_exam(path: Path) -> list[dict[str, Any]]:
    """The questions of an exam, or of any file that `glassmill eval --questions` takes, which is held out as a whole.

    Raises:
        UserError: No such file, or a row without a question and an answer.
    """
    rows = read_questions(path)
    known = any(row.get("part") == "held_out" for row in rows)
    return [{**row, "part": row["part"] if known and row.get("part") == "choose" else "held_out"} for row in rows]


def is_right(question: str, answers: Sequence[str], said: str) -> bool:
    """Whether one of the answers was said."""
    return any(_said(question, answer, said) for answer in answers)


def holds(question: str, answers: Sequence[str], passage: str) -> bool:
    """Whether one of the answers stands in a passage: word for word, but for white space."""
    text = " ".join(passage.split())
    return stands_in(answers, text) or any(" ".join(answer.split()) in text for answer in answers)


def _said(question: str, answer: str, said: str) -> bool:
    if len(answer.split()) <= SHORT_WORDS:
        return stands_in([answer], said)
    known = set(_words(question))
    wanted = set(_words(answer)) - known or set(_words(answer))
    return len(wanted & set(_words(said))) >= RECALL * len(wanted)


def _words(text: str) -> list[str]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return [word for word in words if word not in STOP_WORDS] or words


def share_interval(right: float, asked: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); from 0 to 1 if nothing was asked.

    >>> [round(bound, 3) for bound in share_interval(8, 10)]
    [0.49, 0.943]
    """
    if not asked:
        return 0.0, 1.0
    z = 1.959964
    centre = (right + z * z / 2) / (asked + z * z)
    half = z * math.sqrt(right * (asked - right) / asked + z * z / 4) / (asked + z * z)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference_interval(first: Sequence[bool], second: Sequence[bool], seed: int) -> tuple[float, float]:
    """The 95 % interval of `second`'s share minus `first`'s, of the same questions: bootstrap over them."""
    gained = np.array(second, dtype=np.int8) - np.array(first, dtype=np.int8)
    drawn = np.random.default_rng(seed).integers(0, len(gained), (RESAMPLES, len(gained)))
    low, high = np.percentile(gained[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def marks(rows: Sequence[Mapping[str, Any]], said: Sequence[str]) -> list[bool]:
    """Which answers are right."""
    return [is_right(row["question"], row["answers"], text) for row, text in zip(rows, said, strict=True)]
