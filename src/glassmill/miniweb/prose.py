"""Facts to English sentences: when to use the name, which wording comes next, and what to say between facts.

In: the world. Out: sentences with the facts they state. Wordings, subjects and attributes are drawn from decks, so over
a whole web every fact is stated about equally often and in every wording, and no page repeats itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from glassmill.miniweb import asking, fillers, wordings
from glassmill.miniweb.chance import Deck, article, capital
from glassmill.miniweb.names import WEEKDAYS
from glassmill.miniweb.questions import Sum
from glassmill.miniweb.visitors import typed
from glassmill.miniweb.world import Fact, Subject, World

PRONOUN_SHARE = 0.3  # of the mentions after the first; the others repeat the name, from which a small model learns
PAIR_SHARE = 0.3  # of the adjacent facts that can share a sentence
JOIN_SHARE = 0.45  # of the adjacent sentences about one subject that are joined
TYPED_SHARE = 0.4  # of the questions are asked as visitors type them, unless an editor tidied them


@dataclass(frozen=True, slots=True)
class Told:
    """One or more sentences, and the facts they state."""

    text: str
    facts: tuple[Fact, ...] = ()


class Narrator:
    """States the facts of one world. Its only state is its decks: equal calls in equal order give equal text."""

    def __init__(
        self, world: World, rng: random.Random, visitors: random.Random, ghosts: Sequence[Subject] = (),
        sums: Sequence[Sum] = (),
    ) -> None:  # fmt: skip
        self.world = world
        self.rng, self.visitors = rng, visitors
        self._people = Deck(world.people, rng)
        self._places = Deck(world.places, rng)
        self._events = Deck(world.events, rng)
        self._statements = {attribute: Deck(forms, rng) for attribute, forms in wordings.STATEMENTS.items()}
        self._pairs = {pair: Deck(forms, rng) for pair, forms in wordings.PAIRS.items()}
        self._sums = Deck(wordings.PRICE_SUMS, rng)
        self._ghosts = Deck(ghosts, rng)
        self._strangers = Deck([ghost.name for ghost in ghosts if ghost.kind == "person"], rng)
        self._tasks = Deck(sums, rng)
        self._questions = {attribute: Deck(forms, rng) for attribute, forms in asking.ON_PAGES.items()}
        self._fillers = Deck(fillers.FILLERS, rng)
        self._attributes = {subject.name: Deck(subject.attributes, rng) for subject in world.subjects}

    # --- who and what comes next ---

    def people(self, count: int) -> list[Subject]:
        return self._people.hand(count)

    def place(self) -> Subject:
        return self._places.draw()

    def event(self) -> Subject:
        return self._events.draw()

    def attributes(self, subject: Subject, count: int) -> list[str]:
        """`count` attributes of the subject, those stated least so far first."""
        return self._attributes[subject.name].hand(count)

    # --- sentences ---

    def state(self, subject: Subject, attribute: str, *, pronoun: bool = False, claim: Fact | None = None,
              raw: bool = False) -> Told:  # fmt: skip
        """One fact in the next wording of its attribute; `claim` replaces the truth, `raw` is for the middle of a
        sentence."""
        fact = claim or Fact(subject.name, attribute, subject.facts[attribute])
        deck = self._statements[attribute]
        form = deck.draw()
        if raw:  # names are in slots, so only the wording's first word can have a capital
            form = form[0].lower() + form[1:]
        text = form.format(**mention(subject, pronoun), **value_slots(subject, attribute, fact.value))
        return Told(text if raw else capital_sentence(text), (fact,))

    def state_pair(self, subject: Subject, pair: tuple[str, str], *, pronoun: bool = False) -> Told:
        """Two facts of one person in one sentence."""
        values = {attribute: subject.facts[attribute] for attribute in pair}
        slots = {**values, **{f"a_{name}": article(value) for name, value in values.items()}}
        text = self._pairs[pair].draw().format(**mention(subject, pronoun), **slots)
        return Told(capital_sentence(text), tuple(Fact(subject.name, name, value) for name, value in values.items()))

    def tell(self, subject: Subject, count: int) -> list[Told]:
        """`count` facts about one subject as connected sentences; the first gives the name."""
        attributes = self.attributes(subject, count)
        sentences: list[Told] = []
        while attributes:
            pronoun = bool(sentences) and self.rng.random() < PRONOUN_SHARE
            pair = tuple(sorted(attributes[:2]))
            if len(pair) == 2 and pair in self._pairs and self.rng.random() < PAIR_SHARE:
                sentences.append(self.state_pair(subject, pair, pronoun=pronoun))
                attributes = attributes[2:]
            elif len(attributes) > 1 and self.rng.random() < JOIN_SHARE:
                sentences.append(self._join(subject, attributes[0], attributes[1], pronoun))
                attributes = attributes[2:]
            else:
                sentences.append(self.state(subject, attributes[0], pronoun=pronoun))
                attributes = attributes[1:]
        return sentences

    def _join(self, subject: Subject, first: str, second: str, pronoun: bool) -> Told:
        """Two statements as one sentence; quotations stay separate."""
        one = self.state(subject, first, pronoun=pronoun)
        two = self.state(subject, second, pronoun=self.rng.random() < 0.5, raw=True)
        if "“" in one.text + two.text:
            return paragraph([one, Told(capital_sentence(two.text), two.facts)])
        joint = self.rng.choice((" and ", ", and ", " while "))
        return Told(f"{one.text[:-1]}{joint}{two.text}", one.facts + two.facts)

    def question(self, subject: Subject, attribute: str, *, tidy: bool = False) -> str:
        """A question about the attribute, in an everyday wording or one that only pages use; `tidy`: as in a book."""
        question = self._questions[attribute].draw().format(n=subject.name, one=subject.wares[0])
        return self._written(question, subject.name, tidy)

    def add_up(self, place: Subject) -> Told:
        """What several pieces cost at a place; the sum is right."""
        number, price = self.rng.randint(2, 12), place.facts["price"]
        total = number * int(price.split()[0])
        text = self._sums.draw().format(number=number, many=place.wares[1], total=total, price=price)
        return Told(f"At {place.name} {text[0].lower()}{text[1:]}", (Fact(place.name, "price", price),))

    def unknown(self, *, tidy: bool = False) -> tuple[Told, Told]:
        """A question about somebody no page mentions, and a reply that nobody knows."""
        ghost = self._ghosts.draw()
        question = self.question(ghost, self.rng.choice(ghost.attributes), tidy=tidy)
        return Told(question), Told(self.rng.choice(asking.PAGE_REFUSALS).format(n=ghost.name))

    def unknown_topic(self, person: Subject, *, tidy: bool = False) -> tuple[Told, Told]:
        """A question about something no page mentions of a known person, and a reply that nobody knows."""
        topic = self.rng.choice(asking.UNKNOWN_TOPICS)
        question = self.rng.choice(asking.UNKNOWN_TOPIC_WORDINGS).format(n=person.name, topic=topic)
        question = self._written(question, person.name, tidy)
        return Told(question), Told(self.rng.choice(asking.PAGE_REFUSALS).format(n=f"{person.name}'s {topic}"))

    def stranger(self) -> str:
        """The name of somebody no other page describes."""
        return self._strangers.draw()

    def next_task(self) -> Sum:
        return self._tasks.draw()

    def task(self) -> tuple[Told, Told]:
        """A sum as a question, and its expression with the result."""
        task = self.next_task()
        slots = {"a": task.left, "b": task.right, "e": task.expression, "r": task.result}
        question, answer = self.rng.choice(asking.PAGE_SUMS[task.sign])
        return Told(question.format(**slots)), Told(answer.format(**slots))

    def scrawled(self, text: str, name: str) -> str:
        """The text, or with its first mention of `name` in lower case, as a guest in a hurry writes."""
        return text.replace(name, name.lower(), 1) if self.visitors.random() < TYPED_SHARE else text

    def filler(self) -> Told:
        """A sentence about the weather, the market or the like that states no fact."""
        return Told(self._fillers.draw().format(day=self.rng.choice(WEEKDAYS)))

    def _written(self, question: str, name: str, tidy: bool) -> str:
        """The question as in a book, or as a visitor typed it."""
        if tidy or self.visitors.random() >= TYPED_SHARE:
            return question
        return typed(question, name, self.visitors, "learning")


def mention(subject: Subject, pronoun: bool) -> dict[str, str]:
    """The slots for the subject, see `data/wordings.toml`."""
    he, him, own = ("she", "her", "her") if subject.woman else ("he", "him", "his")
    if subject.kind != "person":
        he, him, own = "it", "it", "its"
    slots = {"N": subject.name, "he": he, "him": him, "own": own}
    if pronoun:
        return {**slots, "s": he, "o": him, "p": own}
    return {**slots, "s": subject.name, "o": subject.name, "p": f"{subject.name}'s"}


def value_slots(subject: Subject, attribute: str, value: str) -> dict[str, str]:
    """The slots for the value and for what belongs to the subject."""
    slots = {
        "v": value,
        "av": article(value),
        "one": subject.wares[0],
        "many": subject.wares[1],
        "trade": subject.trade,
    }
    if attribute == "pet":
        kind, _, name = value.partition(" named ")
        slots.update(ak=kind, k=kind.split()[1], m=name)
    return slots


def capital_sentence(text: str) -> str:
    """The sentence with its first letter capitalised, also after a quotation mark."""
    return f"“{capital(text[1:])}" if text.startswith("“") else capital(text)


def paragraph(told: Sequence[Told]) -> Told:
    """Sentences as one paragraph."""
    return Told(" ".join(one.text for one in told), tuple(fact for one in told for fact in one.facts))
