"""Given runs stand in for stages: the same bytes come out, and what they were made from need not be there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from glassmill.commands.plan import make_plan
from glassmill.errors import UserError
from glassmill.pipeline import ready, run_line
from glassmill.recipe import Recipe, find_recipe, load_recipe
from glassmill.run import given
from glassmill.run.folder import read_manifest
from glassmill.run.line import Line

TRAINED = (
    "corpus.inputs=pages/", 'stages=["corpus", "tokenizer", "tokens", "train"]', "tokens.validation_share=0.3",
    "tokenizer.vocab_size=400", "model.d_model=32", "model.num_layers=1", "model.num_heads=1", "model.num_kv_heads=1",
    "model.head_dim=32", "model.d_ff=64", "model.context_length=32", "train.minutes=none", "train.steps=4",
    "train.batch_tokens=64", "train.reports=1", "train.threads=1", "train.sample_tokens=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pages, and the runs of a line up to a trained model."""
    place = tmp_path_factory.mktemp("given")
    (place / "pages").mkdir()
    for number in range(12):
        words = " ".join(f"The miller of house {number} ground {n} sacks on day {n * number}." for n in range(40))
        (place / "pages" / f"{number}.txt").write_text(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run_line(own(), place / "runs")
    return place


def own(*words: str) -> Recipe:
    return load_recipe(find_recipe("documents"), [*TRAINED, *words])


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copied = Path(shutil.copytree(made, tmp_path / "copied"))
    monkeypatch.chdir(copied)
    return copied


def only(runs: Path, stage: str) -> str:
    (run,) = (runs / stage).iterdir()
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
