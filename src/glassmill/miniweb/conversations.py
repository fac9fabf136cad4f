"""The conversations for sft: facts about some of the subjects, unknown things, sums by calculator, and small talk.

In: the world, and the ghosts and sums reserved for conversations. Out: the rows of `conversations.jsonl`. The answer to
a sum has three parts: the calculator call, its result, and the text. A share of the questions is asked as visitors type
(`visitors.py`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypedDict

from glassmill.miniweb import asking
from glassmill.miniweb.chance import Deck, stream
from glassmill.miniweb.questions import Sum, ask, refusal
from glassmill.miniweb.visitors import typed, typed_sum
from glassmill.miniweb.world import Subject, World, canonical


class Message(TypedDict):
    """One turn; the answer to a sum has a list of parts as its content."""

    role: str
    content: str | list[dict[str, str]]


class Conversation(TypedDict):
    """A row of `conversations.jsonl`."""

    messages: list[Message]
    kind: str


# Shares of all conversations; two_turn ones combine two of the other kinds.
SHARES = {"fact": 0.50, "who": 0.02, "unknown": 0.09, "topic": 0.07, "sum": 0.21, "small_talk": 0.04, "two_turn": 0.07}
TYPED = 0.3
"""Share of the questions that are asked as visitors type them."""


def make_conversations(world: World, seed: int, count: int, ghosts: Sequence[Subject],
                       sums: Sequence[Sum]) -> list[Conversation]:  # fmt: skip
    """`count` conversations, shuffled; equal seeds give equal conversations."""
    teller = _Teller(world, stream(seed, "conversations"), stream(seed, "conversations", "typed"), ghosts, sums)
    numbers = {kind: round(count * share) for kind, share in SHARES.items()}
    numbers["fact"] += count - sum(numbers.values())
    rows: list[Conversation] = [
        {"messages": teller.turns(kind), "kind": kind} for kind, number in numbers.items() for _ in range(number)
    ]
    teller.rng.shuffle(rows)
    return rows


def num_sums(count: int) -> int:
    """How many different sums `count` conversations need."""
    return max(1, round(count * (SHARES["sum"] + SHARES["two_turn"] / 3)))


class _Teller:
    """Makes turns; its decks make sure that every fact is asked about equally often and in every wording."""

    def __init__(self, world: World, rng: random.Random, visitors: random.Random, ghosts: Sequence[Subject],
                 sums: Sequence[Sum]) -> None:  # fmt: skip
        self.rng, self.visitors = rng, visitors
        known = [subject for subject in world.subjects if subject.in_sft]
        self._facts = Deck([(subject, attribute, form) for subject in known for attribute in subject.attributes
                            for form in asking.KNOWN[attribute]], rng)  # fmt: skip
        self._people = Deck([subject for subject in known if subject.kind == "person"], rng)
        self._ghosts = Deck(ghosts, rng)
        self._sums = Deck(sums, rng)
        self._talk = Deck([(word, answer) for words, answer in asking.SMALL_TALK for word in words], rng)
        self._makers = {
            "fact": self._fact,
            "who": self._who,
            "unknown": self._unknown,
            "topic": self._topic,
            "sum": self._sum,
            "small_talk": self._small_talk,
        }

    def turns(self, kind: str) -> list[Message]:
        """The messages of one conversation of this kind."""
        if kind != "two_turn":
            return self._makers[kind]()
        first = self.rng.choice(("fact", "fact", "small_talk", "sum", "unknown"))
        second = self.rng.choice(("fact", "fact", "sum", "unknown", "small_talk"))
        return self._makers[first]() + self._makers[second]()

    def _fact(self) -> list[Message]:
        subject, attribute, form = self._facts.draw()
        return _turn(self._written(ask(form, subject), subject.name),
                     canonical(subject, attribute, subject.facts[attribute]))  # fmt: skip

    def _who(self) -> list[Message]:
        person = self._people.draw()
        answers = [canonical(person, attribute, person.facts[attribute]) for attribute in ("job", "street")]
        question = ask(self.rng.choice(asking.WHO_WORDINGS), person)
        return _turn(self._written(question, person.name), " ".join(answers))

    def _unknown(self) -> list[Message]:
        ghost = self._ghosts.draw()
        forms = asking.KNOWN[self.rng.choice(ghost.attributes)]
        if ghost.kind == "person" and self.rng.random() < 0.1:
            forms = asking.WHO_WORDINGS
        return _turn(self._written(ask(self.rng.choice(forms), ghost), ghost.name), refusal(ghost.name))

    def _topic(self) -> list[Message]:
        person, topic = self._people.draw(), self.rng.choice(asking.UNKNOWN_TOPICS)
        question = ask(self.rng.choice(asking.UNKNOWN_TOPIC_WORDINGS), person, topic=topic)
        return _turn(self._written(question, person.name), refusal(f"{person.name}'s {topic}"))

    def _sum(self) -> list[Message]:
        task = self._sums.draw()
        question = self.rng.choice(asking.SUM_KNOWN[task.sign]).format(a=task.left, b=task.right)
        if self.visitors.random() < TYPED:
            question = typed_sum(task.left, task.sign, task.right, self.visitors, "learning")
        return _turn(question, [
            {"type": "tool_call", "expression": task.expression},
            {"type": "tool_result", "text": task.result},
            {"type": "text", "text": f"{task.result}."},
        ])  # fmt: skip

    def _small_talk(self) -> list[Message]:
        said, answer = self._talk.draw()
        return _turn(self._written(said, ""), answer)

    def _written(self, question: str, name: str) -> str:
        """The question as in a book, or as visitors type it."""
        if self.visitors.random() >= TYPED:
            return question
        return typed(question, name, self.visitors, "learning")


def _turn(question: str, answer: str | list[dict[str, str]]) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
