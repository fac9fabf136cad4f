"""A run's name stands wherever a folder does, and a wrong one is answered with the nearest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glassmill.cli import app
from glassmill.commands.inspect import find_run
from glassmill.commands.tokenizer import find_texts, find_tokenizer
from glassmill.errors import UserError
from glassmill.infer.find import find_model
from tests.studio.replay import RECORDED, RUN_OF

NAMES = ("sft/demo-05a1ed", "sft/mine-3f9a1c", "train/mine-3f9a1c", "train/other-000000")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for age, name in enumerate(NAMES):
        folder = tmp_path / "runs" / name / "model"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        os.utime(folder.parent, (1000 - age, 1000 - age))
    (tmp_path / "runs" / "corpus" / "docs-111111" / "shards").mkdir(parents=True)
    (tmp_path / "runs" / "corpus" / "docs-111111" / "shards" / "documents-00000.parquet").write_bytes(b"")
    (tmp_path / "runs" / "lines").mkdir()
    (tmp_path / "models" / "small").mkdir(parents=True)
    (tmp_path / "models" / "small" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return Path("runs")


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("sft/demo-05a1ed", "runs/sft/demo-05a1ed/model"),
        ("demo-05a1ed", "runs/sft/demo-05a1ed/model"),
        ("sft/demo-05a1ed/model", "runs/sft/demo-05a1ed/model"),
        ("runs/train/mine-3f9a1c", "runs/train/mine-3f9a1c/model"),
        ("runs/train/mine-3f9a1c/model", "runs/train/mine-3f9a1c/model"),
        ("small", "models/small"),
        ("models/small", "models/small"),
    ],
)
def test_a_model_is_found_by_path_and_by_name(runs: Path, word: str, found: str) -> None:
    assert find_model(word, runs) == Path(found)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("demo", "; the nearest: sft/demo-05a1ed"),
        ("sft/demo-05a1ee", "; the nearest: sft/demo-05a1ed"),
        ("sft/demo-05a1ee/model", "; the nearest: sft/demo-05a1ed"),
        ("train/mine", "; the nearest: train/mine-3f9a1c"),
        ("zzz", "; there are: sft/demo-05a1ed, sft/mine-3f9a1c, train/mine-3f9a1c, train/other-000000"),
        ("mine-3f9a1c", "matches several runs: runs/sft/mine-3f9a1c, runs/train/mine-3f9a1c; give the path"),
        ("../runs/nothing", "no such folder"),
        ("docs-111111", "has a model"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(runs: Path, word: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        find_model(word, runs)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_without_any_run_nothing_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has a model$"):
        find_model("demo", tmp_path / "none")


def test_documents_are_found_by_the_name_of_their_run(runs: Path) -> None:
    corpus = Path("runs/corpus/docs-111111")
    assert (
        find_run("docs-111111", runs) == find_run("corpus/docs-111111", runs) == find_run(str(corpus), runs) == corpus
    )
    assert find_texts(Path("docs-111111"), runs) == corpus
    assert find_texts(Path("nothing"), runs) == Path("nothing")
    with pytest.raises(UserError, match="the nearest: corpus/docs-111111"):
        find_run("corpus/docs", runs)


def test_a_tokenizer_is_found_by_the_name_of_its_run() -> None:
    name = RUN_OF["tokenizer"]
    assert find_tokenizer(name, RECORDED) == find_tokenizer(name.split("/")[1], RECORDED) == RECORDED / name
    assert find_tokenizer(RUN_OF["sft"], RECORDED) == RECORDED / RUN_OF["sft"] / "model"
    assert find_tokenizer("cl100k_base", RECORDED) == "cl100k_base"


def test_a_text_is_explained_token_by_token() -> None:
    def run(*options: str, **more: Any) -> str:
        command = ["tokenizer", "explain", RUN_OF["tokenizer"].split("/")[1], *options, "--runs", str(RECORDED)]
        done = CliRunner().invoke(app, command, **more)
        assert done.exit_code == 0, done.output
        return done.stdout

    tokens = json.loads(run("The bakér\x1b", "--json"))["tokens"]
    assert "".join(bytes.fromhex(token["bytes"]).decode("latin-1") for token in tokens).encode("latin-1").decode() == (
        "The bakér\x1b"
    )
    shown = run("The baker\x1b[31m sells")
    assert "\x1b" not in shown and "letters" in shown and "tokens for 20 bytes" in shown
    assert run("-", input="The baker") == run("The baker")
    assert "0 tokens for 0 bytes" in run("")
