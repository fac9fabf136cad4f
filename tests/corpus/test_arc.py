"""ARC files: header lines of all versions, the same records as warcio gives, and what is not said to be HTTP."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.arc import find_arc, parse_line
from glassmill.corpus.read.sources import read_pages
from glassmill.corpus.read.warc import Record, read_records
from tests.corpus.archives import arc_head, arc_record
from tests.corpus.test_warc import BODIES

METADATA = b"""<?xml version="1.0" encoding="UTF-8"?>
<arcmetadata xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><arc:software>Heritrix</arc:software></arcmetadata>
"""
VERSION_2 = "Content-type Result-code Checksum Location Offset Filename"
HEADS = {
    "1": arc_head(),
    "1, its line ends not counted": arc_head(ends=0),
    "1, both line ends counted": arc_head(ends=2),
    "1.1, Heritrix": arc_head("1 1 InternetArchive", extra=METADATA),
}
DNS = b"dns:host.example 192.0.2.1 20010203040506 text/dns 25\n20010203040506\n192.0.2.7\n\n"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("version", HEADS)
def test_records_are_those_that_warcio_gives(tmp_path: Path, version: str, packed: bool) -> None:
    warcio = pytest.importorskip("warcio.archiveiterator")
    members = [HEADS[version], DNS, *(arc_record(number, body) for number, body in enumerate(BODIES))]
    path = tmp_path / "x.arc.gz"
    path.write_bytes(b"".join(map(gzip.compress, members) if packed else members))
    ours = list(read_records(path))
    assert not any(isinstance(item, Lost) for item in ours)
    with path.open("rb") as file:
        theirs = [
            (
                one.rec_headers["WARC-Target-URI"],
                one.rec_headers["WARC-Date"],
                one.rec_headers["WARC-IP-Address"],
                one.raw_stream.read(),
            )
            for one in warcio.ArchiveIterator(file, arc2warc=True, no_record_parse=True)
            if one.rec_type != "warcinfo"
        ]
    fields = ("warc-target-uri", "warc-date", "warc-ip-address")
    mine = [(*(one.headers[name] for name in fields), one.block) for one in ours if isinstance(one, Record)]
    assert mine == theirs and len(mine) == 11


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"http://a.example/ 192.0.2.1 19970118142103 text/html 202", ("http://a.example/", "text/html", "202")),
        (b"http://a.example/x y?z 192.0.2.1 19970118142103 text/html 5", ("http://a.example/x y?z", "text/html", "5")),
        (b"http://a.example/ 2001:db8::1 19970118142103 text/html; x=y 5\r", ("http://a.example/", "text/html;", "5")),
        (b"http://a.example/ - 20010203040506 text/html 200 sum - 17 a.arc 9", ("http://a.example/", "text/html", "9")),
        (b"http://a.example/\xe4 0.0.0.0 199701181421  7", ("http://a.example/\xe4", "", "7")),
        (b"http://a.example/ 192.0.2.1 1997 text/html 202", None),
        (b"http://a.example/ host 19970118142103 text/html 202", None),
        (b"the price was 1.50 19970118142103", None),
        (b"", None),
    ],
)  # fmt: skip
def test_a_header_line_is_read_from_its_date_outwards(line: bytes, expected: tuple[str, str, str] | None) -> None:
    headers = parse_line(line)
    found = headers and tuple(headers[name] for name in ("warc-target-uri", "content-type", "content-length"))
    assert found == expected


def test_version_2_gives_the_same_pages(tmp_path: Path) -> None:
    fields = "text/html 200 1234567 - 17 test.arc"
    path = tmp_path / "x.arc"
    path.write_bytes(
        arc_head("2 0 Alexa", VERSION_2)
        + b"".join(arc_record(number, BODIES[number], None, fields) for number in range(10))
    )
    pages = [page for page in read_pages(path, path.name) if isinstance(page, Page)]
    assert [page.body for page in pages] == BODIES
    assert {(page.kind, page.status, page.date) for page in pages} == {("html", 200, "2001-02-03T04:05:06Z")}


def test_what_was_fetched_without_http_has_the_type_of_its_header_line(tmp_path: Path) -> None:
    path = tmp_path / "x.arc"
    page = b"<p>an answer from before there were headers</p>"
    old = b"http://host.example/old 192.0.2.7 19960203040506 text/html %d\n" % len(page) + page + b"\n"
    path.write_bytes(arc_head() + DNS + old)
    pages = [page for page in read_pages(path, path.name) if isinstance(page, Page)]
    assert [(page.media_type, page.kind) for page in pages] == [
        ("a crawler's own record (text/dns)", "other"),
        ("text/html", "html"),
    ]


@pytest.mark.parametrize("number", [30, 300])
@pytest.mark.parametrize("packed", ["plain", "one gzip member"])
def test_a_large_file_is_read_to_its_last_record(tmp_path: Path, number: int, packed: str) -> None:
    """Header lines far behind in a read buffer, and one that a long body precedes."""
    bodies = [b"<p>page %d</p>" % place + b"x" * (3_000 + 700 * (place % 7)) for place in range(number)]
    bodies[number // 2] += b"\n" * 10 + b"y" * 300_000
    content = arc_head() + b"".join(arc_record(place, body) for place, body in enumerate(bodies))
    path = tmp_path / "x.arc"
    path.write_bytes(gzip.compress(content) if packed == "one gzip member" else content)
    pages = list(read_pages(path, path.name))
    assert [page.body for page in pages if isinstance(page, Page)] == bodies and len(pages) == number


def test_looking_for_a_header_line_takes_linear_time() -> None:
    false = b" 20010203040506 x" * 40_000  # quadratic, this would be 10^11 steps
    assert find_arc(false) == -1
    assert find_arc(b"\n" + false + b"\n" + false) == -1
    assert find_arc(false + b"\nhttp://a.example/ 192.0.2.1 19970118142103 text/html 202\n") == len(false) + 1


def test_real_archives_give_what_warcio_gives(shared_data: Path) -> None:
    warcio = pytest.importorskip("warcio.archiveiterator")
    for name in ("example.arc", "example.arc.gz"):
        ours = [item.block for item in read_records(shared_data / "warc" / name) if isinstance(item, Record)]
        with (shared_data / "warc" / name).open("rb") as file:
            iterator = warcio.ArchiveIterator(file, arc2warc=True, no_record_parse=True)
            assert ours == [one.raw_stream.read() for one in iterator if one.rec_type == "response"]
