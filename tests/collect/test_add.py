"""`glassmill add`: the inventory tells the truth, nothing is made unasked, and what is made can be milled."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from glassmill.collect import survey as survey_module
from glassmill.collect.add import add
from glassmill.collect.gather import gather_shard
from glassmill.collect.survey import survey
from glassmill.corpus.document import documents
from glassmill.corpus.read.sources import find_sources
from glassmill.recipe import CorpusSettings, Recipe
from tests.corpus.papers import zipped
from tests.corpus.test_corpus import build
from tests.corpus.test_folder import fill, prose
from tests.line import glassmill

ONE_WORKER = CorpusSettings(workers=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fill(tmp_path_factory.mktemp("add") / "docs")
    (folder / "copy.md").write_bytes((folder / "notes.md").read_bytes())
    (folder / "letter.txt").write_text(prose(40) + "\nWrite to ada@old-mill.museum or call (415) 555-2671 today.")
    (folder / "german.txt").write_text("Die alte Mühle steht am Fluss, und jeden Morgen öffnet der Müller sie. " * 8)
    return folder


def test_an_inventory_is_shown_and_nothing_is_made_unasked(folder: Path, tmp_path: Path) -> None:
    done = glassmill("add", str(folder), "--json", "--runs", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    inventory = json.loads(done.stdout)
    assert inventory["kinds"].keys() == {
        "archive", "docx", "epub", "html", "jsonl", "markdown", "parquet", "pdf", "text", "warc",
    }  # fmt: skip
    assert (inventory["files"], inventory["documents"], inventory["sample"]["share"]) == (16, 13, 1.0)
    assert inventory["not_read"]["number"] == 3
    assert inventory["duplicates"]["files"] == 1 and inventory["duplicates"]["document_share"] == round(1 / 13, 4)
    assert inventory["languages"] == {"en": round(12 / 13, 3), "de": round(1 / 13, 3)}
    assert inventory["pii"] == {"email": 1, "phone": 1}
    assert inventory["characters"] / 5 < inventory["tokens"] < inventory["characters"] / 3
    assert inventory["estimate"]["memory_bytes"] > 50e6
    assert any("points outside the archive" in line for line in inventory["not_read"]["examples"])
    assert not (tmp_path / "runs").exists()


def test_a_folder_in_which_everything_can_be_read_is_added_and_added_again(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "letter.txt").write_text(prose(40))
    for _ in range(2):
        done = glassmill("add", str(tmp_path / "docs"), "--yes", "--json", "--runs", str(tmp_path / "runs"))
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert (result["documents_made"], result["not_made"]) == (1, 0)


def test_what_add_makes_is_an_input_of_the_corpus_with_its_provenance(folder: Path, tmp_path: Path) -> None:
    made = add(find_sources([str(folder)]), Recipe(name="docs", corpus=ONE_WORKER), tmp_path / "runs")
    assert made.parent == tmp_path / "runs" / "add"
    found = {document.url: document for document in documents(made)}
    assert len(found) == 13
    assert found["bundle.zip/inside.txt"].source == "bundle.zip" and found["notes.md"].source == "notes.md"
    assert found["http://good.example/9"].source == "web.warc.gz"
    causes = [json.loads(line)["cause"] for line in (made / "quarantine.jsonl").read_text().splitlines()]
    assert len(causes) == 3 and any(cause.startswith("refused") for cause in causes)
    stats = build(tmp_path / "corpus", [made])
    assert (stats["records"], stats["kept"]) == (13, 11)  # without the copy and the German page


def test_the_same_files_are_added_once_and_a_cut_off_run_goes_on(folder: Path, tmp_path: Path) -> None:
    sources = find_sources([str(folder)])
    made = add(sources, Recipe(name="docs", corpus=ONE_WORKER), tmp_path / "runs")
    shards = {path.name: path.read_bytes() for path in (made / "shards").iterdir()}
    inside = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert add(sources, Recipe(name="docs", corpus=ONE_WORKER), tmp_path / "runs") == made
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == inside
    (made / "DONE").unlink()
    (made / "shards/documents-00000.parquet").unlink()
    add(sources, Recipe(name="docs", corpus=CorpusSettings(workers=2)), tmp_path / "runs")
    assert {path.name: path.read_bytes() for path in (made / "shards").iterdir()} == shards


def test_a_sample_stands_for_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    rows = [json.dumps({"text": prose(chance.randrange(10**6))}) for _ in range(400)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(prose(number))
    monkeypatch.setattr(survey_module, "SAMPLE_FILES", 20)
    monkeypatch.setattr(survey_module, "SAMPLE_PAGES", 40)
    inventory = survey(find_sources([str(tmp_path)]), ONE_WORKER)
    assert inventory["sample"]["documents"] == 60 and inventory["sample"]["share"] < 0.5
    assert abs(inventory["kinds"]["jsonl"]["documents"] - 400) < 40
    assert abs(inventory["kinds"]["text"]["documents"] - 60) < 6


def test_a_page_that_ended_its_worker_is_set_aside(folder: Path) -> None:
    task: dict[str, Any] = {
        "inputs": [[str(folder / "notes.md"), "notes.md", ""], [str(folder / "page.html"), "page.html", ""]],
        "settings": ONE_WORKER.model_dump(mode="json"),
        "limit": 10,
        "skip": [[0, "over the CPU limit"]],
    }
    result = gather_shard(task)
    assert result["counts"]["documents"] == 1
    assert [(entry["url"], entry["cause"]) for entry in result["quarantined"]] == [("notes.md", "over the CPU limit")]


def test_a_hostile_archive_alone_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    (tmp_path / "evil.zip").write_bytes(zipped({"../../evil.txt": "evil"}))
    done = glassmill("add", str(tmp_path / "evil.zip"), "--yes", "--runs", str(tmp_path / "runs"))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "refused: member '../../evil.txt' points outside the archive" in done.stderr
