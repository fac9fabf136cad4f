"""What an archive's responses become, however they are packed: bodies in zstd, PDFs, and archives of every name."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassmill.corpus.chain import Chain
from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.files.kinds import kind_of
from glassmill.corpus.read.http import parse_response
from glassmill.corpus.read.sources import find_sources, read_pages
from glassmill.errors import BodyError
from glassmill.recipe import CorpusSettings, FilesSettings
from tests.corpus.archives import arc_head, arc_record, dictionary_frame, pack, zstd, zstd_frame
from tests.corpus.pages import SENTENCES, article, record, write_warc
from tests.corpus.papers import pdf
from tests.corpus.test_warc import BODIES
from tests.corpus.test_warc import record as response

PAPER = pdf([SENTENCES[:6]])
HEAD = b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n\r\n"


def test_bodies_in_zstd_are_unpacked_frame_by_frame() -> None:
    body = b"<p>a page</p>" * 1000
    assert parse_response(HEAD + zstd.compress(body)).body == body
    assert parse_response(HEAD + zstd_frame(body[:500]) + zstd_frame(body[500:])).body == body
    assert parse_response(HEAD + body).body == body  # already unpacked by the crawler


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (zstd.compress(bytes(5_000_000)), "body too large: expands to more than 1000000 bytes"),
        (zstd.compress(bytes(700_000)) * 2, "body too large: expands to more than 1000000 bytes"),
        (zstd_frame(b"abc" * 99)[:-1] + b"\0", "damaged compressed body"),
        (b"\x28\xb5\x2f\xfd\x04" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00", "damaged compressed body"),
    ],
)
def test_bodies_in_zstd_that_grow_or_are_damaged_are_errors(body: bytes, cause: str) -> None:
    with pytest.raises(BodyError, match=cause):
        parse_response(HEAD + body, max_bytes=1_000_000)


@pytest.mark.parametrize("media_type", ["application/pdf", "application/octet-stream", "text/html"])
def test_a_pdf_response_is_dropped_by_name_and_read_where_a_setting_says_so(tmp_path: Path, media_type: str) -> None:
    path = write_warc(tmp_path / "x.warc.gz", [record("http://host.example/paper", PAPER, media_type=media_type)])
    (page,) = read_pages(path, path.name)
    assert isinstance(page, Page)
    document = Chain(CorpusSettings()).judge(page)
    assert (document.rule, document.value, document.bound) == ("read/pdf", 1, 0)
    files = FilesSettings(pdf_responses=True)
    (page,) = read_pages(path, path.name, files=files)
    assert isinstance(page, Page)
    document = Chain(CorpusSettings(files=files)).judge(page)
    assert document.rule != "read/pdf" and "wheel that the water turns" in document.text


def test_a_damaged_pdf_or_one_that_failed_costs_only_itself(tmp_path: Path) -> None:
    url = "http://host.example/paper"
    members = [
        record(url, PAPER[: len(PAPER) // 3], media_type="application/pdf"),
        record(url, PAPER, status=404, media_type="application/pdf"),
        record("http://host.example/", article(1)),
    ]
    path = write_warc(tmp_path / "x.warc.gz", members)
    files = FilesSettings(pdf_responses=True)
    damaged, missing, page = read_pages(path, path.name, files=files)
    chain = Chain(CorpusSettings(files=files))
    assert isinstance(damaged, Page) and isinstance(missing, Page) and isinstance(page, Page)
    with pytest.raises(ValueError, match="damaged PDF"):
        chain.judge(damaged)
    assert chain.judge(missing).rule == "read/http_status" and not chain.judge(page).rule


WARC = [response(number) for number in range(10)]
ARC = [arc_head(), *(arc_record(number, body) for number, body in enumerate(BODIES))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.warc.zst", pack("zstd", WARC)),
        ("x.wet.zst", dictionary_frame(False) + pack("zstd", WARC)),
        ("x.warc.lz4", pack("lz4", WARC)),
        ("x.arc", pack("plain", ARC)),
        ("x.arc.gz", pack("gzip", ARC)),
    ],
)
def test_archives_are_known_by_name_and_by_their_first_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    for given in (name, "without-suffix", "odd.suffix"):
        path = tmp_path / given
        path.write_bytes(content)
        assert kind_of(path) == "warc"
        pages = list(read_pages(path, given))
        assert not any(isinstance(page, Lost) for page in pages)
        assert [page.body for page in pages if isinstance(page, Page)] == BODIES
    (source, *_) = find_sources([str(tmp_path / name)])
    assert source.is_archive and not source.refused
