"""`glassmill crawl` against loopback servers: polite, bounded, and never where it may not go."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glassmill.collect.addresses import is_allowed, is_public
from glassmill.collect.warc_files import WarcFolder
from glassmill.corpus.document import Page
from glassmill.corpus.read.sources import read_pages
from tests.collect.site import Site, serving
from tests.line import glassmill

LOOPBACK = "crawl.private_networks=127.0.0.1/32"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as site:
        yield site


def crawl(url: str, out: Path, *words: str, network: str = LOOPBACK) -> dict[str, Any]:
    """A crawl that must succeed; what it tells."""
    pytest.importorskip("scrapy", reason="the crawler is an optional extra")
    settings = [part for word in ("crawl.pause_s=0", network, *words) for part in ("--set", word)]
    done = glassmill("crawl", url, "--out", str(out), "--json", *settings)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def urls_in(folder: Path) -> set[str]:
    """The paths of the pages in the folder's WARC files, as the corpus stage reads them."""
    items = [item for path in sorted(folder.glob("*.warc.gz")) for item in read_pages(path, path.name)]
    assert all(isinstance(item, Page) and item.kind == "html" and item.status == 200 for item in items)
    paths = ["/" + item.url.split("/", 3)[3] for item in items]
    assert len(paths) == len(set(paths))
    return set(paths)


