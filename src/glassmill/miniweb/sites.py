"""The hosts of the MiniWeb (`data/sites.toml`) and the addresses of their pages.

All hosts end in `.example` (RFC 2606), so none can be real. A host has one layout, as on the real web.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from glassmill.miniweb.lists import Lists
from glassmill.miniweb.page import Site

_LISTS = Lists("sites")


def _site(name: str, layout: str, domain: str = "example") -> Site:
    return Site(f"{name}.{domain}", name.removeprefix("www.").replace("-", " ").title(), layout)


def _sites(rows: Iterable[tuple[str, ...]]) -> tuple[Site, ...]:
    return tuple(Site(host, title, layout) for host, title, layout in rows)


GOOD_SITES = {kind: _sites(rows) for kind, rows in _LISTS.row_table("good").items()}
GOOD_SITES["blog"] = tuple(_site(name, "blog", "blogs.example") for name in _LISTS.texts("blogs"))
MIRRORS = _sites(_LISTS.rows("mirrors"))
LANGUAGE_SITES = {language: Site(*row) for language, row in _LISTS.table("languages").items()}

LISTED = _LISTS.texts("listed")
"""Kinds of junk of which every host is on the block list of the same name."""
JUNK_SITES = {
    kind: tuple(_site(*entry.split(":")) for entry in entries) for kind, entries in _LISTS.table("junk").items()
}
LISTED_SPAM = _LISTS.texts("listed_spam")
"""Spam hosts that the block lists know; the others must fall to the words of their addresses or to the text rules."""
SPAM_PATHS = _LISTS.texts("spam_paths")


def block_lists() -> dict[str, list[str]]:
    """The host lists a user would have, by category, without a leading `www.`, as in published lists."""
    lists = {kind: {_bare(site.host) for site in JUNK_SITES[kind]} for kind in LISTED}
    for number, host in enumerate(LISTED_SPAM):
        lists["malware" if number % 2 else "phishing"].add(host)
    return {kind: sorted(hosts) for kind, hosts in lists.items()}


def address(site: Site, kind: str, title: str, number: int, rng: random.Random) -> str:
    """The URL of page `number`, in the style of its kind; the number makes it unique."""
    words = slug(title)
    paths = {
        "article": f"/{rng.randint(2008, 2023)}/{rng.randint(1, 12):02d}/{words}-{number}.html",
        "interview": f"/talks/{words}-{number}.html",
        "encyclopedia": f"/wiki/{words}?curid={number}",
        "blog": f"/{rng.randint(2010, 2023)}/{words}-{number}/",
        "forum": f"/viewtopic.php?f={rng.randint(1, 9)}&t={number}",
        "shop": f"/product/{number}/{words}",
        "listing": f"/lists/{words}/{number}",
    }
    scheme = "https" if rng.random() < 0.7 else "http"
    return f"{scheme}://{site.host}{paths.get(kind, f'/{words}/{number}.html')}"


def slug(title: str) -> str:
    """The title as part of a URL: `A Cup of Tea` becomes `a-cup-of-tea`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:50].strip("-")


def _bare(host: str) -> str:
    return host.removeprefix("www.")
