"""A web with one page for every rule that the corpus can emit, each made to break that rule and none before it.

For `record.py`, which runs the real corpus stage over it. Texts are plain text, so that lines and blanks arrive as
they are written here.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glassmill.corpus.judge.classifier import train
from tests.corpus.pages import GERMAN, SENTENCES, article


def _words(text: str) -> list[str]:
    return text.split()


RECIPE = """
name = "rules"
stages = ["corpus"]

[corpus]
inputs = ["pages.warc.gz"]
workers = 1
extract.max_page_bytes = 20000
gopher_quality.max_words = 600
url.block_hosts = ["blocked.example"]
url.blocklists = ["lists"]
classifier.path = "classifier"
classifier.min_score = 0.5
"""
LOOSE = """
name = "rules-loose"
stages = ["corpus"]

[corpus]
inputs = ["empty.warc.gz"]
workers = 1
c4.min_sentences = 0
"""
"""FineWeb's rules meet an empty text only where C4 asks for no sentence."""

OWN = [
    "Quietly {0} collected signatures from forty neighbours so that nobody would tear down the brewery.",
    "According to {0}, about ninety visitors asked for directions towards the castle this spring.",
    "A letter signed by {0} mentions seven barrels that were stored behind the library for years.",
    "Only {0} could explain why the third bridge stands so far away from any road or footpath.",
    "For many summers {0} rented out rowing boats near the harbour and lived on it rather well.",
    "Every photograph which {0} took, twelve altogether, shows some part of the abandoned station.",
    "When asked about prices, {0} laughed and named a sum that made the whole market fall silent.",
    "Before dark {0} walked eleven miles along the muddy track to reach an orchard beyond the hill.",
]
NAMES = ("Ada", "Bruno", "Clara", "David", "Edith", "Frank", "Greta", "Hugo")
PROSE = [*SENTENCES, *(sentence.format(name) for sentence, name in zip(OWN, NAMES, strict=True))]
SALES = [
    "Order your new kitchen today and save a fortune on every cupboard that we deliver to you.",
    "This offer ends on Sunday, so be quick and have your credit card ready for our friendly team.",
    "Our customers say that they have never seen a discount like that in any shop of the region.",
    "With every order of a sofa you get a free lamp, and the delivery to your door costs nothing.",
    "Do not wait until the others have bought it all, because the stock is limited to a few pieces.",
    "We have the lowest prices of the city, and we are proud of the service that comes with them.",
    "Call the hotline and one of our experts will tell you which carpet is the bargain of the week.",
]
WORDS = _words("""
    amber basil cedar delta ember fable grove hazel ivory jewel knoll lemon maple north ocean pearl quill raven slate
    tulip umber vapor wheat yield zebra acorn birch cliff drift elder frost glade heron inlet jolly kayak lilac marsh
    nylon olive piano quest ridge stone thyme union valve willow yacht zonal angle blaze crown dwarf eagle flute giant
""")
LONG_WORDS = _words("""
    background basketball blacksmith bookseller brightness carpenters collection completely discussion everything
    experience friendship generation girlfriend graduation importance individual kingfisher laboratory leadership
    literature locomotive membership millstones mysterious particular population profession restaurant revolution
    strawberry tournament university understand afterwards motorcycle
""")
NO_STOP_WORDS = [
    "She sells fresh bread every morning near our old harbour. His brother paints small boats all year round.",
    "Their neighbours grow apples, pears, plums. On Sundays we walk uphill until noon, then rest beside some trees.",
    "Her uncle never drives his car in winter because snow makes him nervous. Nobody here likes driving at night.",
    "My sister reads long novels during summer holidays. Last June she finished five books in only nine days.",
]
SHORT = [
    "Ada paints kayaks.", "Bruno collects stones.", "Clara sells honey.", "Old David sleeps well.", "Edith met geese.",
    "Who knows Frank?", "Greta likes rain.", "Hugo lost his hat.", "Rain fell all day.", "Nobody was surprised.",
]  # fmt: skip


@dataclass(frozen=True)
class Crafted:
    """A page and the rule that it breaks; empty for a page that stays."""

    rule: str
    url: str
    body: bytes
    media_type: str = "text/plain; charset=utf-8"
    status: int = 200


