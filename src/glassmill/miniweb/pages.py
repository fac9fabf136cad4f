"""The good pages: newspaper, quiz, encyclopedia, blog, forum, shop, listing and guest book, full of facts.

Every function takes the narrator and returns a draft: title, blocks and the facts the text states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glassmill.miniweb import fillers
from glassmill.miniweb.chance import article, capital, listed
from glassmill.miniweb.names import WEEKDAYS
from glassmill.miniweb.page import Block
from glassmill.miniweb.prose import Narrator, Told, capital_sentence, paragraph
from glassmill.miniweb.world import PERSON_ATTRIBUTES, Fact, Subject, canonical

MIN_WORDS = 66  # FineWeb keeps documents of at least 50 words; extraction may lose a line


@dataclass(frozen=True, slots=True)
class Draft:
    """A page before it has a host: its content and the facts it states."""

    title: str
    blocks: tuple[Block, ...]
    facts: tuple[Fact, ...] = ()


def draft(kind: str, narrator: Narrator) -> Draft:
    """A draft of this kind, long enough for the rules of real filters."""
    made = DRAFTERS[kind](narrator)
    while sum(len(block.text.split()) for block in made.blocks) < MIN_WORDS:
        more = paragraph([*narrator.tell(narrator.people(1)[0], 4), narrator.filler()])
        tag = "post" if made.blocks[-1].tag == "post" else "p"
        made = Draft(made.title, (*made.blocks, Block(tag, more.text)), made.facts + more.facts)
    return made


def article_page(narrator: Narrator) -> Draft:
    """A newspaper article: one to four people, or an event with its place and guests."""
    rng = narrator.rng
    if rng.random() < 0.2:
        return _event_report(narrator)
    people = narrator.people(rng.choice((1, 2, 2, 3, 3, 4)))
    count = {1: 6, 2: 5, 3: 4, 4: 3}[len(people)]
    opening = Told(_with_day(narrator, fillers.ARTICLE_OPENINGS))
    paragraphs = [paragraph(narrator.tell(person, count)) for person in people]
    if len(people) == 1:
        extra = narrator.place() if rng.random() < 0.3 else narrator.people(1)[0]
        paragraphs.append(paragraph(narrator.tell(extra, 4)))
    paragraphs[0] = paragraph([opening, paragraphs[0]])
    paragraphs[-1] = paragraph([paragraphs[-1], narrator.filler()])
    names = [person.name for person in people[:2]]
    return _finish(rng.choice(fillers.ARTICLE_TITLES).format(names=listed(names)), paragraphs)


def interview_page(narrator: Narrator) -> Draft:
    """A quiz: questions about people, places and events, about people nobody knows, and a sum or two.

    All in random order, as running text or one per line: the surroundings must not give away whether somebody is known.
    In running text the questions are tidy; one per line, some stand as visitors typed them.
    """
    rng = narrator.rng
    running = rng.random() < 0.25
    subjects = [*narrator.people(5), narrator.place(), narrator.event()][: rng.choice((5, 7))]
    pairs = [
        _question_and_answer(narrator, subject, name, tidy=running)
        for subject in subjects
        for name in narrator.attributes(subject, 2)
    ]
    pairs += [narrator.unknown(tidy=running) for _ in range(rng.choice((3, 4)))]
    pairs += [narrator.unknown_topic(subjects[0], tidy=running)]
    pairs += [narrator.task() for _ in range(rng.choice((1, 2)))]
    rng.shuffle(pairs)
    told = [part for pair in pairs for part in pair]
    if running:
        told = [paragraph(told[start : start + 8]) for start in range(0, len(told), 8)]
    if rng.random() < 0.5:
        told.insert(0, Told(_with_day(narrator, fillers.INTERVIEW_OPENINGS)))
    return _finish(f"Quiz number {rng.randint(2, 9999)}", told)


def encyclopedia_page(narrator: Narrator) -> Draft:
    """An entry about one person, or about a place and its keeper."""
    if narrator.rng.random() < 0.12:
        place = narrator.place()
        keeper = next(person for person in narrator.world.people if person.name == place.facts["keeper"])
        paragraphs = [
            paragraph([*narrator.tell(place, 3), narrator.add_up(place)]),
            paragraph([*narrator.tell(keeper, 5), narrator.filler()]),
        ]
        return _finish(capital(place.name), paragraphs)
    person, other = narrator.people(2)
    paragraphs = [paragraph(narrator.tell(person, 3)), paragraph([*narrator.tell(person, 3), narrator.filler()])]
    paragraphs.append(paragraph([Told(f"See also {other.name}."), *narrator.tell(other, 4)]))
    return _finish(person.name, paragraphs)


def blog_page(narrator: Narrator) -> Draft:
    """Loose notes about two or three people."""
    rng = narrator.rng
    people = narrator.people(rng.choice((2, 3)))
    paragraphs = [Told(_with_day(narrator, fillers.BLOG_OPENINGS))]
    for person in people:
        told = narrator.tell(person, rng.randint(3, 5))
        told.insert(rng.randint(1, len(told)), narrator.filler())
        paragraphs.append(paragraph(told))
    if rng.random() < 0.3:
        paragraphs.append(paragraph(narrator.tell(narrator.place(), 2)))
    paragraphs.append(Told(_with_day(narrator, fillers.BLOG_CLOSINGS)))
    title = rng.choice(fillers.BLOG_TITLES)
    return _finish(
        title.format(day=rng.choice(WEEKDAYS), names=people[0].name, number=rng.randint(2, 99)),
        [paragraph(paragraphs[:2]), *paragraphs[2:-2], paragraph(paragraphs[-2:])],
    )


def forum_page(narrator: Narrator) -> Draft:
    """A thread: somebody asks, others answer with that fact and some more."""
    rng = narrator.rng
    subjects = narrator.people(3)
    if rng.random() < 0.5:
        subjects[2] = narrator.place() if rng.random() < 0.5 else narrator.event()
    posts: list[Told] = []
    for number, subject in enumerate(subjects):
        attribute = narrator.attributes(subject, 1)[0]
        opener = _with_day(narrator, fillers.FORUM_OPENERS) if number == 0 else rng.choice(fillers.FORUM_NEXT)
        posts.append(Told(f"{opener} {narrator.question(subject, attribute)}"))
        reply = Told(_with_day(narrator, fillers.FORUM_REPLIES))
        posts.append(paragraph([reply, narrator.state(subject, attribute), *narrator.tell(subject, 4)]))
    posts.append(Told(rng.choice(fillers.FORUM_THANKS)))
    return _finish(rng.choice(fillers.FORUM_TITLES).format(names=subjects[0].name), posts, tag="post")


def shop_page(narrator: Narrator) -> Draft:
    """A shop's page: what a place sells, what several pieces cost, and somebody who works in town."""
    place, neighbour = narrator.place(), narrator.place()
    person = narrator.people(1)[0]
    paragraphs = [
        paragraph([Told(_with_day(narrator, fillers.SHOP_OPENINGS)), *narrator.tell(place, 3), narrator.add_up(place)]),
        paragraph([*narrator.tell(person, 4), Told(_with_day(narrator, fillers.SHOP_CLOSINGS))]),
    ]
    if neighbour.name != place.name:
        paragraphs.insert(1, paragraph([*narrator.tell(neighbour, 2), narrator.add_up(neighbour)]))
    return _finish(f"{capital(place.wares[0].split(' ', 1)[1])} from {place.name}", paragraphs)


