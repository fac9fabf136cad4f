"""`glassmill fetch` against an imitation of the bucket on loopback, well-behaved and not."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glassmill.collect.fetch import fetch, read_record
from glassmill.corpus.document import Page
from glassmill.corpus.read.frames.zstd import zstd_module
from glassmill.corpus.read.sources import find_sources, read_pages
from glassmill.errors import UserError
from glassmill.recipe import FetchSettings
from tests.collect.bucket import Bucket, served
from tests.corpus.pages import article, record
from tests.line import glassmill, start

CRAWL = "CC-MAIN-2024-22"
FILES = {
    f"CC-MAIN-{number}.warc.gz": b"".join(record(f"http://x.example/{number}/{n}", article(n)) for n in range(9))
    for number in range(3)
}


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with served(Bucket()) as bucket:
        bucket.add_crawl(CRAWL, FILES)
        yield bucket


def settings(bucket: Bucket, **values: object) -> FetchSettings:
    return FetchSettings.model_validate({"base_url": bucket.url, "pause_s": 0.0, "tries": 3, "timeout_s": 5.0} | values)


def path_of(name: str) -> str:
    return f"crawl-data/{CRAWL}/segments/1.0/warc/{name}"


def test_the_files_asked_for_arrive_whole_and_are_inputs_of_a_corpus(bucket: Bucket, tmp_path: Path) -> None:
    result = fetch(CRAWL, settings(bucket, files=2), tmp_path)
    assert (list(result["files"]), result["listed"], result["left_out"]) == (list(FILES)[:2], 3, 0)
    for name, entry in result["files"].items():
        assert (tmp_path / CRAWL / name).read_bytes() == FILES[name]
        assert entry["sha256"] == hashlib.sha256(FILES[name]).hexdigest() and entry["url"].endswith(path_of(name))
    assert [source.name for source in find_sources([str(tmp_path / CRAWL)])] == list(FILES)[:2]
    asked = len(bucket.asked)
    assert fetch(CRAWL, settings(bucket, files=2), tmp_path) == result and len(bucket.asked) == asked
    assert list(fetch(CRAWL, settings(bucket, first=2), tmp_path)["files"]) == [list(FILES)[2]]


@pytest.mark.parametrize(
    "faults",
    [("503", "503"), ("cut",), ("cut", "cut", "cut", "cut", "cut"), ("longer",), ("garbage",), ("cut", "garbage"),
     ("cut", "no-range"), ("cut", "503", "cut", "longer")],
)  # fmt: skip
def test_what_goes_wrong_on_the_way_is_tried_again(bucket: Bucket, tmp_path: Path, faults: tuple[str, ...]) -> None:
    name = next(iter(FILES))
    bucket.fail(path_of(name), *faults)
    told: list[str] = []
    fetch(CRAWL, settings(bucket), tmp_path, told.append)
    assert (tmp_path / CRAWL / name).read_bytes() == FILES[name]
    assert 1 <= len(told) <= len(faults)
    assert not list((tmp_path / CRAWL).glob(".*.part*"))


def test_a_cut_line_costs_only_the_bytes_behind_the_cut(bucket: Bucket, tmp_path: Path) -> None:
    name = next(iter(FILES))
    bucket.fail(path_of(name), "cut")
    fetch(CRAWL, settings(bucket), tmp_path)
    ranges = [wanted for path, wanted in bucket.asked if path == path_of(name)]
    assert ranges == ["", f"bytes={len(FILES[name]) // 2}-"]


def test_a_file_that_changed_since_is_fetched_from_its_start(bucket: Bucket, tmp_path: Path) -> None:
    name = next(iter(FILES))
    bucket.fail(path_of(name), "cut", "503", "503")
    with pytest.raises(UserError, match="503, 2 times in a row; run the same command again"):
        fetch(CRAWL, settings(bucket, tries=2), tmp_path)
    bucket.files[path_of(name)] = changed = gzip.compress(os.urandom(5000))
    fetch(CRAWL, settings(bucket), tmp_path)
    assert (tmp_path / CRAWL / name).read_bytes() == changed


def test_the_byte_budget_stops_before_the_file_that_would_break_it(bucket: Bucket, tmp_path: Path) -> None:
    sizes = [len(content) for content in FILES.values()]
    told: list[str] = []
    result = fetch(CRAWL, settings(bucket, files=3, max_bytes=sizes[0] + sizes[1] + 10), tmp_path, told.append)
    assert (len(result["files"]), result["left_out"]) == (2, 1) and "max_bytes" in told[-1]
    with pytest.raises(UserError, match="the first file alone"):
        fetch(CRAWL, settings(bucket, max_bytes=100), tmp_path / "other")


@pytest.mark.parametrize("fault", ["503", "garbage"])
def test_a_server_that_never_gets_it_right_is_given_up(bucket: Bucket, tmp_path: Path, fault: str) -> None:
    bucket.fail(path_of(next(iter(FILES))), *[fault] * 40)
    with pytest.raises(UserError, match="times in a row"):
        fetch(CRAWL, settings(bucket), tmp_path)
    assert read_record(tmp_path / CRAWL) == {} and not list((tmp_path / CRAWL).glob("*.warc.gz"))


def test_files_packed_with_zstd_are_fetched_too(bucket: Bucket, tmp_path: Path) -> None:
    content = zstd_module().compress(gzip.decompress(record("http://x.example/", article(1))))
    bucket.add_crawl("CC-ZSTD", {"one.warc.zst": content})
    fetch("CC-ZSTD", settings(bucket), tmp_path)
    (page,) = read_pages(tmp_path / "CC-ZSTD/one.warc.zst", "one")
    assert isinstance(page, Page) and page.url == "http://x.example/"


def test_mistakes_are_one_line(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="HTTP 404"):
        fetch("CC-MAIN-1999-01", settings(bucket), tmp_path)
    with pytest.raises(UserError, match="is not a crawl name"):
        fetch("../../etc", settings(bucket), tmp_path)
    with pytest.raises(UserError, match="has only 3 files"):
        fetch(CRAWL, settings(bucket, first=3), tmp_path)
    bucket.files["crawl-data/EVIL/warc.paths.gz"] = gzip.compress(b"../../../etc/passwd.gz\n")
    with pytest.raises(UserError, match="not the path of a"):
        fetch("EVIL", settings(bucket), tmp_path)
    bucket.files["crawl-data/HTML/warc.paths.gz"] = b"<html>"
    with pytest.raises(UserError, match="not a gzip list"):
        fetch("HTML", settings(bucket), tmp_path)
    done = glassmill(
        "fetch", CRAWL, "--base-url", "http://127.0.0.1:9", "--set", "fetch.tries=1", "--out", str(tmp_path)
    )
    assert done.returncode == 2 and "the connection broke" in done.stderr.splitlines()[-1]


def test_a_kill_in_the_middle_of_a_download_is_gone_on_from(bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(2_000_000)
    bucket.add_crawl("CC-BIG", {"big.warc.gz": content})
    path = "crawl-data/CC-BIG/segments/1.0/warc/big.warc.gz"
    bucket.fail(path, "slow")
    words = ("fetch", "CC-BIG", "--base-url", bucket.url, "--out", str(tmp_path))
    child = start("-m", "glassmill", *words)
    part = tmp_path / "CC-BIG/.big.warc.gz.part"
    deadline = time.monotonic() + 500
    while not (part.exists() and part.stat().st_size > 200_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    have = part.stat().st_size
    assert 200_000 < have < len(content)
    done = glassmill(*words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "CC-BIG/big.warc.gz").read_bytes() == content
    assert bucket.asked[-1] == (path, f"bytes={have}-")
