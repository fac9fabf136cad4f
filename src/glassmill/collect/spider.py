"""Our parts of the Scrapy crawler: which pages of a site are requested, and which addresses are never connected to.

Imported only by `crawl`, because Scrapy is an optional extra. Scrapy does the rest: queue, robots.txt, retries,
redirects, politeness.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from scrapy import Request, Spider
from scrapy.exceptions import CloseSpider, IgnoreRequest
from scrapy.http import HtmlResponse, Response
from scrapy.linkextractors import LinkExtractor
from scrapy.resolver import CachingThreadedResolver
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.utils.sitemap import Sitemap, sitemap_urls_from_robots
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError

from glassmill.collect.addresses import is_allowed
from glassmill.collect.warc_files import WarcFolder
from glassmill.corpus.judge.urls import host_of

KEPT_TYPES = ("text/html", "application/xhtml+xml")


class GuardedResolver(CachingThreadedResolver):  # type: ignore[misc]
    """Resolves names to the addresses the connection will use; a disallowed address fails like an unknown name."""

    def getHostByName(self, name: str, timeout: Any = ()) -> Deferred[str]:
        answer: Deferred[str] = super().getHostByName(name, timeout)
        return answer.addCallback(self._check, name)

    def _check(self, address: str, name: str) -> str:
        if not is_allowed(address, self.reactor.glassmill_networks):
            self.reactor.glassmill_refused.append((name, address))
            raise DNSLookupError(f"{name} is {address}, not a public address")
        return address


class Stored:
    """A downloader middleware: does not request pages again that an earlier, interrupted crawl stored."""

    @classmethod
    def from_crawler(cls, crawler: Any) -> Stored:
        stored = cls()
        stored.crawler = crawler
        return stored

    crawler: Any

    def process_request(self, request: Request) -> Response | None:
        spider = self.crawler.spider
        found = spider.store.read(request.url) if spider.reuse else None
        if found is None:
            return None
        headers = {name.title(): value for name, value in found.headers.items()}
        return HtmlResponse(request.url, found.status, headers, found.body, request=request, flags=["stored"])


class SiteSpider(Spider):  # type: ignore[misc]
    """Crawls one host from its start page and sitemaps along its links."""

    name = "glassmill"

    def __init__(self, url: str, host: str, store: WarcFolder, reuse: bool, max_bytes: int, on_page: Any) -> None:
        super().__init__()
        self.url, self.store, self.reuse, self.max_bytes, self.on_page = url, store, reuse, max_bytes, on_page
        self.allowed_domains = [host]
        self.links = LinkExtractor(unique=True)
        self.pages = self.bytes = self.other = 0
        self.failures: list[str] = []

    async def start(self) -> AsyncIterator[Request]:
        # robots.txt first: it may ask for a longer delay, and lists the sitemaps
        robots = Request(
            Response(self.url).urljoin("/robots.txt"),
            self.parse_robots,
            errback=self.parse_no_robots,
            priority=1000,
            dont_filter=True,
            meta={"handle_httpstatus_all": True, "dont_obey_robotstxt": True},
        )
        yield robots

    def parse_robots(self, response: Response) -> Iterator[Request]:
        if response.status == 200:
            self._slow_down(response)
            for url in sitemap_urls_from_robots(response.body, base_url=response.url):
                yield Request(url, self.parse_sitemap)
        yield Request(response.urljoin("/sitemap.xml"), self.parse_sitemap)
        yield self._first()

    def parse_no_robots(self, failure: Any) -> Iterator[Request]:
        yield self._first()

    def _first(self) -> Request:
        return Request(self.url, self.parse, errback=self.parse_failure)

    def _slow_down(self, response: Response) -> None:
        """Obeys a Crawl-delay of up to a minute."""
        from protego import Protego

        delay = Protego.parse(response.text).crawl_delay(self.settings["USER_AGENT"]) or 0
        slot = self.crawler.engine.downloader.slots.get(response.meta.get("download_slot"))
        if slot is not None:
            slot.delay = max(slot.delay, min(float(delay), 60.0))

    def parse_sitemap(self, response: Response) -> Iterator[Request]:
        body = response.body
        if body[:2] == b"\x1f\x8b":
            return  # a compressed sitemap; its pages are found through links
        try:
            sitemap = Sitemap(body)
        except ValueError:
            return
        for entry in sitemap:
            follow = self.parse_sitemap if sitemap.type == "sitemapindex" else self.parse
            if entry.get("loc"):
                yield Request(response.urljoin(entry["loc"]), follow)

    def parse(self, response: Response, **kwargs: Any) -> Iterator[Request]:
        media_type = (response.headers.get("Content-Type") or b"").decode("latin-1").partition(";")[0].strip().lower()
        if media_type not in KEPT_TYPES or not isinstance(response, HtmlResponse):
            self.other += 1
            return
        self.pages += 1
        self.bytes += len(response.body)
        if "stored" not in response.flags:
            headers = [(name, value) for name, values in response.headers.items() for value in values]
            self.store.write(response.url, response.status, headers, response.body, str(response.ip_address or ""))
        self.on_page(response.url, self.pages, self.bytes)
        if self.bytes > self.max_bytes:
            raise CloseSpider("bytes")
        for link in self.links.extract_links(response):
            if self._is_own(link.url):
                yield Request(link.url, self.parse, errback=self.parse_failure)

    def _is_own(self, url: str) -> bool:
        host, own = host_of(url), self.allowed_domains[0]
        return host == own or host.endswith(f".{own}")

    def parse_failure(self, failure: Any) -> None:
        if failure.check(HttpError):
            response = failure.value.response
            self.failures.append(f"{response.url}: HTTP {response.status}")
        elif not failure.check(IgnoreRequest):  # such as pages that robots.txt forbids
            self.failures.append(f"{failure.request.url}: {failure.getErrorMessage()}"[:300])
