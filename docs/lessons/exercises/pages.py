"""Lesson 1: the records of a WARC file, and a block list of hosts."""

from collections.abc import Iterator
from urllib.parse import urlsplit


def records(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Every record of an uncompressed WARC file: its headers, with names in lower case, and its block.

    A record is a version line (`WARC/1.0`), header lines (`Name: value`), an empty line, a block of `Content-Length`
    bytes, and two empty lines. Lines end in b"\\r\\n". The block may hold anything, even another WARC record.
    """
    ...


def blocked(url: str, hosts: set[str]) -> str | None:
    """The name in `hosts` that blocks `url`: its host, or a domain above it. None if there is none.

    `cards.example` blocks `play.cards.example`, but not `mycards.example`. Case and port do not matter.
    """
    ...
