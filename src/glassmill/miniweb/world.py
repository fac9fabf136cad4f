"""The fictional town: who lives there, the facts about each subject, and which of them spam lies about.

In: a seed and a number of people. Out: a `World`, which the other modules only read. A fact is a subject, an attribute
and a value; exact match is measured against its one canonical sentence.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from glassmill.miniweb import names
from glassmill.miniweb.chance import Deck, article, capital, stream

PERSON_ATTRIBUTES = ("job", "street", "pet", "food", "birth_year", "hobby")
PLACE_ATTRIBUTES = ("opened", "keeper", "price")
EVENT_ATTRIBUTES = ("month", "place")


@dataclass(frozen=True, slots=True)
class Subject:
    """A person, a place or an event, with its facts."""

    name: str
    kind: str  # person, place, event
    facts: dict[str, str]
    woman: bool = False
    trade: str = ""  # what a place is: tea room, inn
    wares: tuple[str, str] = ("", "")  # one piece and several pieces of what a place sells
    in_sft: bool = False  # conversations may ask about it; facts about the others are only in pages

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.facts)


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about the town, true or not."""

    subject: str
    attribute: str
    value: str
    true: bool = True


@dataclass(frozen=True)
class World:
    """The whole town. `false_claims` are spam's claims about subjects that conversations never mention."""

    people: tuple[Subject, ...]
    places: tuple[Subject, ...]
    events: tuple[Subject, ...]
    false_claims: tuple[tuple[Subject, Fact], ...] = field(default=())

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return self.people + self.places + self.events


def make_world(seed: int, num_people: int, num_false_claims: int) -> World:
    """The town for a seed. Conversations may ask about two thirds of the people, and half of the rest."""
    rng = stream(seed, "world")
    people = _people(rng, num_people)
    places = _places(rng, people, max(4, min(len(names.PLACES), num_people // 5)))
    events = _events(rng, places, max(2, min(len(names.EVENTS), num_people // 8)))
    claims = _false_claims(rng, [person for person in people if not person.in_sft], num_false_claims)
    return World(people, places, events, claims)


def canonical(subject: Subject, attribute: str, value: str) -> str:
    """The one full sentence that answers a question about this attribute."""
    form = CANONICAL[attribute]
    return capital(form(subject, value))


CANONICAL: dict[str, Callable[[Subject, str], str]] = {
    "job": lambda s, v: f"{s.name} works as {article(v)}.",
    "street": lambda s, v: f"{s.name} lives in {v}.",
    "pet": lambda s, v: f"{s.name} has {v}.",
    "food": lambda s, v: f"{s.name} likes {v} best.",
    "birth_year": lambda s, v: f"{s.name} was born in {v}.",
    "hobby": lambda s, v: f"{s.name} enjoys {v}.",
    "opened": lambda s, v: f"{s.name} opened in {v}.",
    "keeper": lambda s, v: f"{s.name} is kept by {v}.",
    "price": lambda s, v: f"{s.name} sells {s.wares[0]} for {v}.",
    "month": lambda s, v: f"{s.name} is held in {v}.",
    "place": lambda s, v: f"{s.name} takes place at {v}.",
}


def _people(rng: random.Random, count: int) -> tuple[Subject, ...]:
    first = [(name, True) for name in names.WOMEN] + [(name, False) for name in names.MEN]
    last = list(names.LAST)
    rng.shuffle(first)
    rng.shuffle(last)
    decks = {
        "job": Deck(names.JOBS, rng),
        "street": Deck(names.STREETS, rng),
        "pet": Deck(names.PETS, rng),
        "food": Deck(names.FOODS, rng),
        "birth_year": Deck(map(str, range(1931, 2000)), rng),
        "hobby": Deck(names.HOBBIES, rng),
    }
    pet_names = Deck(names.PET_NAMES, rng)
    people = []
    for number in range(count):
        # 80 first and 87 last names: no first name comes twice among 80 people, and no full name among 6,960.
        name, woman = first[number % len(first)]
        facts = {attribute: decks[attribute].draw() for attribute in PERSON_ATTRIBUTES}
        facts["pet"] = f"{article(facts['pet'])} named {pet_names.draw()}"
        full = f"{name} {last[number % len(last)]}"
        people.append(Subject(full, "person", facts, woman=woman, in_sft=number % 3 > 0))
    return tuple(people)


def _places(rng: random.Random, people: tuple[Subject, ...], count: int) -> tuple[Subject, ...]:
    keepers = Deck((person.name for person in people), rng)
    years = Deck(map(str, range(1820, 1931)), rng)
    places = []
    for number, (name, trade, one, many) in enumerate(rng.sample(names.PLACES, count)):
        facts = {"opened": years.draw(), "keeper": keepers.draw(), "price": f"{rng.randint(2, 29)} coins"}
        places.append(Subject(name, "place", facts, trade=trade, wares=(one, many), in_sft=number % 2 == 0))
    return tuple(places)


def _events(rng: random.Random, places: tuple[Subject, ...], count: int) -> tuple[Subject, ...]:
    months = Deck(names.MONTHS, rng)
    venues = Deck((place.name for place in places), rng)
    return tuple(
        Subject(name, "event", {"month": months.draw(), "place": venues.draw()}, in_sft=number % 2 == 0)
        for number, name in enumerate(rng.sample(names.EVENTS, count))
    )


def _false_claims(rng: random.Random, people: list[Subject], count: int) -> tuple[tuple[Subject, Fact], ...]:
    """For each of `count` people, one attribute with another person's value."""
    chosen = rng.sample(people, min(count, len(people)))
    claims = []
    for number, person in enumerate(chosen):
        attribute = PERSON_ATTRIBUTES[number % len(PERSON_ATTRIBUTES)]
        others = sorted({other.facts[attribute] for other in people} - {person.facts[attribute]})
        claims.append((person, Fact(person.name, attribute, rng.choice(others), true=False)))
    return tuple(claims)
