"""A small web for the tests of the corpus stage: pages with a known fate, as a WARC file."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.sources import read_pages
from glassmill.recipe import FilesSettings

SENTENCES = [
    "The mill by the river was built of grey stone and has a wheel that the water turns all year.",
    "In the morning the miller opens the gate, and the farmers of the valley bring their grain to him.",
    "Her daughter keeps the books of the mill and writes down every sack that comes and goes.",
    "It is said that the wheel was once stopped for a whole winter, because the river had frozen over.",
    "People come from the next town to buy the flour, which is finer than that of other mills.",
    "The old baker tells everyone who wants to hear it that good bread begins with good stones.",
    "There is a small museum in the upper floor, and on Sundays visitors may climb to the roof.",
    "Last year the council gave money for a new roof, and the work was done by two local firms.",
    "Nobody remembers who planted the three lime trees that stand between the mill and the road.",
    "When the flood came, the water stood as high as the second window and ruined the old organ.",
    "A teacher at the school wrote a history of the valley that has a long chapter on the mill.",
    "The stones must be dressed twice a year, which is work for a patient person with steady hands.",
]


NAMES = ["Ada", "Bruno", "Clara", "David", "Edith", "Frank", "Greta", "Hugo", "Irma", "Jonas"]
PLACES = ["bridge", "harbour", "market", "library", "station", "orchard", "castle", "brewery"]
TEMPLATES = [
    "{} walked {} miles along the muddy road to reach the {} before dark.",
    "According to {}, about {} visitors asked for directions towards the {} this spring.",
    "Only {} could explain why number {} stands so far away from the {}.",
    "A letter signed by {} mentions {} barrels that were stored behind the {}.",
    "For many years {} rented out {} rowing boats near the {} and lived on it.",
    "When asked about prices, {} laughed and named {} pounds for a house beside the {}.",
    "Quietly {} collected {} signatures so that nobody would tear down the {}.",
    "Every photograph which {} took, {} altogether, shows some part of the {}.",
]


def article(seed: int, extra: str = "") -> str:
    """About 150 words of prose that pass every filter; different seeds give texts that are no near duplicates."""
    choose = random.Random(seed)
    names = choose.sample(NAMES, 8)
    own = [
        template.format(name, choose.randrange(2, 900), choose.choice(PLACES))
        for template, name in zip(TEMPLATES, names, strict=True)
    ]
    paragraphs = [f"<p>{left} {right}</p>" for left, right in zip(choose.sample(SENTENCES, 8), own, strict=True)]
    text = "".join(paragraphs)
    return (
        f"<html><head><title>The mill {seed}</title></head><body><article>{text}<p>{extra}</p></article></body></html>"
    )


def record(url: str, body: str | bytes, status: int = 200, media_type: str = "text/html; charset=utf-8") -> bytes:
    """One gzip member with one response."""
    content = body.encode() if isinstance(body, str) else body
    block = b"HTTP/1.1 %d OK\r\nContent-Type: %s\r\n\r\n" % (status, media_type.encode()) + content
    head = f"""WARC/1.0
WARC-Type: response
WARC-Date: 2024-05-18T01:58:10Z
WARC-Target-URI: {url}
Content-Length: {len(block)}

""".replace("\n", "\r\n")
    return gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0)


GERMAN = (
    "<p>"
    + "Die alte Mühle steht am Fluss, und jeden Morgen öffnet der Müller den Bauern des Tales ihre Türen. " * 8
    + "</p>"
)

PAGES: list[tuple[str, bytes, str]] = [
    *(
        (f"http://good.example/{number}", record(f"http://good.example/{number}", article(number)), "kept")
        for number in range(12)
    ),
    ("http://mirror.example/3", record("http://mirror.example/3", article(3)), "dedup/exact_duplicate"),
    ("http://casino-bonus.example/", record("http://casino-bonus.example/", article(50)), "url/soft_words"),
    ("http://listed.example/", record("http://listed.example/", article(51)), "url/blocked_host"),
    ("http://good.example/gone", record("http://good.example/gone", article(52), status=404), "read/http_status"),
    (
        "http://good.example/logo",
        record("http://good.example/logo", b"GIF89a", media_type="image/gif"),
        "read/not_html",
    ),
    ("http://good.example/void", record("http://good.example/void", "<html><body></body></html>"), "extract/no_text"),
    ("http://good.example/de", record("http://good.example/de", GERMAN), "language/not_wanted"),
    (
        "http://good.example/stub",
        record("http://good.example/stub", f"<p>{SENTENCES[0]} {SENTENCES[1]}</p>"),
        "gopher/too_few_words",
    ),
    (
        "http://good.example/code",
        record("http://good.example/code", article(53, "The setting { wheel } is needed.")),
        "c4/curly_brace",
    ),
    (
        "http://good.example/pii",
        record("http://good.example/pii", article(54, "Write to ana@old-mill.museum or call 415-555-2671.")),
        "kept",
    ),
]


def write_warc(path: Path, members: list[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(members))
    return path


def read(path: Path, content: bytes, **settings: object) -> tuple[list[Page], list[str]]:
    """The pages of a file with this content, and why others could not be read."""
    path.write_bytes(content)
    items = list(read_pages(path, path.name, files=FilesSettings.model_validate(settings)))
    return [one for one in items if isinstance(one, Page)], [one.cause for one in items if isinstance(one, Lost)]