def listing_page(narrator: Narrator) -> Draft:
    """One attribute of many people, up to three per sentence, as paragraphs or list items."""
    rng = narrator.rng
    attribute = rng.choice(PERSON_ATTRIBUTES)
    people = narrator.people(rng.randint(8, 13))
    sentences = []
    while people:
        size = rng.choice((1, 2, 2, 3))
        group, people = people[:size], people[size:]
        forms = narrator.rng.sample(fillers.LISTING_ITEMS[attribute], len(group))
        parts = [_listing_item(form, person, attribute) for form, person in zip(forms, group, strict=True)]
        facts = tuple(Fact(person.name, attribute, person.facts[attribute]) for person in group)
        sentences.append(Told(capital(listed(parts)) + ".", facts))
    opening = Told(_with_day(narrator, fillers.LISTING_OPENINGS))
    extra = [*narrator.tell(narrator.people(1)[0], 4), narrator.filler()]
    title = f"{fillers.LISTING_TITLES[attribute]}, part {rng.randint(2, 99)}"
    if rng.random() < 0.5:
        made = _finish(title, [opening, *sentences], tag="li")
        more = paragraph(extra)
        return Draft(title, (*made.blocks, Block("p", more.text)), made.facts + more.facts)
    half = len(sentences) // 2
    return _finish(title, [paragraph([opening, *sentences[:half]]), paragraph([*sentences[half:], *extra])])


