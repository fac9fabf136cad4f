"""Which records of an archive are pages: not a crawler's own notes, nor packed bytes."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import brotli
import pytest

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.sources import read_pages
from glassmill.tokens.textfiles import named_texts
from tests.corpus.pages import article, write_warc

PAGE = b"<html><p>" + b"The miller grinds wheat on Mondays and rye on Thursdays. " * 40 + b"</p></html>"


def warc(kind: str, url: str, media_type: str, body: bytes) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nContent-Type: {media_type}\r\n"
    return gzip.compress(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n")


OWN = [
    ("resource", "metadata://gnu.org/software/wget/warc/wget.log", "text/plain"),
    ("resource", "metadata://gnu.org/software/wget/warc/wget_arguments.txt", "text/plain"),
    ("resource", "urn:X-wpull:log", "text/plain"),
    ("resource", "urn:pageinfo:https://host.example/", "text/html"),
    ("conversion", "urn:text:https://host.example/", "text/plain"),
    ("resource", "screenshot:http://host.example/", "text/html"),
    ("response", "dns:host.example", "text/dns"),
    ("resource", "whois://whois.example/host.example", "text/plain"),
    ("metadata", "http://host.example/", "text/plain"),
    ("warcinfo", "", "text/plain"),
]


SECRET = b"--user=mill --password=hunter2 and some words more, so that it is as long as a sentence."


@pytest.mark.parametrize(("kind", "url", "media_type"), OWN)
def test_what_a_crawler_notes_for_itself_is_never_a_document(
    tmp_path: Path, kind: str, url: str, media_type: str
) -> None:
    members = [
        warc(kind, url, media_type, SECRET),
        warc("resource", "http://host.example/", "text/html", article(1).encode()),
    ]
    path = write_warc(tmp_path / "x.warc.gz", members)
    pages = list(read_pages(path, path.name))
    assert not any(isinstance(page, Page) and page.kind != "other" for page in pages[:-1])
    assert isinstance(pages[-1], Page) and pages[-1].kind == "html"


def test_a_tokenizer_never_learns_from_what_a_crawler_notes_for_itself(tmp_path: Path) -> None:
    members = [warc(kind, url, media_type, SECRET) for kind, url, media_type in OWN]
    page = warc("resource", "http://host.example/", "text/html", article(1).encode())
    path = write_warc(tmp_path / "x.warc.gz", [*members, page])
    texts = [text for _, text in named_texts(path)]
    assert len(texts) == 1 and "hunter2" not in texts[0]


@pytest.mark.parametrize(
    "url", ["http://a.example/", "HTTPS://a.example/", "ftp://a.example/x", "a.example:80/x", "x.html", "C:\\x.html"]
)
def test_pages_are_known_whatever_their_address_looks_like(tmp_path: Path, url: str) -> None:
    path = write_warc(tmp_path / "x.warc.gz", [warc("resource", url, "text/html", article(1).encode())])
    (page,) = read_pages(path, path.name)
    assert isinstance(page, Page) and page.kind == "html"


@pytest.mark.parametrize("media_type", ["text/html", ""])
def test_packed_bytes_never_become_a_document(tmp_path: Path, media_type: str) -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n" % media_type.encode()
    path = write_warc(
        tmp_path / "x.warc.gz",
        [
            warc("response", "http://a.example/", "application/http", body + packed)
            for packed in (zlib.compress(PAGE * 50), brotli.compress(article(1).encode()), b"\x89PNG\r\n" + bytes(90))
        ],
    )  # fmt: skip
    for page in read_pages(path, path.name):
        assert isinstance(page, Lost) or page.kind == "other"
    assert not list(named_texts(path))
