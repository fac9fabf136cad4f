"""Pages in German, French, Spanish and Italian, and pages that change language in the middle.

The sentences (`data/languages.toml`) are about the river country in general; none names a subject of the town.
"""

from __future__ import annotations

import random

from glassmill.miniweb.lists import Lists
from glassmill.miniweb.page import Block
from glassmill.miniweb.pages import Draft
from glassmill.miniweb.prose import Narrator, paragraph

LANGUAGES = ("de", "fr", "es", "it")

_LISTS = Lists("languages")
DAYS, TITLES, SENTENCES = _LISTS.table("days"), _LISTS.table("titles"), _LISTS.table("sentences")


def foreign_page(language: str, rng: random.Random) -> Draft:
    """A page of nine to fourteen sentences in one of the four languages."""
    sentences = _sentences(language, rng.randint(9, 14), rng)
    cut = rng.randint(3, len(sentences) - 3)
    title = rng.choice(TITLES[language]).format(day=rng.choice(DAYS[language]))
    return Draft(title, (Block("p", " ".join(sentences[:cut])), Block("p", " ".join(sentences[cut:]))))


def mixed_page(language: str, narrator: Narrator) -> Draft:
    """A paragraph in English and one in another language: whether it is kept depends on the threshold."""
    rng = narrator.rng
    first, second = narrator.people(2)
    english = paragraph([*narrator.tell(first, 5), narrator.filler(), *narrator.tell(second, 4)])
    foreign = " ".join(_sentences(language, rng.randint(1, 9), rng))
    blocks = [Block("p", english.text), Block("p", foreign)]
    rng.shuffle(blocks)
    title = rng.choice(TITLES[language]).format(day=rng.choice(DAYS[language]))
    return Draft(title, tuple(blocks), english.facts)


def _sentences(language: str, count: int, rng: random.Random) -> list[str]:
    chosen = rng.sample(SENTENCES[language], count)
    return [sentence.format(day=rng.choice(DAYS[language]), number=rng.randint(3, 90)) for sentence in chosen]
