"""A page on its way from the text modules through the layouts to the WARC files and the truth."""

from __future__ import annotations

from dataclasses import dataclass

from glassmill.miniweb.world import Fact

# What should happen to a page if every filter works.
KEEP, DROP, EITHER = "keep", "drop", "either"

GOOD_KINDS = ("article", "interview", "encyclopedia", "blog", "forum", "shop", "listing", "guest_book")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the main content: `tag` is p, h2, li, quote or post."""

    tag: str
    text: str


@dataclass(frozen=True, slots=True)
class Pii:
    """Personal data planted in a page: its kind and the exact characters."""

    kind: str  # email, phone, ssn, ip, address
    text: str


@dataclass(frozen=True, slots=True)
class Site:
    """A host with its title and the layout of its pages."""

    host: str
    title: str
    layout: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page with its ground truth."""

    url: str
    site: Site
    kind: str
    title: str
    blocks: tuple[Block, ...]
    language: str = "en"
    expected: str = KEEP
    facts: tuple[Fact, ...] = ()
    pii: tuple[Pii, ...] = ()
    duplicate_group: int | None = None
    charset: str = "utf-8"  # of the bytes
    declared_charset: str | None = "utf-8"  # in the HTTP header; None: not declared
    status: str = "200 OK"
    transfer: str = ""  # "", gzip or chunked: how the HTTP body is wrapped
    damage: str = ""  # "" or one of records.DAMAGES

    @property
    def words(self) -> int:
        """The number of words in the main content."""
        return sum(len(block.text.split()) for block in self.blocks)