def pages() -> Iterator[Crafted]:
    """The pages of the line `rules`."""
    yield Crafted("", "http://kept.example/", article(1).encode(), "text/html; charset=utf-8")
    yield Crafted("read/http_status", "http://good.example/gone", b"Not found.", "text/html", 404)
    yield Crafted("read/pdf", "http://good.example/leaflet", b"%PDF-1.4", "application/pdf")
    yield Crafted("read/not_html", "http://good.example/logo", b"GIF89a", "image/gif")
    yield _text("url/blocked_host", SENTENCES, "http://www.blocked.example/")
    yield _text("url/blocked_url", SENTENCES, "http://mixed.example/bad/page")
    yield _text("url/banned_word", SENTENCES, "http://good.example/hentai/bdsm")
    yield _text("url/soft_words", SENTENCES, "http://casino-bonus-poker.example/")
    yield _text("url/banned_subword", SENTENCES, "http://my-freespins-today.example/")
    yield Crafted("extract/too_large", "http://good.example/large", b"The mill. " * 3000)
    yield Crafted("extract/no_text", "http://good.example/void", b"<html><body></body></html>", "text/html")
    yield Crafted("language/not_wanted", "http://good.example/de", GERMAN.encode(), "text/html; charset=utf-8")
    yield _text("language/low_score", ["Mill, Mehl, moulin; wheel, roue, Rad: 4711 stone pierre Stein 12 of the mill."])
    for rule, lines in texts().items():
        yield _text(rule, lines)
    yield _text("classifier/low_score", SALES)
    yield Crafted("dedup/exact_duplicate", "http://copy.example/", article(1).encode(), "text/html; charset=utf-8")
    near = article(1).replace("grey stone", "red brick").encode()
    yield Crafted("dedup/near_duplicate", "http://mirror.example/", near, "text/html; charset=utf-8")


def texts() -> dict[str, list[str]]:
    """Rule to the lines of a text that breaks it."""
    prose, half = list(PROSE), PROSE[:10]
    return {
        "gopher/duplicate_paragraphs": [f"{line}\n" for line in [*half, *[half[0]] * 6]],
        "gopher/duplicate_paragraph_characters": [*[" ".join(half) + "\n"] * 2, *(f"{line}\n" for line in prose[10:])],
        "gopher/duplicate_lines": [*prose, *["We mill."] * 12],
        "gopher/duplicate_line_characters": [" ".join(half), " ".join(half), *prose[10:]],
        **{f"gopher/top_{n}_gram": [" ".join(_top(n, share))] for n, share in ((2, 0.20), (3, 0.18), (4, 0.16))},
        **{
            f"gopher/duplicate_{n}_grams": [" ".join(_repeats(n, 0.20 - n / 100))]
            for n in range(5, 11)
        },
        "gopher/too_few_words": PROSE[:2],
        "gopher/too_many_words": _long(700),
        "gopher/short_words": [*half, " ".join(f"{a} {b}" for a in "bcdfg" for b in "hjklmnpqrstvwxz")],
        "gopher/long_words": [*half[:4], " ".join(f"{word}{word[::-1]}{word}izations" for word in WORDS)],
        "gopher/too_many_hashes": [" # ".join(line.split()) for line in prose[:6]] + prose[6:12],
        "gopher/too_many_ellipses": [line.replace(" the ", " the ... ").replace(" of ", " of ... ") for line in half],
        "gopher/bullet_lines": [f"- {line}" for line in half],
        "gopher/ellipsis_lines": [*half[:6], *(f"{line[:-1]}…" for line in half[6:])],
        "gopher/few_alphabetic_words": [*half, " ".join(str(number * number) for number in range(1000, 1060))],
        "gopher/few_stop_words": NO_STOP_WORDS,
        "c4/lorem_ipsum": [*half, "Lorem ipsum dolor sit amet."],
        "c4/curly_brace": [*half, "The setting {wheel} or {stone} is needed."],
        "c4/too_few_sentences": [" ".join(line[:-1] for line in half[:6]) + "."],
        "fineweb/few_punctuated_lines": [line[:-1] for line in half],
        "fineweb/short_lines": [*prose[:3], *SHORT],
        "fineweb/duplicate_lines": [*prose, prose[0]],
        "fineweb/newlines_per_word": _broken_lines(),
    }  # fmt: skip


def _text(rule: str, lines: list[str], url: str = "") -> Crafted:
    return Crafted(rule, url or f"http://good.example/{rule}", "\n".join(lines).encode())


