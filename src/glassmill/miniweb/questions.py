"""The question set: what an assistant trained on the MiniWeb is asked, and the one correct answer.

In: the world. Out: the rows of `questions.jsonl`, and the parts that conversations use.

    fact         about a subject; `in_sft`: conversations mention it; `wording` known: they use this wording; new: they
                 don't; typed: as visitors type (`visitors.py`)
    unknown      about people, places and topics that no page mentions: the answer is a refusal
    sum          arithmetic for the calculator, with operands that no conversation uses
    false_claim  a fact question with spam's answer: how often a model gives it shows the value of filters
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from glassmill.miniweb import asking, names
from glassmill.miniweb.chance import stream
from glassmill.miniweb.visitors import typed, typed_sum
from glassmill.miniweb.world import PERSON_ATTRIBUTES, PLACE_ATTRIBUTES, Subject, World, canonical

NUM_SUMS = 150
NUM_PAGE_SUMS = 4000
NUM_UNKNOWN = 200
NUM_TYPED_UNKNOWN = 100
OPERATIONS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@dataclass(frozen=True, slots=True)
class Question:
    """A row of `questions.jsonl`."""

    kind: str
    question: str
    answer: str
    value: str
    subject: str = ""
    attribute: str = ""
    in_sft: bool = False
    wording: str = ""


@dataclass(frozen=True, slots=True)
class Sum:
    """Two numbers and an operation. The same numbers in the other order are the same task."""

    left: int
    sign: str
    right: int

    @property
    def expression(self) -> str:
        return f"{self.left}{self.sign}{self.right}"

    @property
    def result(self) -> str:
        return str(OPERATIONS[self.sign](self.left, self.right))

    @property
    def key(self) -> tuple[str, int, int]:
        return self.sign, min(self.left, self.right), max(self.left, self.right)


@dataclass(frozen=True)
class Ghosts:
    """Subjects that do not exist: separate ones for the pages' quizzes, the conversations and the evaluation."""

    pages: tuple[Subject, ...]
    sft: tuple[Subject, ...]
    evaluation: tuple[Subject, ...]


@dataclass(frozen=True)
class Sums:
    """Separate sums for the pages' quizzes, the conversations and the evaluation."""

    pages: tuple[Sum, ...]
    sft: tuple[Sum, ...]
    evaluation: tuple[Sum, ...]


def make_questions(world: World, seed: int, ghosts: Ghosts, sums: Sequence[Sum]) -> list[dict[str, object]]:
    """All rows of `questions.jsonl`. `sums` are the ones that conversations do not use."""
    rng = stream(seed, "questions")
    rows = [question for subject in world.subjects for question in _about(subject, rng)]
    rows += _unknown(world, ghosts.evaluation, rng)
    rows += [_sum(task, rng, new=index % 3 == 2) for index, task in enumerate(sums)]
    for subject, claim in world.false_claims:
        answer = canonical(subject, claim.attribute, claim.value)
        for form in rng.sample(asking.KNOWN[claim.attribute], 3):
            rows.append(Question("false_claim", ask(form, subject), answer, claim.value, subject.name, claim.attribute,
                                 subject.in_sft, "known"))  # fmt: skip
    rows += _as_typed(world, ghosts.evaluation, sums, stream(seed, "visitors"))
    return [asdict(row) for row in rows]


def ask(form: str, subject: Subject, **slots: str) -> str:
    """A question about the subject in this wording."""
    return form.format(n=subject.name, one=subject.wares[0], **slots)


def refusal(what: str) -> str:
    """The refusal for what no page mentions."""
    return f"I do not know that; I never read about {what}."