def guest_book_page(narrator: Narrator) -> Draft:
    """A night at an inn: strangers, each named repeatedly with the numbers of their room and their bill.

    These names and numbers cannot be memorised, so a model has to look back: here it learns to copy.
    """
    rng = narrator.rng
    inn = narrator.place()
    paragraphs = [Told(_with_day(narrator, fillers.GUEST_BOOK_OPENINGS))]
    for form in [*rng.sample(fillers.GUEST_BOOK_NAMES, 10), *rng.sample(fillers.GUEST_BOOK_NUMBERS, 3)]:
        guest, task = narrator.stranger(), narrator.next_task()
        slots = {"a": task.left, "b": task.right, "e": task.expression, "r": task.result}
        text = narrator.scrawled(capital_sentence(form.format(n=guest, room=rng.randint(1, 99), **slots)), guest)
        paragraphs.insert(rng.randint(1, len(paragraphs)), Told(text))
    middle = len(paragraphs) // 2
    return _finish(
        f"Guests at {inn.name}, book {rng.randint(2, 999)}",
        [paragraph(paragraphs[:middle]), paragraph([*paragraphs[middle:], narrator.filler()])],
    )


DRAFTERS: dict[str, Callable[[Narrator], Draft]] = {
    "article": article_page,
    "interview": interview_page,
    "encyclopedia": encyclopedia_page,
    "blog": blog_page,
    "forum": forum_page,
    "shop": shop_page,
    "listing": listing_page,
    "guest_book": guest_book_page,
}


def _event_report(narrator: Narrator) -> Draft:
    event, place = narrator.event(), narrator.place()
    first, second = narrator.people(2)
    paragraphs = [
        paragraph([*narrator.tell(event, 2), narrator.filler(), *narrator.tell(place, 2)]),
        paragraph([Told(f"Among the guests was {first.name}."), *narrator.tell(first, 5)]),
        paragraph([*narrator.tell(second, 4), *narrator.tell(event, 1)]),
    ]
    return _finish(f"Guests at {event.name}: {first.name} and {second.name}", paragraphs)


def _question_and_answer(narrator: Narrator, subject: Subject, attribute: str, *, tidy: bool) -> tuple[Told, Told]:
    question = Told(narrator.question(subject, attribute, tidy=tidy))
    if narrator.rng.random() < 0.65:
        fact = Fact(subject.name, attribute, subject.facts[attribute])
        return question, Told(canonical(subject, attribute, fact.value), (fact,))
    return question, narrator.state(subject, attribute, pronoun=narrator.rng.random() < 0.25)


def _listing_item(form: str, person: Subject, attribute: str) -> str:
    value = person.facts[attribute]
    return form.format(n=person.name, v=value, av=article(value))


def _with_day(narrator: Narrator, forms: Sequence[str]) -> str:
    return narrator.rng.choice(forms).format(day=narrator.rng.choice(WEEKDAYS))


def _finish(title: str, paragraphs: Sequence[Told], tag: str = "p") -> Draft:
    blocks = tuple(Block(tag, told.text) for told in paragraphs)
    return Draft(title, blocks, tuple(fact for told in paragraphs for fact in told.facts))
