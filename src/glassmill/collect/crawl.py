"""`glassmill crawl`: crawls the user's own site politely, into WARC files for a recipe.

In: the URL of a site's first page. Out: `<out>/<host>/crawl-*.warc.gz`. Scrapy does the crawling (optional extra
`glassmill[crawl]`): it obeys robots.txt and its crawl delay, stays on one host, reads sitemaps, follows links to a
maximum depth, requests one page at a time with a pause in between, and retries failures. Private addresses are never
connected to unless the user allows them; the check is on the address actually connected to, for every connection, so
redirects, DNS answers and odd spellings cannot get around it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

from glassmill.collect.addresses import check_networks
from glassmill.collect.warc_files import WarcFolder
from glassmill.errors import UserError
from glassmill.recipe import CrawlSettings

OnPage = Callable[[str, int, int], None]


class CrawlResult(TypedDict):
    """What a crawl did.

    `other` counts responses that are not HTML, `refused` lists hosts with private addresses, and `reason` is why the
    crawl ended: finished, pages, bytes, shutdown.
    """

    folder: str
    pages: int
    bytes: int
    new_pages: int
    other: int
    failures: list[str]
    refused: list[str]
    reason: str


def crawl(
    url: str, settings: CrawlSettings, out: Path, again: bool = False, on_page: OnPage = lambda url, pages, size: None
) -> CrawlResult:
    """Crawls the site of `url`. Stops Twisted's global reactor, so call it only once per process.

    Args:
        again: Fetch pages again that earlier crawls stored.
        on_page: Called with each page's URL, and the numbers of pages and bytes so far.

    Raises:
        UserError: not a web address, a private one that is not allowed, no response at all, or no Scrapy.
    """
    host = _host(url)
    check_networks(settings.private_networks)
    try:
        from scrapy.crawler import CrawlerProcess

        from glassmill.collect.spider import SiteSpider
    except ImportError:
        raise UserError("glassmill crawl needs Scrapy: pip install 'glassmill[crawl]'") from None
    folder = out / host.replace(":", "_")
    store = WarcFolder(folder)
    before = len(store.places)
    process = CrawlerProcess(scrapy_settings(settings))
    crawler = process.create_crawler(SiteSpider)
    process.crawl(
        crawler, url=url, host=host, store=store, reuse=not again, max_bytes=settings.max_bytes, on_page=on_page
    )
    from twisted.internet import reactor

    refused: list[tuple[str, str]] = []
    loop: Any = reactor
    loop.glassmill_networks, loop.glassmill_refused = tuple(settings.private_networks), refused
    process.start()
    store.close()
    spider = crawler.spider
    assert spider is not None, "Scrapy did not start the spider"
    if not spider.pages:
        raise UserError(_why_nothing(url, spider.failures, refused))
    reasons = {"closespider_pagecount": "pages", "closespider_itemcount": "pages"}
    reason = str(crawler.stats.get_value("finish_reason"))
    return {
        "folder": str(folder),
        "pages": spider.pages,
        "bytes": spider.bytes,
        "new_pages": len(store.places) - before,
        "other": spider.other,
        "failures": spider.failures[:100],
        "refused": sorted({f"{name} ({address})" for name, address in refused}),
        "reason": reasons.get(reason, reason),
    }


def scrapy_settings(settings: CrawlSettings) -> dict[str, object]:
    """Our settings as Scrapy's. Everything that listens, runs code or bypasses the address check is off."""
    return {
        "ROBOTSTXT_OBEY": True,
        "USER_AGENT": settings.user_agent,
        "DOWNLOAD_DELAY": settings.pause_s,
        "RANDOMIZE_DOWNLOAD_DELAY": False,
        "CONCURRENT_REQUESTS": 1,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "DOWNLOAD_TIMEOUT": settings.timeout_s,
        "DOWNLOAD_MAXSIZE": settings.max_page_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DEPTH_LIMIT": settings.max_depth + 1,  # robots.txt, requested first, counts as one
        "CLOSESPIDER_PAGECOUNT": settings.max_pages,
        "RETRY_TIMES": settings.tries - 1,
        "REDIRECT_MAX_TIMES": 5,
        "COOKIES_ENABLED": False,
        "DNS_RESOLVER": "glassmill.collect.spider.GuardedResolver",
        "TWISTED_DNS_RESOLVER": "glassmill.collect.spider.GuardedResolver",
        "DOWNLOADER_MIDDLEWARES": {"glassmill.collect.spider.Stored": 950},
        "DOWNLOAD_HANDLERS": {"file": None, "ftp": None, "s3": None, "data": None},
        "HTTPPROXY_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_ENABLED": False,
        "LOG_INSTALL_ROOT_HANDLER": False,
    }


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.username:
        raise UserError(f"{url!r} is not a web address; write it like https://www.example.org/")
    if any(character in host for character in "/\\\0") or host.startswith("."):
        raise UserError(f"{url!r} has no usable host name")
    return host


def _why_nothing(url: str, failures: list[str], refused: list[tuple[str, str]]) -> str:
    if refused:
        name, address = refused[0]
        return (
            f"{name} is {address}, not a public address; a site in your own network needs --allow-private,"
            " or crawl.private_networks=10.0.0.0/8"
        )
    cause = failures[0] if failures else "no HTML page that robots.txt allows"
    return f"nothing was crawled from {url}: {cause}"
