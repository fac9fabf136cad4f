"""`glassmill crawl`: the pages of one's own site, politely, as WARC files that a recipe can name.

In: the address of a site's first page. Out: `<out>/<host>/crawl-*.warc.gz`. Scrapy crawls (optional extra
`glassmill[crawl]`): it obeys robots.txt with its crawl delay, keeps to one host, reads the sitemaps, follows links to
a depth, asks for one page at a time with a pause between, and tries again what fails. Private addresses are never
connected to unless the user names them; what is checked is the address that the connection goes to, for every
connection, so redirects, DNS answers and odd spellings change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from glassmill.collect.addresses import check_networks
from glassmill.collect.warc_files import WarcFolder
from glassmill.errors import UserError
from glassmill.recipe import CrawlSettings

OnPage = Callable[[str, int, int], None]


def crawl(
    url: str, settings: CrawlSettings, out: Path, again: bool = False, on_page: OnPage = lambda url, pages, size: None
) -> dict[str, Any]:
    """Crawls the site of `url`. Ends the process's one reactor: call it once in a process.

    Args:
        again: Ask for pages that are there already.
        on_page: Called with each page's URL, the number of pages and of their bytes so far.

    Returns:
        `folder`, `pages`, `bytes`, `new_pages`, `other` (answers that are no HTML), `failures`, `refused` (names whose
        addresses are private), `reason` (why the crawl ended: finished, pages, bytes, shutdown).

    Raises:
        UserError: no web address, a private one that was not allowed, no answer at all, or Scrapy is not there.
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


def scrapy_settings(settings: CrawlSettings) -> dict[str, Any]:
    """Ours as Scrapy's. Everything that listens, runs code or passes the address check by is off."""
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
        "DEPTH_LIMIT": settings.max_depth + 1,  # robots.txt, asked for first, counts as one
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
        raise UserError(f"{url!r} is no web address; write it like https://www.example.org/")
    if any(character in host for character in "/\\\0") or host.startswith("."):
        raise UserError(f"{url!r} has no usable host name")
    return host


def _why_nothing(url: str, failures: list[str], refused: list[tuple[str, str]]) -> str:
    if refused:
        name, address = refused[0]
        return (
            f"{name} is {address}, which is no public address; a site of your own network needs --allow-private,"
            " or crawl.private_networks=10.0.0.0/8"
        )
    cause = failures[0] if failures else "no page of HTML that robots.txt allows"
    return f"nothing was crawled from {url}: {cause}"
