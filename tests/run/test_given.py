"""Given runs stand in for stages: the same bytes come out, and what they were made from need not be there."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from glassmill.commands.plan import make_plan
from glassmill.errors import UserError
from glassmill.pipeline import ready, run_line
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run import given
from glassmill.run.finished import read_manifest
from glassmill.run.line import Line
from tests.run.conftest import small

own = partial(small, "train.steps=4", "train.threads=1")
"""The recipe of the pages, with these words changed."""


@pytest.fixture(scope="module")
def milled(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all these tests, with a trained model."""
    folder = Path(shutil.copytree(milled, tmp_path_factory.mktemp("given") / "milled"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_line(own(), folder / "runs")
    return folder


def only(runs: Path, stage: str) -> str:
    (run,) = (runs / stage).glob("[!.]*")
    return f"{stage}/{run.name}"


def states(line: Line) -> dict[str, str]:
    return {entry["stage"]: entry["status"] for entry in json.loads(line.status_path.read_text())["stages"]}


def test_training_needs_neither_pages_nor_corpus_and_gives_the_same_run(place: Path) -> None:
    runs = place / "runs"
    tokens, trained = only(runs, "tokens"), only(runs, "train")
    before = read_manifest(runs / trained)
    shutil.rmtree(place / "pages")
    shutil.rmtree(runs / "corpus")
    shutil.rmtree(runs / trained)
    line = run_line(own(f"given.tokens={tokens}"), runs)
    assert states(line) == {"tokenizer": "skipped", "tokens": "skipped", "train": "done"}
    assert only(runs, "train") == trained and read_manifest(runs / trained)["digest"] == before["digest"]
    assert read_manifest(runs / trained)["content"] == before["content"]


def test_what_a_given_run_was_made_from_is_found_where_it_still_is(place: Path) -> None:
    runs = place / "runs"
    line = run_line(own(f"given.tokens={only(runs, 'tokens')}", "train.steps=2"), runs)
    assert {name: f"{name}/{folder.name}" for name, folder in line.folders.items() if name != "train"} == {
        name: only(runs, name) for name in ("corpus", "tokenizer", "tokens")
    }


def test_a_given_run_may_be_elsewhere(place: Path, tmp_path: Path) -> None:
    runs, elsewhere = place / "runs", tmp_path / "elsewhere"
    shutil.copytree(runs / only(runs, "tokens"), elsewhere / "tokens")
    shutil.copytree(runs / only(runs, "tokenizer"), elsewhere / "vocabulary")
    words = (f"given.tokens={elsewhere / 'tokens'}", f"given.tokenizer={elsewhere / 'vocabulary'}")
    line = run_line(own(*words), tmp_path / "fresh")
    assert states(line) == {"tokenizer": "skipped", "tokens": "skipped", "train": "done"}
    assert read_manifest(line.folders["train"])["content"] == read_manifest(runs / only(runs, "train"))["content"]


def test_the_plan_counts_the_tokens_that_are_there(place: Path) -> None:
    runs = place / "runs"
    stats = json.loads((runs / only(runs, "tokens") / "stats.json").read_text())
    shutil.rmtree(place / "pages")
    plan = make_plan(own(f"given.tokens={only(runs, 'tokens')}"), runs)
    assert plan["tokens"] == stats["train_tokens"] and plan["minutes"].keys() == {"train", "total"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("given.tokns={tokens}", r"given\.tokns: there is no such stage; there are: .*tokens"),
        ("given.tokens={corpus}", r"given\.tokens = .* is a run of the stage corpus"),
        ("given.tokens=tokens/gone-123456", r"no such folder, and no run of that name .* is finished; the nearest"),
    ],
)
def test_what_cannot_be_given_is_told(place: Path, words: str, message: str) -> None:
    runs = place / "runs"
    for stage in ("tokens", "corpus"):
        words = words.replace(f"{{{stage}}}", only(runs, stage))
    with pytest.raises(UserError, match=message):
        ready(own(words), runs)


def test_a_damaged_run_is_not_given(place: Path) -> None:
    runs = place / "runs"
    tokens = only(runs, "tokens")
    shard = next((runs / tokens / "shards").glob("train-*.bin"))
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"given\.tokens: .*\.bin has .* bytes instead of"):
        ready(own(f"given.tokens={tokens}"), runs)


def test_without_its_vocabulary_a_training_says_what_is_missing(place: Path) -> None:
    runs = place / "runs"
    tokens = only(runs, "tokens")
    shutil.rmtree(runs / "tokenizer")
    with pytest.raises(UserError, match="train needs the output of tokenizer"):
        ready(own(f"given.tokens={tokens}"), runs)


def test_a_recipe_without_given_runs_is_left_as_it_is(tmp_path: Path) -> None:
    recipe = load_recipe(find_recipe("demo"), [])
    assert given.prepared(recipe, tmp_path) is recipe
