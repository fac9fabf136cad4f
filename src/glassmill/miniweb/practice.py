"""What reinforcement learning practises in the town: tasks whose answers can be checked, and held-out ones.

In: a finished MiniWeb run. Out: rows as `rl.tasks` takes them (`glassmill.tune.tasks`). Nothing that the evaluation
asks is practised: subjects are those of the conversations, so people whom only pages mention stay unmentioned; names
that nobody has are those of the conversations; wordings are the conversations' and a list of their own; sums have other
numbers than the evaluation's.

    fact      about a subject of the conversations      unknown   about a name that no page mentions: a refusal
    topic     about a person, but nothing that a page mentions: a refusal
    sum       one calculation, as in conversations      two_step  two calculations in one expression, shown as solved
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.miniweb import asking
from glassmill.miniweb.chance import Deck, stream
from glassmill.miniweb.conversations import TYPED, num_sums
from glassmill.miniweb.questions import OPERATIONS, Ghosts, Question, Sum, ask, make_ghosts, make_sums, refusal
from glassmill.miniweb.visitors import typed, typed_sum
from glassmill.miniweb.world import Fact, Subject, World, canonical
from glassmill.run.finished import read_manifest

SHARES = {"fact": 0.4, "unknown": 0.13, "topic": 0.07, "sum": 0.17, "two_step": 0.23}
NUM_HELD_OUT = 150
"""Held-out sums in two steps."""
MOST, MOST_FACTOR = 99, 12
"""The largest number of a sum in two steps, and the largest that something is multiplied by."""

Row = dict[str, Any]


def read_world(web: Path) -> tuple[World, int, int]:
    """The town of a MiniWeb run, its seed, and how many conversations it has.

    Raises:
        UserError: the run has no town.
    """
    try:
        told = json.loads((web / "world.json").read_text(encoding="utf-8"))
        settings: Any = read_manifest(web)["settings"]
        people, places, events = (
            tuple(Subject(**{**one, "wares": tuple(one["wares"])}) for one in told[kind])
            for kind in ("people", "places", "events")
        )
        claims = tuple((Subject(**subject), Fact(**fact)) for subject, fact in told["false_claims"])
        return World(people, places, events, claims), settings["seed"], settings["settings"]["conversations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{web} is no finished MiniWeb run ({error}); run its stage again") from None


def make_practice(world: World, seed: int, num_conversations: int, count: int) -> list[Row]:
    """`count` tasks, shuffled; equal arguments, equal tasks."""
    ghosts, sums = make_ghosts(world, seed), make_sums(seed, num_sums(num_conversations))
    coach = _Coach(world, ghosts, sums.sft, stream(seed, "practice"))
    numbers = {kind: round(count * share) for kind, share in SHARES.items()}
    rows = [row for kind, number in numbers.items() for row in coach.rows(kind, number)]
    coach.rng.shuffle(rows)
    return rows


def held_out_questions(seed: int) -> list[Question]:
    """Sums in two steps with numbers that are never practised, a third of them in wordings that are not either, as the
    evaluation asks questions."""
    rng = stream(seed, "practice", "held out")
    decks = {wording: Deck(forms, rng) for wording, forms in asking.TWO_STEP.items()}
    rows = list[Question]()
    while len(rows) < NUM_HELD_OUT:
        asked = ("known", "known", "new")[len(rows) % 3]
        form, expression = decks["new" if asked == "new" else "practice"].draw()
        numbers = _numbers(expression, rng)
        if _is_held_out(numbers):
            question, result = form.format_map(numbers), str(_value(expression, numbers))
            written = expression.format_map(numbers)
            rows.append(Question("two_step", question, f"{result}.", result, written, wording=asked))
    return rows


class _Coach:
    """Makes tasks; its decks make sure that all facts and wordings come equally often."""

    def __init__(self, world: World, ghosts: Ghosts, sums: tuple[Sum, ...], rng: random.Random) -> None:
        self.rng = rng
        known = [subject for subject in world.subjects if subject.in_sft]
        self._facts = Deck([(subject, attribute, form) for subject in known for attribute in subject.attributes
                            for form in (*asking.KNOWN[attribute], *asking.PRACTICE[attribute])], rng)  # fmt: skip
        self._ghosts = Deck(ghosts.sft, rng)
        self._sums = Deck(sums, rng)
        self._two_steps = Deck(asking.TWO_STEP["practice"], rng)
        self._people = Deck([subject for subject in known if subject.kind == "person"], rng)
        self._makers = {
            "fact": self._fact,
            "unknown": self._unknown,
            "topic": self._topic,
            "sum": self._sum,
            "two_step": self._two_step,
        }

    def rows(self, kind: str, number: int) -> Iterator[Row]:
        return ({**self._makers[kind](), "kind": kind} for _ in range(number))

    def _fact(self) -> Row:
        subject, attribute, form = self._facts.draw()
        answer = canonical(subject, attribute, subject.facts[attribute])
        return {"prompt": self._written(ask(form, subject), subject.name), "answer": answer}

    def _unknown(self) -> Row:
        ghost = self._ghosts.draw()
        attribute = self.rng.choice(ghost.attributes)
        form = self.rng.choice((*asking.KNOWN[attribute], *asking.PRACTICE[attribute]))
        return {"prompt": self._written(ask(form, ghost), ghost.name), "answer": refusal(ghost.name)}

    def _topic(self) -> Row:
        person, topic = self._people.draw(), self.rng.choice(asking.UNKNOWN_TOPICS)
        question = ask(self.rng.choice(asking.UNKNOWN_TOPIC_WORDINGS), person, topic=topic)
        return {"prompt": self._written(question, person.name), "answer": refusal(f"{person.name}'s {topic}")}

    def _sum(self) -> Row:
        task = self._sums.draw()
        question = self.rng.choice(asking.SUM_KNOWN[task.sign]).format(a=task.left, b=task.right)
        if self.rng.random() < TYPED:
            question = typed_sum(task.left, task.sign, task.right, self.rng, "learning")
        return {"prompt": question, "calculates": task.result}

    def _two_step(self) -> Row:
        form, expression = self._two_steps.draw()
        numbers = _numbers(expression, self.rng)
        while _is_held_out(numbers):
            numbers = _numbers(expression, self.rng)
        written, result = expression.format_map(numbers), str(_value(expression, numbers))
        solution = [
            {"type": "tool_call", "expression": written},
            {"type": "tool_result", "text": result},
            {"type": "text", "text": f"{result}."},
        ]
        return {"prompt": form.format_map(numbers), "calculates": result, "solution": solution}

    def _written(self, question: str, name: str) -> str:
        return typed(question, name, self.rng, "learning") if self.rng.random() < TYPED else question


def _numbers(expression: str, rng: random.Random) -> dict[str, int]:
    """Operands for which no step goes below zero, small ones beside a product."""
    first, second = _signs(expression)
    while True:
        a, b = rng.randint(1, MOST), rng.randint(1, MOST_FACTOR if first == "*" else MOST)
        c = rng.randint(1, MOST_FACTOR if second == "*" else MOST)
        numbers = {"a": a, "b": b, "c": c}
        if OPERATIONS[first](a, b) >= 0 and _value(expression, numbers) >= 0:
            return numbers


def _value(expression: str, numbers: dict[str, int]) -> int:
    """Left to right: every expression here is written so."""
    first, second = _signs(expression)
    return OPERATIONS[second](OPERATIONS[first](numbers["a"], numbers["b"]), numbers["c"])


def _signs(expression: str) -> tuple[str, str]:
    first, second = (sign for sign in expression if sign in OPERATIONS)
    return first, second


def _is_held_out(numbers: dict[str, int]) -> bool:
    """A fifth of all triples, whatever the order of their numbers."""
    return sum(numbers.values()) % 5 == 0
