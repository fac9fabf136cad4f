"""The line from end to end, small: stages follow from settings, artefacts open elsewhere, the report tells all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassmill
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run.kinds import COLUMNS, KINDS, Unknown, from_json
from tests.line import SMALL, contents
from tests.line import glassmill as command

REPORT_KEYS = {
    "seconds",
    "pages_in",
    "documents_out",
    "dropped",
    "recall",
    "precision",
    "pii",
    "vocab_size",
    "parameters",
    "tokens_seen",
    "val_bpb",
    "facts_accuracy",
    "facts_accuracy_new_wording",
    "unknown_refused",
    "sums_correct",
}


@pytest.fixture(scope="module")
def small_line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished small demo, made by the command, and its report."""
    runs = tmp_path_factory.mktemp("line") / "runs"
    done = command("demo", "--no-serve", *SMALL, "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    return runs, json.loads((runs / "report.json").read_text())


def test_the_report_has_every_promised_number(small_line: tuple[Path, dict[str, Any]]) -> None:
    runs, report = small_line
    assert report.keys() >= REPORT_KEYS
    assert set(report["seconds"]) >= {"total", "miniweb", "corpus", "tokenizer", "tokens", "train", "sft", "eval"}
    assert report["pages_in"] == report["documents_out"] + sum(report["dropped"].values()) + report["quarantined"]
    assert report["pii"].keys() >= {"planted", "missed", "produced_by_model"}
    assert report["tokens_seen"] > 0 and report["val_bpb"] > 0
    (line,) = (runs / "lines").glob("demo-*.json")
    assert json.loads(line.read_text())["status"] == "done"


def test_every_line_of_every_events_file_is_of_a_known_kind_and_has_exactly_its_fields(
    small_line: tuple[Path, dict[str, Any]],
) -> None:
    files = sorted(small_line[0].glob("*/*/events.jsonl"))
    rows = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert {path.parent.parent.name for path in files} == set(load_recipe(find_recipe("demo")).stages)
    assert {row["kind"] for row in rows} >= set(KINDS) - {"error", "warning", "unknown", "shard", "alive", "rollouts"}
    for row in rows:
        assert not isinstance(from_json(row), Unknown), row
        assert set(row) == {"t", "stage", "kind", *(column.name for column in COLUMNS[row["kind"]])}


@pytest.mark.slow
def test_a_second_call_does_nothing_twice_and_a_changed_setting_only_what_depends_on_it(
    small_line: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(small_line[0], runs)
    stamps = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/DONE")}
    assert command("run", "demo", *SMALL, "--runs", str(runs)).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in runs.glob("*/*/DONE")} == stamps
    assert command("run", "demo", *SMALL, "train.steps=5", "--until", "train", "--runs", str(runs)).returncode == 0
    new = [path.parent.parent.name for path in runs.glob("*/*/DONE") if path not in stamps]
    assert new == ["train"]


def test_the_python_api_reads_what_the_command_wrote(
    small_line: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, report = small_line
    line = glassmill.run("demo", *SMALL, runs=runs)
    assert line.report["documents_out"] == report["documents_out"] and line.model is not None
    kept = list(glassmill.documents(line.paths["corpus"]))
    dropped = list(glassmill.documents(line.paths["corpus"], dropped=True))
    assert len(kept) == report["documents_out"] and len(dropped) == sum(report["dropped"].values())
    assert all(document.text and document.url for document in kept)
    model = glassmill.Model.load(line.model)
    assert model.generate("The town", max_tokens=5, seed=1) == model.generate("The town", max_tokens=5, seed=1)
    assert model.logits([1, 2, 3]).shape == (3, report["vocab_size"])
    monkeypatch.chdir(runs.parent)  # where a run's name suffices
    assert (
        glassmill.Model.load(line.paths["sft"].name).chat([{"role": "user", "content": "Hello"}], max_tokens=3)
        is not None
    )
    tokenizer = glassmill.Tokenizer.load(line.paths["tokenizer"])
    assert tokenizer.decode(tokenizer.encode("hello wörld")) == "hello wörld"


def test_transformers_opens_the_model_folder_with_the_same_logits_and_ids(
    small_line: tuple[Path, dict[str, Any]],
) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    runs, report = small_line
    folder = runs / report["model"]
    text = "Who lives in Market Street? Mira Holt, born 1961, does: 12*7=84. Grüße, 你好!"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = glassmill.Tokenizer.load(folder)
    ids = [int(token) for token in ours.encode(text)]
    assert tokenizer(text)["input_ids"] == ids
    messages = [{"role": "user", "content": "Where does Mira Holt live?"}]
    theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert list(theirs) == glassmill.Model.load(folder).chat_ids(messages)
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = reference(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(glassmill.Model.load(folder).logits(ids) - expected).max() < 1e-4


@pytest.mark.slow
def test_the_artefacts_do_not_depend_on_the_number_of_workers(
    small_line: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    done = command("run", "demo", *SMALL, "corpus.workers=1", "--until", "tokens", "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    one, two = contents(tmp_path), contents(small_line[0])
    assert one == {stage: two[stage] for stage in ("miniweb", "corpus", "tokenizer", "tokens")}


def test_chat_answers_line_by_line_when_it_is_no_terminal(small_line: tuple[Path, dict[str, Any]]) -> None:
    runs, report = small_line
    done = command("chat", str(runs / report["model"]), "--max-tokens", "4", input="Hello\n/new\nWho are you?\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2


@pytest.mark.slow
def test_init_writes_a_recipe_that_plan_and_run_accept(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    text = "The library of the town is open every day. People come and read there, and they talk with the keeper. "
    for number in range(30):
        (pages / f"{number}.md").write_text(f"# Page {number}\n\n" + text.replace("library", f"library {number}") * 4)
    recipe = tmp_path / "mine.toml"
    assert command("init", str(recipe), "--input", str(pages)).returncode == 0
    assert "exists" in command("init", str(recipe)).stderr
    planned = json.loads(command("plan", str(recipe), "--json").stdout)
    assert planned["parameters"] > 0 and planned["train_tokens"] == 100 * 4096
    done = command("run", str(recipe), "--until", "corpus", "--runs", str(tmp_path / "runs"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pages_in"] == 30


def test_help_is_quick_to_import_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = (
        "import glassmill.cli, sys; print([m for m in ('torch', 'pyarrow', 'pydantic', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, env={**os.environ})
    assert done.stdout.strip() == "[]", done.stderr


def test_the_version_is_told() -> None:
    done = command("--version")
    assert done.returncode == 0 and done.stdout.strip() == glassmill.__version__
