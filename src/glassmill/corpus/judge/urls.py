"""URL filter: hosts and pages on block lists, and words in the URL that give the page away.

In: a URL, written in any way (`web_address.py`). Out: a verdict, cheapest rule first, in the
order of FineWeb's URLFilter (hosts, URLs, banned words, two
soft words, banned subwords). Differences: a listed host also blocks the hosts below it, and words are compared in
lower case. The user's own lists win: an allowed host is kept whatever the others say, a blocked one is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from glassmill.corpus.judge.rule import Direction, Rule, Unit, Verdict
from glassmill.corpus.judge.url_lists import HashList
from glassmill.corpus.judge.web_address import (
    MAX_HOST_LABELS,
    MAX_URL_CHARACTERS,
    WebAddress,
    listed_key,
    web_address,
)
from glassmill.recipe import UrlSettings

__all__ = ["MAX_HOST_LABELS", "MAX_URL_CHARACTERS", "UrlFilter", "host_of"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Our own short lists, after the idea of RefinedWeb's (arXiv 2306.01116, G.1): strict words, soft words, parts of words.
BANNED_WORDS = _words("""
    porn porno pornos xxx xnxx xvideos xhamster hentai milf milfs camgirl camgirls camsex cumshot blowjob blowjobs
    deepthroat gangbang bukkake creampie bdsm nsfw sexcam sexcams sextape shemale upskirt onlyfansleaks escortservice
""")
SOFT_WORDS = _words("""
    sex sexy nude nudes naked erotic adult adults hot babes girls teen amateur webcam escort escorts fetish lesbian
    dating hookup singles casino casinos poker slots slot roulette blackjack jackpot betting bets gambling bonus bonuses
    viagra cialis pills pharmacy payday loans replica warez crack cracked keygen serial torrent torrents
""")
BANNED_SUBWORDS = _words("""
    freeporn pornhub pornvideo pornstar youporn redtube sexvideo sexchat livesex nakedgirls nudegirls hotgirls
    adultdating onlinecasino casinobonus freespins sportsbetting buyviagra cheapviagra cheapcialis buycialis
""")

_PIECES = re.compile(r"[^a-z0-9]+")
_SUBWORD = re.compile("|".join(sorted(BANNED_SUBWORDS)))

BLOCKED_HOST = Rule("url/blocked_host", "blocked host", "the host is on a block list")
BLOCKED_URL = Rule("url/blocked_url", "blocked URL", "the URL is on a block list")
BANNED_WORD = Rule("url/banned_word", "banned words", "banned words in the URL: {value}")
SOFT_WORDS_FOUND = Rule(
    "url/soft_words",
    "suspicious words",
    "suspicious words in the URL: {value}; fewer than {bound} allowed",
    Unit.COUNT,
    Direction.BELOW,
)
BANNED_SUBWORD = Rule(
    "url/banned_subword", "banned word inside", "the URL, without its punctuation, contains a banned word"
)


class UrlFilter:
    """The filter with its lists loaded. It judges URLs only and reads no page."""

    def __init__(self, settings: UrlSettings, lists: HashList | None = None, allowed: HashList | None = None) -> None:
        self._settings = settings
        self._lists = lists
        self._allow_lists = allowed
        self._allowed = frozenset(map(_host_of_setting, settings.allow_hosts))
        self._blocked = frozenset(map(_host_of_setting, settings.block_hosts))

    def judge(self, url: str) -> Verdict | None:
        """Why `url` is dropped, or None. Allowed hosts are kept whatever the other lists say."""
        address = web_address(url) if self._settings.enabled else None
        if address is None:
            return None
        parents = list(_with_parents(address.host))
        if any(name in self._allowed for name in parents) or self._is_allowed(address, parents):
            return None
        for name in parents:
            if name in self._blocked:
                return BLOCKED_HOST.broken(1, 0, name)
            if self._lists and (category := self._lists.category(name)):
                return BLOCKED_HOST.broken(1, 0, f"{name} ({category})")
        if self._lists and (category := self._lists.category(address.key)):
            return BLOCKED_URL.broken(1, 0, category)
        return _judge_words(f"{address.host}/{address.path}".lower(), self._settings) if self._settings.words else None

    def _is_allowed(self, address: WebAddress, parents: list[str]) -> bool:
        lists = self._allow_lists
        return lists is not None and any(lists.category(key) for key in (*parents, address.key))


def _host_of_setting(host: str) -> str:
    """The host that the user means by `example.com`, `*.example.com` or `https://example.com/`."""
    return listed_key(host).partition("/")[0]


def _judge_words(address: str, settings: UrlSettings) -> Verdict | None:
    pieces = set(_PIECES.split(address))
    banned = pieces & BANNED_WORDS
    if banned:
        return BANNED_WORD.broken(len(banned), 0, min(banned))
    soft = pieces & SOFT_WORDS
    if len(soft) >= settings.soft_words:
        return SOFT_WORDS_FOUND.broken(len(soft), settings.soft_words, " ".join(sorted(soft)))
    match = _SUBWORD.search(_PIECES.sub("", address))
    return BANNED_SUBWORD.broken(1, 0, match[0]) if match else None


def host_of(url: str) -> str:
    """The host in lower case and ASCII, without port, user and trailing dot; empty if the URL has none."""
    address = web_address(url)
    return address.host if address else ""


def _with_parents(host: str) -> Iterator[str]:
    """`a.b.org` gives `a.b.org`, `b.org` and `org`: UT1 lists whole top-level domains, such as `xxx`."""
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield host