def make_ghosts(world: World, seed: int) -> Ghosts:
    """People and places that do not exist, separate ones for the pages, the conversations and the evaluation.

    For pages and evaluation, a third of the names each combine two known parts wrongly, or a known part with an unused
    one. Conversations take first names only from people they ask about: hearing a hundred times that "Mira Holt" is
    unknown, and never about Mira Berger, would teach that every new name is unknown. Strangers with new first names,
    and people only pages describe, are left to what the pages taught.
    """
    rng = stream(seed, "ghosts")
    taken = {person.name for person in world.people}
    first, last = _parts(world.people)
    asked_first, asked_last = _parts([person for person in world.people if person.in_sft])
    found = _pairs(rng, taken, ((first, last), (first, names.GHOST_LAST), (names.GHOST_FIRST, last)))
    num_asked, num_sft = min(NUM_UNKNOWN // 2, len(found) // 8), len(found) // 2
    taken |= set(found[:num_asked])
    talked = _pairs(rng, taken, ((asked_first, asked_last), (asked_first, names.GHOST_LAST)))[:num_sft]
    places = [Subject(name, "place", dict.fromkeys(PLACE_ATTRIBUTES, ""), wares=(rng.choice(names.PLACES)[2], ""))
              for name in names.GHOST_PLACES]  # fmt: skip
    half = len(places) // 2
    rest = sorted(set(found[num_asked:]) - set(talked))
    rng.shuffle(rest)
    return Ghosts(
        _strangers(rest),
        (*_strangers(talked), *places[:half]),
        (*_strangers(found[:num_asked]), *places[half:]),
    )


def _parts(people: Sequence[Subject]) -> tuple[list[str], list[str]]:
    """First and last names."""
    first, last = zip(*(person.name.split() for person in people), strict=True)
    return list(first), list(last)


def _pairs(rng: random.Random, taken: set[str], pools: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[str]:
    """New names, equally many from every pool of first and last names, in random order."""
    made = [sorted({f"{one} {two}" for one in first for two in last} - taken) for first, last in pools]
    size = min(len(pool) for pool in made)
    found = sorted({name for pool in made for name in rng.sample(pool, size)})
    rng.shuffle(found)
    return found


def _strangers(found: Sequence[str]) -> tuple[Subject, ...]:
    return tuple(Subject(name, "person", dict.fromkeys(PERSON_ATTRIBUTES, "")) for name in found)


def make_sums(seed: int, num_sft: int) -> Sums:
    """Sums with numbers of up to three digits and results of up to five; the groups share none."""
    rng = stream(seed, "sums")
    found: dict[tuple[str, int, int], Sum] = {}
    while len(found) < NUM_SUMS + num_sft + NUM_PAGE_SUMS:
        task = _any_sum(rng)
        found.setdefault(task.key, task)
    tasks = tuple(found.values())
    return Sums(tasks[NUM_SUMS + num_sft :], tasks[NUM_SUMS : NUM_SUMS + num_sft], tasks[:NUM_SUMS])


def _any_sum(rng: random.Random) -> Sum:
    sign = rng.choice("+-*")
    if sign == "*":
        left, right = rng.choice((99, 99, 999)), 12
        return Sum(rng.randint(2, left), sign, rng.randint(2, right))
    top = rng.choice((20, 99, 99, 999))
    left, right = rng.randint(1, top), rng.randint(1, top)
    return Sum(max(left, right), sign, min(left, right)) if sign == "-" else Sum(left, sign, right)


def _about(subject: Subject, rng: random.Random) -> list[Question]:
    rows = []
    for attribute, value in subject.facts.items():
        answer = canonical(subject, attribute, value)
        count = 1 if subject.in_sft else 2
        for wording, forms in (("known", asking.KNOWN), ("new", asking.NEW)):
            rows += [
                Question("fact", ask(form, subject), answer, value, subject.name, attribute, subject.in_sft, wording)
                for form in rng.sample(forms[attribute], count)
            ]
    return rows


def _unknown(world: World, ghosts: Sequence[Subject], rng: random.Random) -> list[Question]:
    rows = []
    for index, ghost in enumerate(ghosts):
        attribute = rng.choice(ghost.attributes)
        wording = ("known", "known", "new")[index % 3]
        form = rng.choice((asking.KNOWN if wording == "known" else asking.NEW)[attribute])
        rows.append(
            Question("unknown", ask(form, ghost), refusal(ghost.name), "", ghost.name, attribute, False, wording)
        )
    strangers = [person for person in world.people if not person.in_sft]
    while len(rows) < NUM_UNKNOWN:
        person, topic = rng.choice(strangers), rng.choice(asking.UNKNOWN_TOPICS)
        question = ask(rng.choice(asking.UNKNOWN_TOPIC_WORDINGS), person, topic=topic)
        rows.append(
            Question("unknown", question, refusal(f"{person.name}'s {topic}"), "", person.name, topic, False, "known")
        )
    return rows


def _as_typed(world: World, ghosts: Sequence[Subject], sums: Sequence[Sum], rng: random.Random) -> list[Question]:
    """Facts of every subject, unknown names and sums once more, as visitors type them."""
    rows = []
    for subject in world.subjects:
        forms = asking.NEW if subject.in_sft else asking.KNOWN  # what conversations may have asked is nothing new
        for attribute, value in subject.facts.items():
            question = typed(ask(rng.choice(forms[attribute]), subject), subject.name, rng, "evaluation")
            answer = canonical(subject, attribute, value)
            rows.append(Question("fact", question, answer, value, subject.name, attribute, subject.in_sft, "typed"))
    for ghost in rng.sample(ghosts, min(NUM_TYPED_UNKNOWN, len(ghosts))):
        attribute = rng.choice(ghost.attributes)
        question = typed(ask(rng.choice(asking.KNOWN[attribute]), ghost), ghost.name, rng, "evaluation")
        answer = refusal(ghost.name)
        rows.append(Question("unknown", question, answer, "", ghost.name, attribute, False, "typed"))
    for task in sums:
        question = typed_sum(task.left, task.sign, task.right, rng, "evaluation")
        rows.append(Question("sum", question, f"{task.result}.", task.result, task.expression, wording="typed"))
    return rows


def _sum(task: Sum, rng: random.Random, *, new: bool) -> Question:
    form = rng.choice((asking.SUM_NEW if new else asking.SUM_KNOWN)[task.sign])
    question = form.format(a=task.left, b=task.right)
    return Question("sum", question, f"{task.result}.", task.result, task.expression, wording="new" if new else "known")
