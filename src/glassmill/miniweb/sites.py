"""The hosts of the MiniWeb and the addresses of their pages.

All hosts end in `.example` (RFC 2606), so none can be anybody's. A host has one layout, as on the real web.
"""

from __future__ import annotations

import random
import re

from glassmill.miniweb.chance import words
from glassmill.miniweb.page import Site

_BLOG_NAMES = words(
    """
    quiet-river oak-diary tea-and-notes harbour-days small-steps window-seat evening-walks paper-kite
    grey-heron old-bicycle winter-apple slow-letters wet-boots blue-chair garden-gate morning-mail
    """
)


def _site(name: str, layout: str) -> Site:
    return Site(f"{name}.example", name.removeprefix("www.").replace("-", " ").title(), layout)


GOOD_SITES: dict[str, tuple[Site, ...]] = {
    "article": (
        Site("www.lindenfield-post.example", "Lindenfield Post", "newspaper"),
        Site("www.river-valley-news.example", "River Valley News", "modern"),
        Site("evening-herald.example", "The Evening Herald", "newspaper"),
        Site("archive.lindenfield-post.example", "Lindenfield Post Archive", "tables"),
    ),
    "interview": (
        Site("www.lindenfield-post.example", "Lindenfield Post", "newspaper"),
        Site("radio-linden.example", "Radio Linden", "modern"),
    ),
    "encyclopedia": (
        Site("wiki.lindenfield.example", "Lindenfield Wiki", "wiki"),
        Site("library.lindenfield.example", "Town Library", "plain"),
    ),
    "blog": tuple(Site(f"{name}.blogs.example", name.replace("-", " ").title(), "blog") for name in _BLOG_NAMES),
    "forum": (
        Site("forum.lindenfield.example", "Lindenfield Forum", "forum"),
        Site("talk.river-valley.example", "River Valley Talk", "forum"),
    ),
    "shop": (
        Site("shop.market-hall.example", "Market Hall Shop", "shop"),
        Site("www.linden-store.example", "Linden Store", "shop"),
    ),
    "listing": (
        Site("directory.lindenfield.example", "Town Directory", "tables"),
        Site("who-is-who.example", "Who Is Who", "plain"),
    ),
    "guest_book": (
        Site("inns.river-valley.example", "Inns of the Valley", "plain"),
        Site("guests.market-hall.example", "Guest Book", "blog"),
    ),
}

MIRRORS = (
    Site("mirror-one.example", "Mirror One", "plain"),
    Site("www.page-copies.example", "Page Copies", "modern"),
    Site("reader.news-collect.example", "News Collect", "blog"),
    Site("cache.old-web.example", "Old Web Cache", "tables"),
)

# Hosts of every kind of junk with the layout of each. Of the `LISTED` kinds all hosts stand on the list of their name.
LISTED = ("adult", "gambling", "malware", "phishing")
_JUNK_HOSTS = {
    "adult": """www.hot-hearts:modern midnight-dates:modern cam.velvet-room:plain grown-ups-only:blog
        red-curtain-club:modern night-flirt:blog""",
    "gambling": """www.lucky-wheel:shop seven-bells-slots:modern royal-jackpot:shop bet-the-river:newspaper
        cards-at-night:blog spin-and-win:shop""",
    "malware": """free-codec-pack:plain update-your-player:modern driver-boost:shop dl.crack-station:tables
        toolbar-heaven:plain""",
    "phishing": """secure-login-bank:modern account-check:plain parcel-waiting:shop verify-wallet:modern
        www.tax-refund-now:tables""",
    "spam": """best-deals-4-you:blog cheap-watches-outlet:shop www.seo-link-farm:plain pills-without-doctor:modern
        rich-in-a-week:blog miracle-diet-tips:blog town-secrets-revealed:newspaper super-loan-today:modern
        replica-bags-store:shop content-mill-77:plain hot-news-clicks:newspaper win-a-phone-now:modern""",
    "other": """www.old-corner:tables portal.valley-web:modern pages.free-host:plain start.linden-net:newspaper
        www.blank-canvas:blog dev.code-shed:plain""",
}
JUNK_SITES = {kind: tuple(_site(*entry.split(":")) for entry in words(hosts)) for kind, hosts in _JUNK_HOSTS.items()}

# Spam hosts that the block lists know; the others must fall to the words of their addresses or to the text rules.
LISTED_SPAM = ("pills-without-doctor.example", "super-loan-today.example", "win-a-phone-now.example",
               "replica-bags-store.example", "town-secrets-revealed.example")  # fmt: skip

LANGUAGE_SITES = {
    "de": Site("www.flussbote.example", "Der Flussbote", "newspaper"),
    "fr": Site("www.gazette-du-lac.example", "La Gazette du Lac", "modern"),
    "es": Site("diario-del-puerto.example", "Diario del Puerto", "newspaper"),
    "it": Site("la-piazza.example", "La Piazza", "blog"),
}


def block_lists() -> dict[str, list[str]]:
    """The host lists that a user would have, by category. A leading `www.` is left off, as in published lists."""
    lists = {kind: {_bare(site.host) for site in JUNK_SITES[kind]} for kind in LISTED}
    for number, host in enumerate(LISTED_SPAM):
        lists["malware" if number % 2 else "phishing"].add(host)
    return {kind: sorted(hosts) for kind, hosts in lists.items()}


def address(site: Site, kind: str, title: str, number: int, rng: random.Random) -> str:
    """The URL of page `number`, in the manner of the page's kind; the number makes it unique."""
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
    """The title as it stands in an address: `A Cup of Tea` becomes `a-cup-of-tea`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:50].strip("-")


def _bare(host: str) -> str:
    return host.removeprefix("www.")
