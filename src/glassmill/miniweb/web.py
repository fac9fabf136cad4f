"""The whole MiniWeb as a list of pages: how many of each kind, on which hosts, with what planted in them.

In: the world, the settings and the seed. Out: every page with its ground truth, in the order of the files.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from glassmill.miniweb import fillers, languages, pii, sites
from glassmill.miniweb.chance import Deck, stream
from glassmill.miniweb.copies import COPY_KINDS, MIN_WORDS_OF_NEAR_DUPLICATE, copy_page
from glassmill.miniweb.junk import JUNK_KINDS, Polluter
from glassmill.miniweb.page import DROP, EITHER, GOOD_KINDS, Block, Page, Site
from glassmill.miniweb.pages import Draft, draft
from glassmill.miniweb.prose import Narrator
from glassmill.miniweb.questions import Sum
from glassmill.miniweb.records import DAMAGES
from glassmill.miniweb.world import Subject, World

# Pages of each kind per thousand; the rest are articles.
PER_THOUSAND = {
    "interview": 260, "encyclopedia": 60, "blog": 50, "forum": 60, "shop": 40, "listing": 40, "guest_book": 110,
    "exact_duplicate": 25, "near_duplicate": 25, "mirror": 25,
    "foreign": 40, "mixed": 10,
    "spam": 65, "gambling": 15, "adult": 12, "malware": 10, "phishing": 10,
    "nonsense": 20, "boilerplate": 12, "lorem": 8, "code": 10, "menu": 15, "cookie": 14, "error": 8,
}  # fmt: skip
PII_SHARE = 0.13  # of the good pages that are long enough contain personal data
MIN_WORDS_WITH_PII = 100  # on shorter ones the numbers alone would break the rules for prose
LOOKALIKE_SHARE = 0.03  # contain numbers that only look like it
CHARSET_SHARE = 0.04  # are not in UTF-8, a third of them with a wrong declaration
WRAPPED_SHARE = 0.06  # have a gzip or chunked HTTP body


def build(world: World, ghosts: Sequence[Subject], sums: Sequence[Sum], num_pages: int, seed: int) -> list[Page]:
    """All pages, shuffled; some of the second half are damaged (see `records`).

    `ghosts` and `sums` are for the quizzes: people nobody knows, and arithmetic.
    """
    numbers = quotas(num_pages)
    builder = _Builder(world, ghosts, sums, seed)
    pages = [page for kind in GOOD_KINDS for page in builder.good(kind, numbers[kind])]
    pages = builder.season(pages)
    for kind in COPY_KINDS:
        pages = builder.copies(pages, kind, numbers[kind])
    pages += builder.foreign(numbers["foreign"]) + builder.mixed(numbers["mixed"])
    pages += [page for kind in JUNK_KINDS for page in builder.junk(kind, numbers[kind])]
    stream(seed, "order").shuffle(pages)
    return builder.damage(pages)


def quotas(num_pages: int) -> dict[str, int]:
    """Pages of each kind, at least one of each (four foreign ones, five of spam); they add up to `num_pages`."""
    floor = {"foreign": 4, "spam": 5}
    numbers = {kind: max(floor.get(kind, 1), num_pages * share // 1000) for kind, share in PER_THOUSAND.items()}
    articles = num_pages - sum(numbers.values())
    if articles < 1:  # the smallest webs: one page of each kind, at the expense of the quizzes
        numbers["interview"] += articles - 1
        articles = 1
    return {"article": articles, **numbers}


class _Builder:
    def __init__(self, world: World, ghosts: Sequence[Subject], sums: Sequence[Sum], seed: int) -> None:
        self.seed = seed
        self.narrator = Narrator(world, stream(seed, "prose"), stream(seed, "prose", "visitors"), ghosts, sums)
        self.polluter = Polluter(Narrator(world, stream(seed, "junk"), stream(seed, "junk", "visitors"), ghosts, sums))
        self.rng = stream(seed, "web")
        self.number = 0

    def good(self, kind: str, count: int) -> list[Page]:
        hosts = sites.GOOD_SITES[kind]
        return [self._page(self.rng.choice(hosts), kind, draft(kind, self.narrator)) for _ in range(count)]

    def season(self, pages: list[Page]) -> list[Page]:
        """Adds personal data, lookalikes, unusual charsets and encoded bodies to good pages."""
        rng, kinds = self.rng, Deck(pii.PII_KINDS, self.rng)
        seasoned = []
        for index, page in enumerate(pages):
            roomy = page.words >= MIN_WORDS_WITH_PII or len(pages) < 200
            if index < len(pii.PII_KINDS) or (roomy and rng.random() < PII_SHARE):
                page = self._with_pii(page, kinds)
            elif rng.random() < LOOKALIKE_SHARE:
                page = replace(page, blocks=_insert(page.blocks, rng.choice(fillers.LOOKALIKES), rng))
            if rng.random() < CHARSET_SHARE:
                page = _in_other_charset(page, rng)
            if rng.random() < WRAPPED_SHARE:
                page = replace(page, transfer=rng.choice(("gzip", "chunked")))
            seasoned.append(page)
        return seasoned

    def copies(self, pages: list[Page], kind: str, count: int) -> list[Page]:
        """Adds `count` copies of pages that have none yet; some originals get several."""
        free = [index for index, page in enumerate(pages) if page.duplicate_group is None and page.kind in GOOD_KINDS]
        if kind == "near_duplicate":
            free = [index for index in free if pages[index].words >= MIN_WORDS_OF_NEAR_DUPLICATE] or free
        self.rng.shuffle(free)
        made: list[Page] = []
        while len(made) < count:
            index = free.pop()
            self.number += 1
            original = replace(pages[index], duplicate_group=self.number, expected=EITHER)
            pages[index] = original
            for _ in range(min(self.rng.choice((1, 1, 1, 2, 3)), count - len(made))):
                self.number += 1
                made.append(copy_page(original, kind, self.number, self.rng))
        return pages + made

    def foreign(self, count: int) -> list[Page]:
        made = []
        for index in range(count):
            language = languages.LANGUAGES[index % 4]
            page = self._page(sites.LANGUAGE_SITES[language], "foreign", languages.foreign_page(language, self.rng))
            latin = self.rng.random() < 0.25
            made.append(replace(page, language=language, expected=DROP, charset="iso-8859-1" if latin else "utf-8",
                                declared_charset="iso-8859-1" if latin else "utf-8"))  # fmt: skip
        return made

    def mixed(self, count: int) -> list[Page]:
        made = []
        for index in range(count):
            language = languages.LANGUAGES[index % 4]
            page = self._page(sites.LANGUAGE_SITES[language], "mixed", languages.mixed_page(language, self.narrator))
            made.append(replace(page, language=f"en+{language}", expected=EITHER))
        return made

    def junk(self, kind: str, count: int) -> list[Page]:
        return [self._spam() if kind == "spam" else self._junk_page(kind) for _ in range(count)]

    def damage(self, pages: list[Page]) -> list[Page]:
        """Damages a few records of the second half, at least one; a truncated one must come last."""
        count = max(1, len(pages) // 450)
        places = self.rng.sample(range(len(pages) // 2, len(pages) - 1), count)
        kinds = Deck([damage for damage in DAMAGES if damage != "cut_end"], self.rng)
        for place in places:
            pages[place] = replace(pages[place], damage=kinds.draw(), expected=EITHER)
        pages[-1] = replace(pages[-1], damage="cut_end", expected=EITHER)
        return pages

    def _page(self, site: Site, kind: str, made: Draft) -> Page:
        self.number += 1
        url = sites.address(site, kind, made.title, self.number, self.rng)
        return Page(url, site, kind, made.title, made.blocks, facts=made.facts)

    def _with_pii(self, page: Page, kinds: Deck[str]) -> Page:
        planted, blocks = list(page.pii), page.blocks
        for _ in range(self.rng.choice((1, 1, 1, 2, 2))):
            sentence, item = pii.plant(kinds.draw(), self.rng)
            planted.append(item)
            blocks = _insert(blocks, sentence, self.rng)
        return replace(page, blocks=blocks, pii=tuple(planted))

    def _spam(self) -> Page:
        """Caught by the host, the URL or the text, a third each; the prose is the same."""
        rng = self.rng
        way = rng.choice(("host", "address", "text"))
        hosts = [site for site in sites.JUNK_SITES["spam"] if (site.host in sites.LISTED_SPAM) == (way == "host")]
        page = self._page(rng.choice(hosts), "spam", self.polluter.spam(shouting=way == "text"))
        if way == "address":
            page = replace(page, url=f"http://{page.site.host}/{rng.choice(sites.SPAM_PATHS)}/{self.number}.html")
        return replace(page, expected=DROP)

    def _junk_page(self, kind: str) -> Page:
        site = self.rng.choice(sites.JUNK_SITES[kind if kind in sites.JUNK_SITES else "other"])
        page = replace(self._page(site, kind, self.polluter.draft(kind)), expected=DROP)
        return replace(page, status="404 Not Found") if kind == "error" else page


def _insert(blocks: tuple[Block, ...], sentence: str, rng: random.Random) -> tuple[Block, ...]:
    """The blocks with the sentence added to the end of one of them."""
    place = rng.randrange(len(blocks))
    changed = Block(blocks[place].tag, f"{blocks[place].text} {sentence}")
    return (*blocks[:place], changed, *blocks[place + 1 :])


def _in_other_charset(page: Page, rng: random.Random) -> Page:
    """The page in windows-1252 or UTF-8, declared correctly, wrongly or not at all."""
    charset, declared = rng.choice(
        (
            ("windows-1252", "windows-1252"),
            ("windows-1252", "iso-8859-1"),  # what browsers read as windows-1252
            ("utf-8", None),
            ("windows-1252", "utf-8"),  # wrong
            ("utf-8", "iso-8859-1"),  # wrong
            ("windows-1252", None),
        )
    )
    note = "The café on the corner is closed on Sundays – as ever, for “a little rest”."
    return replace(page, charset=charset, declared_charset=declared, blocks=_insert(page.blocks, note, rng))
