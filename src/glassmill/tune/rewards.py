"""Rewards: is what a model said right? A task's row in, a function from an answer to a number out.

    answer      the one right answer, word for word but for case, white space and the final full stop
    answers     one of several
    contains    one of these texts stands in the answer, as whole words
    calculates  the answer is this number, and it came from the calculator
    json        the answer is JSON; where keys are listed, an object with all of them
    refuses     the answer says that the model does not know, and names what

`create` makes one from a row, `score` says what an answer is worth. Anything with a method `score` is a reward: `rl`
knows no other names than these two. An answer that was cut off at its longest is worth nothing, whatever it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from glassmill.errors import Misshapen
from glassmill.evals.own import NOT_KNOWING, plain, stands_in
from glassmill.evals.town import normal
from glassmill.infer.compose import ToolUse

KINDS = ("calculates", "json", "refuses", "contains", "answer", "answers")
"""Keys of a row that say what is right; the first that a row has decides."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Attributes:
        text: What a reader sees.
        uses: Of the calculator.
        finished: It came to its end.
    """

    text: str
    uses: tuple[ToolUse, ...] = ()
    finished: bool = True


class Reward(Protocol):
    """What an answer is worth."""

    def score(self, said: Said) -> float:
        """Higher is better; the shipped ones give 0 or 1."""
        ...


def create(row: Mapping[str, Any]) -> Reward:
    """The reward that a task's row asks for.

    Raises:
        Misshapen: it asks for none, or in another shape.
    """
    kind = next((kind for kind in KINDS if kind in row), None)
    match kind, row.get(kind or ""):
        case None, _:
            raise Misshapen(f"it does not say what is right; give it one of {', '.join(sorted(KINDS))}")
        case (("answer" | "answers"), value):
            return Exactly(_texts(value, str(kind)))
        case "contains", value:
            return Contains(_texts(value, "contains"))
        case "calculates", str() | int() | float() as value if not isinstance(value, bool):
            return Calculates(str(value))
        case "json", list() | tuple() | bool() as keys if keys is not False:
            return Json(() if keys is True else _texts(keys, "json"))
        case "refuses", str() as what if what.strip():
            return Refuses(what)
    raise Misshapen(f'"{kind}" is {row[str(kind)]!r:.40}; see the tasks that a run of rl leaves for its shape')


@dataclass(frozen=True, slots=True)
class Exactly:
    """The answer is one of these."""

    answers: tuple[str, ...]

    def score(self, said: Said) -> float:
        return float(said.finished and normal(said.text) in {normal(answer) for answer in self.answers})


@dataclass(frozen=True, slots=True)
class Contains:
    """One of these stands in the answer."""

    answers: tuple[str, ...]

    def score(self, said: Said) -> float:
        return float(said.finished and stands_in(self.answers, said.text))


@dataclass(frozen=True, slots=True)
class Calculates:
    """The answer is this number alone, and the calculator's last result."""

    result: str

    def score(self, said: Said) -> float:
        right = normal(said.text) == normal(self.result)
        return float(said.finished and right and bool(said.uses) and said.uses[-1].result == self.result)


@dataclass(frozen=True, slots=True)
class Json:
    """The answer is JSON and nothing else; with keys, an object that has them."""

    keys: tuple[str, ...] = ()

    def score(self, said: Said) -> float:
        try:
            value = json.loads(said.text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            return 0.0
        return float(said.finished and (not self.keys or (isinstance(value, dict) and value.keys() >= set(self.keys))))


@dataclass(frozen=True, slots=True)
class Refuses:
    """The answer says that the model does not know this."""

    what: str

    def score(self, said: Said) -> float:
        refused = NOT_KNOWING.search(plain(said.text)) is not None
        return float(said.finished and refused and stands_in([self.what], said.text))


def _texts(value: object, key: str) -> tuple[str, ...]:
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    numbers = [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in values]
    if not numbers or not all(isinstance(one, str) and one.strip() for one in numbers):
        raise Misshapen(f'"{key}" must be a text or a list of texts')
    return tuple(str(one) for one in numbers)


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
