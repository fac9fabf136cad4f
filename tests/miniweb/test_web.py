"""The MiniWeb as a whole: same seed, same bytes; every page labelled; what the truth says stands in the WARC files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from warcio.archiveiterator import ArchiveIterator

from glassmill.miniweb.make import make
from glassmill.miniweb.web import PER_THOUSAND, quotas
from glassmill.recipe import MiniwebSettings, Recipe
from glassmill.run.folder import Identity, open_run

SETTINGS = MiniwebSettings(pages=800, people=24, conversations=400, warc_files=4)

MAKE_ALONE = """
import sys; from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_web import SETTINGS, make_web
make_web(Path(sys.argv[2]), SETTINGS, 7)
"""


def make_web(folder: Path, settings: MiniwebSettings, seed: int) -> Path:
    """A finished MiniWeb run in `folder`."""
    with open_run(folder, Identity("miniweb", 1, settings.identity()), Recipe()) as run:
        make(run, settings, seed)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every artefact."""
    return {
        name: entry["sha256"] for name, entry in json.loads((folder / "manifest.json").read_text())["files"].items()
    }


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_web(tmp_path_factory.mktemp("miniweb"), SETTINGS, 7)


@pytest.fixture(scope="module")
def truth(web: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(web / "truth.parquet").to_pylist()
    return rows


@pytest.fixture(scope="module")
def bodies(web: Path, truth: list[dict[str, Any]]) -> dict[str, bytes]:
    """The HTML of every page in the files that hold no damaged record, read by warcio."""
    damaged = {row["source"] for row in truth if row["damaged"]}
    found = {}
    for path in sorted((web / "warc").iterdir()):
        if path.name not in damaged:
            with path.open("rb") as file:
                for record in ArchiveIterator(file):
                    if record.rec_type == "response":
                        found[record.rec_headers.get_header("WARC-Target-URI")] = record.content_stream().read()
    return found


@pytest.mark.parametrize("hash_seed", ["0", "4321"])
def test_the_same_seed_gives_the_same_bytes_in_another_process(web: Path, tmp_path: Path, hash_seed: str) -> None:
    arguments = [sys.executable, "-c", MAKE_ALONE, str(Path(__file__).parent), str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(arguments, check=True, env=environment)
    assert hashes(tmp_path) == hashes(web)


def test_another_seed_gives_another_town(web: Path, tmp_path: Path) -> None:
    make_web(tmp_path, SETTINGS, 8)
    theirs, ours = hashes(tmp_path), hashes(web)
    alike = {name for name in ours if theirs[name] == ours[name]}
    assert all(name.startswith("blocklists/") for name in alike)


def test_a_run_cut_off_after_some_files_ends_in_the_same_bytes(web: Path, tmp_path: Path) -> None:
    (tmp_path / "warc").mkdir()
    first = web / "warc" / "pages-00000.warc.gz"
    (tmp_path / "warc" / first.name).write_bytes(first.read_bytes())
    make_web(tmp_path, SETTINGS, 7)
    assert hashes(tmp_path) == hashes(web)


def test_every_page_is_labelled_and_every_kind_is_there(truth: list[dict[str, Any]]) -> None:
    assert len(truth) == SETTINGS.pages
    assert len({row["url"] for row in truth}) == SETTINGS.pages
    assert {row["kind"] for row in truth} == {"article", *PER_THOUSAND}
    assert {row["expected"] for row in truth} == {"keep", "drop", "either"}
    assert {row["language"] for row in truth} >= {"en", "de", "fr", "es", "it"}
    assert {item["kind"] for row in truth for item in row["pii"]} == {"email", "phone", "ssn", "ip", "address"}


@pytest.mark.parametrize("pages", [50, 60, 200, 4000])
def test_quotas_add_up_and_leave_no_kind_out(pages: int) -> None:
    numbers = quotas(pages)
    assert sum(numbers.values()) == pages
    assert min(numbers.values()) >= 1


def test_the_smallest_web_can_be_made(tmp_path: Path) -> None:
    smallest = MiniwebSettings(pages=50, people=8, conversations=20, warc_files=1, false_claims=1)
    make_web(tmp_path, smallest, 1)
    assert len(pq.read_table(tmp_path / "truth.parquet")) == 50


def test_only_junk_states_what_is_false(truth: list[dict[str, Any]], web: Path) -> None:
    town = json.loads((web / "world.json").read_text())
    facts = {(subject["name"], attribute): value for group in ("people", "places", "events") for subject in town[group]
             for attribute, value in subject["facts"].items()}  # fmt: skip
    for row in truth:
        for fact in row["facts"]:
            assert fact["true"] == (facts[fact["subject"], fact["attribute"]] == fact["value"])
            assert fact["true"] or row["kind"] == "spam"
    assert any(not fact["true"] for row in truth for fact in row["facts"])


def test_pages_of_good_kinds_tell_every_fact_of_everybody(truth: list[dict[str, Any]], web: Path) -> None:
    town = json.loads((web / "world.json").read_text())
    told = {(fact["subject"], fact["attribute"]) for row in truth if row["expected"] != "drop" for fact in row["facts"]}
    for subject in town["people"]:
        assert all((subject["name"], attribute) in told for attribute in subject["facts"])


def test_warcio_reads_every_page_of_undamaged_files(truth: list[dict[str, Any]], bodies: dict[str, bytes]) -> None:
    damaged = {row["source"] for row in truth if row["damaged"]}
    expected = {row["url"] for row in truth if row["source"] not in damaged}
    assert len(expected) >= SETTINGS.pages // 2
    assert set(bodies) == expected


def test_planted_personal_data_stands_in_the_bytes(truth: list[dict[str, Any]], bodies: dict[str, bytes]) -> None:
    planted = [(row["url"], item["text"]) for row in truth if row["url"] in bodies for item in row["pii"]]
    assert len(planted) > 20
    for url, text in planted:
        assert bodies[url].count(text.encode()) >= 1


def test_values_of_stated_facts_stand_in_the_bytes(truth: list[dict[str, Any]], bodies: dict[str, bytes]) -> None:
    for row in truth:
        body = bodies.get(row["url"], b"").lower()
        for fact in row["facts"] if body else []:
            words = fact["value"].removeprefix("a ").removeprefix("an ").split(" named ")
            assert all(word.lower().encode() in body for word in words), (row["url"], fact)


def test_the_offset_in_the_truth_is_where_the_record_begins(truth: list[dict[str, Any]], web: Path) -> None:
    for row in truth[:: len(truth) // 40]:
        content = (web / "warc" / row["source"]).read_bytes()
        assert content[row["offset"] : row["offset"] + 3] == b"\x1f\x8b\x08"


def test_exact_duplicates_and_mirrors_say_what_their_original_says(truth: list[dict[str, Any]]) -> None:
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in truth:
        if row["duplicate_group"] is not None:
            groups.setdefault(row["duplicate_group"], []).append(row)
    assert groups
    for rows in groups.values():
        assert len(rows) >= 2
        assert {row["expected"] for row in rows} == {"either"}
        assert all(row["facts"] == rows[0]["facts"] and row["pii"] == rows[0]["pii"] for row in rows)


def test_a_few_records_are_damaged_and_the_last_one_is_cut(truth: list[dict[str, Any]]) -> None:
    damaged = [row for row in truth if row["damaged"]]
    assert 2 <= len(damaged) <= SETTINGS.pages // 50
    assert truth[-1]["damage"] == "cut_end"
    assert {row["expected"] for row in damaged} == {"either"}


def test_listed_hosts_hold_no_good_page(truth: list[dict[str, Any]], web: Path) -> None:
    listed = {host for path in (web / "blocklists").iterdir() for host in path.read_text().split()}
    for row in truth:
        host = row["url"].split("/")[2].removeprefix("www.")
        assert not (host in listed and row["expected"] == "keep")
    assert {path.stem for path in (web / "blocklists").iterdir()} == {"adult", "gambling", "malware", "phishing"}


def test_no_host_can_be_anybodys(truth: list[dict[str, Any]]) -> None:
    assert all(row["url"].split("/")[2].endswith(".example") for row in truth)


def test_four_thousand_pages_take_seconds(tmp_path: Path) -> None:
    begin = time.process_time()
    make_web(tmp_path, MiniwebSettings(), 7)
    assert time.process_time() - begin < 20  # 2 to 3 on a quiet machine; CI machines are shared
