"""Lesson 1: the records of a WARC file, and a block list of hosts."""

from collections.abc import Iterator
from urllib.parse import urlsplit


def records(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Every record of an uncompressed WARC file: its headers, with names in lower case, and its block.

    A record is a version line (`WARC/1.0`), header lines (`Name: value`), an empty line, a block of `Content-Length`
    bytes, and two empty lines. Lines end in b"\\r\\n". The block may hold anything, even another WARC record.
    """
    place = 0
    while place < len(data):
        end = data.index(b"\r\n\r\n", place)
        _, *lines = data[place:end].decode("utf-8").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        begin = end + len(b"\r\n\r\n")
        place = begin + int(headers["content-length"])
        yield headers, data[begin:place]
        place += len(b"\r\n\r\n")


def blocked(url: str, hosts: set[str]) -> str | None:
    """The name in `hosts` that blocks `url`: its host, or a domain above it. None if there is none.

    `cards.example` blocks `play.cards.example`, but not `mycards.example`. Case and port do not matter.
    """
    name = urlsplit(url).hostname or ""
    while name:
        if name in hosts:
            return name
        name = name.partition(".")[2]
    return None
