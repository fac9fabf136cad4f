"""Tests of lesson 1's exercise: your `pages.py`."""

import tempfile
from pathlib import Path

from expect import gives
from pages import blocked, records

from glassmill.corpus.judge.urls import UrlFilter
from glassmill.corpus.read.warc import Record, read_records
from glassmill.recipe import UrlSettings


def record(block: bytes, kind: str = "response", **more: str) -> bytes:
    lines = ["WARC/1.0", f"WARC-Type: {kind}", *(f"{name}: {value}" for name, value in more.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(block)}"])
    return head.encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>"
FILE = record(b"software: me\r\n", "warcinfo") + record(PAGE, **{"WARC-Target-URI": "http://a.example/x?y=1:2"})


def test_every_record_is_found_with_its_block() -> None:
    found = list(records(FILE))
    assert [block for _, block in found] == [b"software: me\r\n", PAGE], f"the blocks are {found}"


def test_header_names_are_in_lower_case_and_values_keep_their_colons() -> None:
    headers = list(records(FILE))[1][0]
    wanted = {
        "warc-type": "response",
        "warc-target-uri": "http://a.example/x?y=1:2",
        "content-length": str(len(PAGE)),
    }
    assert headers == wanted, f"the headers are {headers}"


def test_a_record_inside_a_block_is_no_record_and_an_empty_block_is_one() -> None:
    nested = record(record(PAGE)) + record(b"")
    assert [block for _, block in records(nested)] == [record(PAGE), b""]


def test_glassmill_reads_the_same_blocks() -> None:
    data = FILE + record(record(PAGE)) + record(b"\r\n\r\nWARC/1.0\r\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.warc"
        path.write_bytes(data)
        theirs = [one for one in read_records(path, frozenset({"warcinfo", "response"})) if isinstance(one, Record)]
    assert [block for _, block in records(data)] == [one.block for one in theirs]


LISTED = {"cards.example", "bad.example.org", "xxx"}
URLS = {
    "http://cards.example/": "cards.example",
    "https://play.cards.example/spin": "cards.example",
    "https://PLAY.Cards.Example:8080/spin": "cards.example",
    "http://mycards.example/": None,
    "http://cards.example.org/": None,
    "http://a.b.bad.example.org/c": "bad.example.org",
    "http://example.org/cards.example": None,
    "http://any.thing.xxx/": "xxx",
    "http://other.example/?next=http://cards.example/": None,
}


def test_a_listed_host_blocks_itself_and_what_is_below_it() -> None:
    for url, wanted in URLS.items():
        gives(blocked, url, LISTED, wanted=wanted)


def test_glassmills_filter_blocks_the_same() -> None:
    theirs = UrlFilter(UrlSettings(block_hosts=tuple(LISTED)))
    for url in URLS:
        verdict = theirs.judge(url)
        gives(blocked, url, LISTED, wanted=verdict.detail if verdict else None)
