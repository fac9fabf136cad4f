"""Duplicates: exact copies, copies with a few words changed, and mirrors on other hosts in other layouts.

All members of a group, including the original, are marked `either`: exactly one of them should be kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from glassmill.miniweb.fillers import EDITION_NOTES
from glassmill.miniweb.names import WEEKDAYS
from glassmill.miniweb.page import EITHER, Block, Page
from glassmill.miniweb.sites import MIRRORS

COPY_KINDS = ("exact_duplicate", "near_duplicate", "mirror")
MIN_WORDS_OF_NEAR_DUPLICATE = 110  # a changed word changes five 5-grams: at 110 words two copies share 0.9 of them


def copy_page(original: Page, kind: str, number: int, rng: random.Random) -> Page:
    """Another page with the text of `original`, or nearly the same, at a new URL."""
    return _COPIERS[kind](original, number, rng)


def _exact(original: Page, number: int, rng: random.Random) -> Page:
    """The same host at another URL: a session id, a print version, or a tracking parameter."""
    joint = "&" if "?" in original.url else "?"
    tail = rng.choice(("utm_source=mail", "print=1", "ref=home", "session=a1b2c3"))
    return replace(original, url=f"{original.url}{joint}{tail}&v={number}", kind="exact_duplicate", expected=EITHER)


def _near(original: Page, number: int, rng: random.Random) -> Page:
    """A later edition: a weekday changed or a note added, with the same facts."""
    blocks = list(original.blocks)
    if rng.random() < 0.5:
        blocks = [Block(block.tag, _other_day(block.text)) for block in blocks]
    if blocks == list(original.blocks):
        blocks.append(Block(blocks[-1].tag, rng.choice(EDITION_NOTES).format(day=rng.choice(WEEKDAYS))))
    url = f"https://{original.site.host}/edition/{number}.html"
    return replace(original, url=url, kind="near_duplicate", expected=EITHER, blocks=tuple(blocks))


def _mirror(original: Page, number: int, rng: random.Random) -> Page:
    site = rng.choice(MIRRORS)
    return replace(original, url=f"http://{site.host}/saved/{number}.html", site=site, kind="mirror", expected=EITHER)


_COPIERS: dict[str, Callable[[Page, int, random.Random], Page]] = {
    "exact_duplicate": _exact,
    "near_duplicate": _near,
    "mirror": _mirror,
}


def _other_day(text: str) -> str:
    """The text with its first weekday moved by one."""
    for index, day in enumerate(WEEKDAYS):
        if day in text:
            return text.replace(day, WEEKDAYS[(index + 1) % 7], 1)
    return text
