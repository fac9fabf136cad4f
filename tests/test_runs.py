"""`glassmill runs`: what is listed is there, what differs is shown, and nothing stays whose origin goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from glassmill.cli import app
from glassmill.commands.runs import comparison_table, deletion_lines, run_table
from glassmill.errors import UserError
from glassmill.pipeline import run_line
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run.finished import read_manifest, run_damage
from glassmill.run.listing import compare, delete, list_runs

SMALL = ("miniweb.pages=120", "miniweb.people=8", "miniweb.conversations=40")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two vocabularies of one corpus, and what was made from each."""
    runs = tmp_path_factory.mktemp("runs")
    for size in (400, 500):
        run_line(load_recipe(find_recipe("demo"), [*SMALL, f"tokenizer.vocab_size={size}"]), runs, until="tokens")
    return runs


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


def of_stage(runs: Path, stage: str) -> list[str]:
    return [entry["run"] for entry in list_runs(runs)["runs"] if entry["run"].startswith(f"{stage}/")]


def test_every_run_is_listed_with_its_size_its_numbers_and_its_origin(runs: Path) -> None:
    (runs / "train" / "demo-cafe01").mkdir(parents=True)
    (runs / "train" / "demo-cafe01" / "events.jsonl").write_text("")
    found = list_runs(runs)
    stages = [entry["run"].split("/")[0] for entry in found["runs"]]
    assert stages == ["miniweb", "corpus", "tokenizer", "tokenizer", "tokens", "tokens", "train"]
    web, corpus, *vocabularies, first, second, unfinished = found["runs"]
    assert corpus["made_from"] == [web["run"]] and corpus["numbers"]["records"] > corpus["numbers"]["kept"] > 0
    assert vocabularies[0]["numbers"]["vocab_size"] < vocabularies[1]["numbers"]["vocab_size"]
    assert first["made_from"] == [corpus["run"], vocabularies[0]["run"]] and first["state"] == "done"
    assert second["made_from"] == [corpus["run"], vocabularies[1]["run"]]
    assert unfinished["state"] == "unfinished" and unfinished["numbers"] == {}
    for entry in found["runs"]:
        files = [path for path in (runs / entry["run"]).rglob("*") if path.is_file()]
        assert entry["bytes"] == sum(path.stat().st_size for path in files)
    assert found["bytes"] == sum(entry["bytes"] for entry in found["runs"])
    with FileLock(runs / "train" / "demo-cafe01" / "lock"):
        assert list_runs(runs)["runs"][-1]["state"] == "running"
    assert "7 runs" in str(run_table(found)[-1]) and run_table({"runs": [], "bytes": 0})[0]


def test_runs_side_by_side_show_what_differs_and_all_numbers(runs: Path) -> None:
    one, two = of_stage(runs, "tokenizer")
    found = compare([one, two], runs)
    assert found["runs"] == [one, two] and found["inputs"] == found["machine"] == {}
    assert found["settings"] == {"tokenizer.vocab_size": [400, 500]}
    assert all(len(values) == 2 for values in found["numbers"].values())
    assert found["numbers"]["vocab_size"][0] < found["numbers"]["vocab_size"][1]
    tokens = compare(of_stage(runs, "tokens"), runs)
    assert tokens["settings"] == {} and tokens["inputs"] == {"tokenizer": [one, two]}
    assert comparison_table(found) and comparison_table(tokens)


def test_what_cannot_be_compared_is_told(runs: Path) -> None:
    one = of_stage(runs, "tokenizer")[0]
    with pytest.raises(UserError, match="two runs or more"):
        compare([one], runs)
    with pytest.raises(UserError, match="runs of one stage can be compared; .* is of tokenizer, .* is of corpus"):
        compare([one, of_stage(runs, "corpus")[0]], runs)
    with pytest.raises(UserError, match="the nearest"):
        compare([one, f"{one}x"], runs)


def test_a_run_goes_with_all_that_was_made_from_it_and_only_when_asked(runs: Path) -> None:
    one, two = of_stage(runs, "tokenizer")
    before = list_runs(runs)
    shown = delete([one], runs, really=False)
    assert list_runs(runs) == before and "--yes" in deletion_lines(shown)[-1]
    assert [doomed["run"] for doomed in shown["runs"]] == [one, of_stage(runs, "tokens")[0]]
    assert [doomed["why"] for doomed in shown["runs"]] == ["named", f"made from {one}"]
    gone = delete([one], runs, really=True)
    assert gone["deleted"] and gone["bytes"] == shown["bytes"] == before["bytes"] - list_runs(runs)["bytes"]
    assert of_stage(runs, "tokenizer") == [two] and len(of_stage(runs, "tokens")) == 1
    assert all(run_damage(runs / entry["run"]) == [] for entry in list_runs(runs)["runs"])
    assert {doomed["run"] for doomed in delete(of_stage(runs, "miniweb"), runs, really=True)["runs"]} == {
        entry["run"] for entry in before["runs"] if entry["run"] not in {doomed["run"] for doomed in gone["runs"]}
    }
    assert list_runs(runs)["runs"] == []


def test_what_was_made_from_equal_bytes_stays(runs: Path) -> None:
    corpus = of_stage(runs, "corpus")[0]
    shutil.copytree(runs / corpus, runs / "corpus" / "other-123456")
    assert read_manifest(runs / corpus)["content"] == read_manifest(runs / "corpus" / "other-123456")["content"]
    assert [one["run"] for one in delete([corpus], runs, really=True)["runs"]] == [corpus]
    assert len(of_stage(runs, "tokens")) == 2


def test_a_run_in_use_keeps_everything(runs: Path) -> None:
    with (
        FileLock(runs / of_stage(runs, "tokens")[1] / "lock"),
        pytest.raises(UserError, match=r"a process is working in tokens/demo-\w+; stop it first"),
    ):
        delete(of_stage(runs, "corpus"), runs, really=True)
    assert len(list_runs(runs)["runs"]) == 6


def test_the_line_makes_again_what_was_deleted_with_the_same_name_and_bytes(runs: Path) -> None:
    one = of_stage(runs, "tokenizer")[0]
    before = {run: read_manifest(runs / run)["content"] for run in of_stage(runs, "tokens")}
    delete([one], runs, really=True)
    run_line(load_recipe(find_recipe("demo"), [*SMALL, "tokenizer.vocab_size=400"]), runs, until="tokens")
    assert {run: read_manifest(runs / run)["content"] for run in of_stage(runs, "tokens")} == before


def test_the_commands(runs: Path) -> None:
    def call(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["runs", *words, "--runs", str(runs)])
        return result.exit_code, result.output

    code, text = call("--json")
    assert code == 0 and len(json.loads(text)["runs"]) == 6
    one, two = of_stage(runs, "tokenizer")
    assert one in call()[1]
    assert json.loads(call("compare", one, two, "--json")[1])["settings"] == {"tokenizer.vocab_size": [400, 500]}
    code, text = call("delete", one, "--yes")
    assert code == 0 and "deleted 2 runs" in text and len(list_runs(runs)["runs"]) == 4
