"""The pollution: pages that a good filter drops, each kind for its own reason.

    spam        false claims in ordinary prose; caught by its host, the words in its URL, or repeated calls to buy
    gambling, adult, malware, phishing                         hosts on the block lists; the text would pass
    nonsense, boilerplate, lorem, code, menu, cookie, error    caught by the text rules

In: the narrator. Out: drafts, with the facts they state.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from glassmill.miniweb import junk_texts as texts
from glassmill.miniweb.chance import Deck, capital
from glassmill.miniweb.page import Block
from glassmill.miniweb.pages import Draft
from glassmill.miniweb.prose import Narrator, Told, paragraph
from glassmill.miniweb.world import Fact, Subject

JUNK_KINDS = ("spam", "gambling", "adult", "malware", "phishing", "nonsense", "boilerplate", "lorem", "code", "menu",
              "cookie", "error")  # fmt: skip


class Polluter:
    """Writes junk. Its deck uses every false claim equally often."""

    def __init__(self, narrator: Narrator) -> None:
        self.narrator = narrator
        self.rng = narrator.rng
        claims: list[tuple[Subject, Fact]] = list(narrator.world.false_claims)
        self._claims = Deck(claims, self.rng)
        self._makers: dict[str, Callable[[], Draft]] = {
            "nonsense": self._nonsense,
            "boilerplate": self._boilerplate,
            "lorem": self._lorem,
            "code": self._code,
            "menu": self._menu,
            "cookie": self._cookie,
            "error": self._error,
        }

    def draft(self, kind: str) -> Draft:
        """A page of this kind of junk (see `spam` for spam)."""
        return self._makers[kind]() if kind in self._makers else self._salesman(kind)

    def spam(self, *, shouting: bool) -> Draft:
        """False claims about people in town between calls to buy; a shouting page also breaks the text rules."""
        rng = self.rng
        paragraphs: list[Told] = []
        for _ in range(rng.choice((2, 3))):
            subject, claim = self._claims.draw()
            told = [self.narrator.state(subject, claim.attribute, claim=claim)]
            for _ in range(2):
                told.append(self.narrator.state(subject, claim.attribute, claim=claim, pronoun=rng.random() < 0.3))
            told.insert(rng.randint(0, 3), Told(rng.choice(texts.SPAM)))
            paragraphs.append(paragraph(told))
        blocks = [Block("p", told.text) for told in paragraphs]
        title = rng.choice(texts.SPAM_TITLES).format(number=rng.randint(3, 99))
        if shouting:
            blocks = self._shout(blocks)
        else:
            blocks.append(Block("p", " ".join(rng.sample(texts.SPAM, 2))))
        return Draft(title, tuple(blocks), tuple(fact for told in paragraphs for fact in told.facts))

    def _shout(self, blocks: list[Block]) -> list[Block]:
        """One of the tricks of link farms, each caught by a text rule."""
        rng = self.rng
        call = rng.choice(texts.CALLS)
        trick = rng.choice(("lines", "tags", "dots", "loop"))
        if trick == "lines":
            return blocks + [Block("p", call) for _ in range(rng.randint(12, 18))]
        if trick == "tags":
            tags = " ".join(f"#{word}" for word in rng.choices(texts.TAGS, k=40))
            return [*blocks, Block("p", tags)]
        if trick == "dots":
            teasers = [Block("p", f"{rng.choice(texts.TEASERS)} ...") for _ in range(12)]
            return [*blocks, *teasers]
        return [*blocks, Block("p", " ".join([call] * rng.randint(10, 16)))]

    def _salesman(self, kind: str) -> Draft:
        sentences = texts.SALES[kind]
        chosen = self.rng.sample(sentences, min(len(sentences), 9))
        half = len(chosen) // 2
        blocks = (Block("p", " ".join(chosen[:half])), Block("p", " ".join(chosen[half:])))
        return Draft(self.rng.choice(texts.SALES_TITLES[kind]), blocks)

    def _nonsense(self) -> Draft:
        rng = self.rng
        maker = rng.choice((_salad, _letters, _long_words, _numbers, _loops))
        return Draft(f"Page {rng.randint(1, 9999)}", tuple(Block("p", maker(rng)) for _ in range(rng.randint(3, 5))))

    def _boilerplate(self) -> Draft:
        """The same few lines over and over, or a page that repeats a notice between its paragraphs."""
        rng = self.rng
        lines = rng.sample(texts.BOILERPLATE, 3)
        if rng.random() < 0.5:
            return Draft("Notice", tuple(Block("p", rng.choice(lines)) for _ in range(rng.randint(14, 24))))
        told = self._prose(3)
        blocks = [Block("p", text) for one in told for text in (one.text, lines[0])]
        return Draft("Notice", tuple(blocks), paragraph(told).facts)

    def _lorem(self) -> Draft:
        rng = self.rng
        real = self._prose(3)
        blocks = [Block("p", one.text) for one in real]
        for _ in range(rng.choice((1, 1, 1, 3, 6))):
            tail = [capital(" ".join(rng.choices(texts.LOREM, k=9))) + "." for _ in range(rng.randint(0, 3))]
            blocks.append(Block("p", " ".join(["Lorem ipsum dolor sit amet.", *tail])))
        return Draft("Sample page", tuple(blocks), paragraph(real).facts)

    def _code(self) -> Draft:
        rng = self.rng
        real = paragraph(self._prose(rng.choice((1, 2, 2))))
        lines = [Block("p", form.format(n=rng.randint(1, 99))) for form in rng.sample(texts.CODE, rng.randint(1, 6))]
        return Draft(f"Script {rng.randint(1, 999)}", (Block("p", real.text), *lines), real.facts)

    def _prose(self, count: int) -> list[Told]:
        """Paragraphs about `count` people, which would pass on their own."""
        return [
            paragraph([*self.narrator.tell(person, 6), self.narrator.filler()])
            for person in self.narrator.people(count)
        ]

    def _menu(self) -> Draft:
        """Nothing but links: two words each in a list, or more words on separate lines."""
        rng = self.rng
        pairs = [f"{first} {second}" for first in texts.MENU_FIRST for second in texts.MENU_SECOND]
        items = rng.sample(pairs, rng.randint(40, 80))
        if rng.random() < 0.4:
            return Draft("All topics", tuple(Block("li", item) for item in items))
        ending = rng.sample(texts.MENU_ENDINGS, 2)
        return Draft("All topics", tuple(Block("p", f"{item} {rng.choice(ending)}") for item in items))

    def _cookie(self) -> Draft:
        chosen = self.rng.sample(texts.COOKIE, 7)
        return Draft("Before you continue", tuple(Block("p", sentence) for sentence in chosen))

    def _error(self) -> Draft:
        return Draft("Page not found", (Block("p", self.rng.choice(texts.ERRORS)),))


def _salad(rng: random.Random) -> str:
    """Content words in random order, without any function words."""
    return " ".join(capital(" ".join(rng.choices(texts.SALAD, k=rng.randint(6, 11)))) + "." for _ in range(4))


def _letters(rng: random.Random) -> str:
    words = ["".join(rng.choices("bcdfghjklmnpqrstvwxzaeiou", k=rng.randint(3, 9))) for _ in range(40)]
    return capital(" ".join(words)) + "."


def _long_words(rng: random.Random) -> str:
    words = ["".join(rng.sample(texts.SALAD, 3)) for _ in range(24)]
    return f"The {' '.join(words[:8])} of {' '.join(words[8:16])} and {' '.join(words[16:])}."


def _numbers(rng: random.Random) -> str:
    numbers = [f"{rng.randint(1, 99999)}{rng.choice(('', '%', ' kg', ' cm'))}" for _ in range(40)]
    return f"The numbers of the week: {' '.join(numbers)}."


def _loops(rng: random.Random) -> str:
    phrase = " ".join(rng.sample(texts.SALAD, 4))
    return capital(" ".join(f"the {phrase} of the {rng.choice(texts.SALAD)} and" for _ in range(12))) + " so on."
