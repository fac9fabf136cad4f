"""`glassmill extract`: every HTML response gives a line or a record, and what is lost is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from glassmill.commands.extract import ExtractTask, extract_archive, extract_shard
from glassmill.corpus.document import Lost
from glassmill.corpus.read.warc import read_records
from glassmill.errors import UserError
from glassmill.recipe import ExtractSettings
from glassmill.run.worker import Link
from tests.corpus.test_warc import record
from tests.line import glassmill

PROSE = "The miller told the story of the river to his children, and they listened until it was dark. " * 4
PAGES = [f"<html><body><p>{PROSE}</p></body></html>", "<html><body></body></html>", f"<p>Größe {PROSE}</p>"]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three pages, the second without text, and a damaged record behind the first."""
    path = tmp_path / "in.warc.gz"
    members = [gzip.compress(record(number, body=page.encode())) for number, page in enumerate(PAGES)]
    members.insert(1, members[0][:-8] + bytes(8))
    picture = record(7, body=b"GIF89a").replace(b"text/html", b"image/gif")
    path.write_bytes(b"".join(members) + gzip.compress(picture))
    return path


def test_every_html_response_is_a_line_with_or_without_text(archive: Path, tmp_path: Path) -> None:
    done = glassmill("extract", str(archive), str(tmp_path / "out.jsonl"))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [line["url"] for line in lines] == [f"http://host.example/{number}" for number in range(3)]
    assert PROSE.strip() in lines[0]["text"] and lines[1]["text"] == "" and "Größe" in lines[2]["text"]
    assert all(set(line) == {"url", "text"} for line in lines)
    assert "damaged gzip data" in done.stderr and "offset" in done.stderr


@pytest.mark.parametrize("name", ["out.wet", "out.warc.wet.gz"])
def test_a_wet_file_is_a_warc_file_of_conversion_records(archive: Path, tmp_path: Path, name: str) -> None:
    told: list[str] = []
    counts = extract_archive(archive, tmp_path / name, ExtractSettings(), told.append)
    assert counts == {"pages": 3, "empty": 1, "not_html": 1, "lost": 1} and len(told) == 1
    records = list(read_records(tmp_path / name, frozenset({"conversion", "warcinfo"})))
    assert not any(isinstance(one, Lost) for one in records)
    assert [one.headers["warc-type"] for one in records if not isinstance(one, Lost)] == ["warcinfo"] + 3 * [
        "conversion"
    ]
    before = (tmp_path / name).read_bytes()
    task: ExtractTask = {"archive": str(archive), "out": str(tmp_path / name), "settings": {}}
    assert extract_shard(task, Link()) == counts
    assert (tmp_path / name).read_bytes() == before


def test_a_page_that_ends_the_worker_is_lost_and_the_others_are_there(tmp_path: Path) -> None:
    bodies = [PAGES[0].encode(), b"<p>" + b"words of a page " * 50 + b"<div>" * 60_000, PAGES[2].encode()]
    path = tmp_path / "in.warc.gz"
    path.write_bytes(b"".join(gzip.compress(record(number, body=body)) for number, body in enumerate(bodies)))
    told: list[str] = []
    slow = ExtractSettings(engine="resiliparse", max_depth=1_000_000)
    counts = extract_archive(path, tmp_path / "out.jsonl", slow, told.append, page_cpu_s=1.0)
    assert counts == {"pages": 2, "empty": 0, "not_html": 0, "lost": 1}
    assert [line.partition(": ")[2] for line in told] == ["over the CPU limit (http://host.example/1)"]


def test_a_wrong_ending_or_a_missing_archive_is_one_line(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the output must end in \.jsonl"):
        extract_archive(archive, tmp_path / "out.txt", ExtractSettings(), print)
    with pytest.raises(UserError, match="no archive at"):
        extract_archive(tmp_path / "absent.warc.gz", tmp_path / "out.jsonl", ExtractSettings(), print)
    assert not list(tmp_path.glob("out*"))