def test_a_site_is_crawled_along_links_and_sitemaps_and_robots_txt_is_obeyed(site: Site, tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{site.port}"
    site.page("/", "/a", "/b?x=1", "/private/secret", "http://elsewhere.invalid/", "/photo.jpg", "mailto:x@example.org")
    site.page("/a", "/", "/a", "/deep/1")
    site.page("/b?x=1")
    site.page("/deep/1", "/deep/2")
    site.page("/deep/2")
    site.page("/only-in-sitemap")
    site.page("/private/secret")
    site.text("/robots.txt", f"User-agent: *\nDisallow: /private\nSitemap: {base}/map.xml\n")
    site.text("/map.xml", f"<urlset><url><loc>{base}/only-in-sitemap</loc></url></urlset>", "application/xml")
    site.text("/notes", "no html")
    result = crawl(base + "/", tmp_path)
    assert urls_in(Path(result["folder"])) == {"/", "/a", "/b?x=1", "/deep/1", "/deep/2", "/only-in-sitemap"}
    assert (result["pages"], result["new_pages"], result["reason"]) == (6, 6, "finished")
    assert site.asked[0] == "/robots.txt" and "/private/secret" not in site.asked and "/photo.jpg" not in site.asked
    assert max(site.asked.count(path) for path in site.pages_asked) == 1

    site.asked.clear()  # what is there is not asked for again
    assert crawl(base + "/", tmp_path)["new_pages"] == 0 and site.pages_asked <= {"/map.xml"}


@pytest.mark.slow
def test_depth_pages_and_bytes_are_bounded(site: Site, tmp_path: Path) -> None:
    for number in range(30):
        site.page(f"/{number}", f"/{number + 1}", text="word " * 100)
    base = f"http://127.0.0.1:{site.port}/0"
    assert urls_in(Path(crawl(base, tmp_path / "depth", "crawl.max_depth=3")["folder"])) == {"/0", "/1", "/2", "/3"}
    by_bytes = crawl(base, tmp_path / "bytes", "crawl.max_bytes=2000")
    assert by_bytes["reason"] == "bytes" and 4 <= by_bytes["pages"] <= 6
    assert crawl(base, tmp_path / "pages", "crawl.max_pages=5")["pages"] <= 8


@pytest.mark.slow
def test_an_endless_site_a_failing_page_and_a_redirect_loop_end(site: Site, tmp_path: Path) -> None:
    site.page("/", "/loop", "/broken", "/big", "/good")
    site.redirect("/loop", "/loop2")
    site.redirect("/loop2", "/loop")
    site.answers["/broken"] = (500, {"Content-Type": "text/html"}, "oops")
    site.page("/big", text="x" * 5000)
    site.page("/good")
    result = crawl(f"http://127.0.0.1:{site.port}/", tmp_path, "crawl.max_page_bytes=2000", "crawl.tries=2")
    assert urls_in(Path(result["folder"])) == {"/", "/good"}
    assert site.asked.count("/broken") == 2 and site.asked.count("/loop") <= 4
    assert {failure.partition(": ")[0].rpartition("/")[2] for failure in result["failures"]} >= {"broken", "big"}


@pytest.mark.slow
@pytest.mark.parametrize("spelling", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_a_private_address_is_refused_in_one_line_without_a_connection(
    site: Site, tmp_path: Path, spelling: str
) -> None:
    pytest.importorskip("scrapy", reason="the crawler is an optional extra")
    site.page("/")
    done = glassmill("crawl", f"http://{spelling}:{site.port}/", "--out", str(tmp_path))
    assert done.returncode == 2 and site.connections == 0
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and "not a public address" in lines[0] and "--allow-private" in lines[0]


def test_a_redirect_to_an_address_that_is_not_allowed_is_not_followed(site: Site, tmp_path: Path) -> None:
    with serving(Site(), "127.0.0.2") as allowed:
        site.page("/stolen")
        allowed.page("/", "/go", "/odd")
        allowed.redirect("/go", f"http://127.0.0.1:{site.port}/stolen")
        allowed.redirect("/odd", f"http://2130706433:{site.port}/stolen")
        result = crawl(f"http://127.0.0.2:{allowed.port}/", tmp_path, network="crawl.private_networks=127.0.0.2/32")
    assert urls_in(Path(result["folder"])) == {"/"} and site.connections == 0


@pytest.mark.slow
def test_what_is_no_web_address_is_one_line(tmp_path: Path) -> None:
    for url in (
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://user:pass@example.org/",
        "x",
        "http://[::1",
    ):
        done = glassmill("crawl", url, "--out", str(tmp_path))
        assert done.returncode == 2 and "is not a web address" in done.stderr and len(done.stderr.splitlines()) == 1


PUBLIC = "8.8.8.8 2606:4700::1111"
NOT_PUBLIC = """10.1.2.3 172.16.0.1 192.168.1.1 127.0.0.1 0.0.0.0 169.254.169.254 100.64.0.1 224.0.0.1 255.255.255.255
    198.18.0.1 ::1 :: fe80::1 fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::"""


def test_addresses() -> None:
    everywhere = ["0.0.0.0/0", "::/0"]
    for address in PUBLIC.split():
        assert is_public(address) and is_allowed(address), address
    for address in NOT_PUBLIC.split():
        assert not is_public(address) and not is_allowed(address) and is_allowed(address, everywhere), address
    for text in ("example.org", "", "1.2.3", "08.8.8.8"):
        assert not is_allowed(text, everywhere), text


def test_every_spelling_of_a_private_address_resolves_to_what_is_refused() -> None:
    for octets in ((127, 0, 0, 1), (10, 0, 0, 8), (169, 254, 169, 254), (192, 168, 0, 1)):
        number = int.from_bytes(bytes(octets), "big")
        spellings = [str(number), hex(number), "0" + oct(number)[2:], ".".join(map(hex, octets)),
                     ".".join("0" + oct(part)[2:] for part in octets)]  # fmt: skip
        for spelling in spellings:
            assert not is_allowed(socket.gethostbyname(spelling)), spelling


def test_pages_survive_a_crawl_that_was_killed_and_are_read_back(tmp_path: Path) -> None:
    store = WarcFolder(tmp_path)
    store.write(
        "http://x.example/1", 200, [(b"Content-Type", b"text/html"), (b"Content-Encoding", b"gzip")], b"<p>1</p>"
    )
    store.write("http://x.example/2", 200, [(b"Content-Type", b"text/html")], b"<p>2</p>")
    store.close()
    path = tmp_path / "crawl-00000.warc.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])  # a kill in the middle of the last write
    again = WarcFolder(tmp_path)
    found = again.read("http://x.example/1")
    assert found is not None and found.body == b"<p>1</p>" and again.read("http://x.example/2") is None
    again.write("http://x.example/2", 200, [(b"Content-Type", b"text/html")], b"<p>2</p>")
    again.close()
    assert urls_in(tmp_path) == {"/1", "/2"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["crawl-00000.warc.gz", "crawl-00001.warc.gz"]