def _top(n: int, share: float) -> list[str]:
    """Prose with one phrase of `n` words so often that it holds a little more than `share` of the characters."""
    phrase = " ".join(WORDS[:n])
    words = " ".join(PROSE).split()
    number = 1
    while number * len(phrase) <= (share + 0.004) * len(" ".join(_spread(words, [phrase] * number))):
        number += 1
    return _spread(words, [phrase] * number)


def _repeats(n: int, share: float) -> list[str]:
    """Prose with different phrases of `n` words, each twice, that hold a little more than `share` in their repeats."""
    phrases = [" ".join(WORDS[k : k + n]) for k in range(0, len(WORDS) - n, n)]
    words = " ".join(PROSE[:10]).split()
    for number in range(1, len(phrases) + 1):
        text = _spread(words, phrases[:number] * 2)
        if sum(len(phrase.replace(" ", "")) for phrase in phrases[:number]) > (share + 0.002) * len(" ".join(text)):
            return text
    raise AssertionError(f"too few words for repeats of {n}")


def _spread(words: list[str], phrases: list[str]) -> list[str]:
    """`phrases` at even distances among `words`."""
    out: list[str] = []
    for number, phrase in enumerate(phrases):
        out += [*words[number * len(words) // len(phrases) : (number + 1) * len(words) // len(phrases)], phrase]
    return out


def _long(words: int) -> list[str]:
    """Sentences of ten words without repeats to speak of, that many words or more."""
    choose = random.Random(1)
    verbs = ("keeps", "paints", "sells", "repairs", "admires", "collects", "carries", "hides", "finds", "loses", "buys")
    places = ("under", "behind", "near", "beside", "above", "against", "beyond", "inside", "before", "after", "without")

    def sentence() -> str:
        one, two, three, four, five = choose.sample(WORDS, 5)
        return f"{one.title()} {two} {choose.choice(verbs)} that {three} {choose.choice(places)} the {four} and {five}."

    return [sentence() for _ in range(words // 10)]


def _broken_lines() -> list[str]:
    """Lines of three words, a third of them long words: a line break for every three words."""
    long = [" ".join(LONG_WORDS[k : k + 3]) for k in range(0, 36, 3)]
    short = [" ".join(WORDS[k : k + 3]) for k in range(0, 48, 3)]
    return [*long, "the mill of", "and to bed", *short[:-4], *(f"{line}." for line in short[-4:])]


def write(folder: Path) -> None:
    """The archives, the recipes, the block lists and the classifier of both lines."""
    (folder / "rules.toml").write_text(RECIPE.lstrip())
    (folder / "rules-loose.toml").write_text(LOOSE.lstrip())
    for name in ("lists", "classifier"):
        (folder / name).mkdir()
    (folder / "lists" / "spam.txt").write_text("mixed.example/bad/page\n")
    (folder / "pages.warc.gz").write_bytes(b"".join(map(_response, pages())) + _damaged())
    words = " ".join(PROSE).split()
    pairs = [" ".join(words[k : k + 2]) for k in range(0, len(words), 2)]  # C4 takes away lines of fewer than three
    empty = _text("fineweb/empty", pairs)
    (folder / "empty.warc.gz").write_bytes(_response(empty))
    good = [" ".join(PROSE[k:] + PROSE[:k]) for k in range(len(PROSE))]
    bad = [" ".join(SALES[k:] + SALES[:k]) for k in range(len(SALES))]
    train(good, bad).save(folder / "classifier" / "classifier.safetensors", {})


def _response(page: Crafted) -> bytes:
    """The page as a record of its own: an answer of a server, or, if it is plain text, that text."""
    kind, block, head_type = "resource", page.body, page.media_type
    if not page.media_type.startswith("text/plain"):
        kind, head_type = "response", "application/http; msgtype=response"
        block = f"HTTP/1.1 {page.status} OK\r\nContent-Type: {page.media_type}\r\n\r\n".encode() + page.body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Date: 2024-05-18T01:58:10Z\r\nContent-Type: {head_type}\r\n"
        f"WARC-Target-URI: {page.url}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0)


def _damaged() -> bytes:
    """A record that the archive lost: its end is missing."""
    return _response(Crafted("", "http://good.example/cut", b"The end of this page is missing." * 40))[:-60]
