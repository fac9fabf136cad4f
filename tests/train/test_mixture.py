"""Mixtures: every corpus has its share of the windows, in an order that the seed and a window's number decide alone."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassmill.commands.plan import make_plan, plan_table
from glassmill.errors import UserError
from glassmill.pipeline import ready
from glassmill.recipe import Recipe, make_recipe
from glassmill.run import kinds
from glassmill.run.line import stage_identity
from glassmill.stages import stage_named
from glassmill.tokens.shards import Shards
from glassmill.train import train
from glassmill.train.batches import MixtureBatches, WindowBatches
from glassmill.train.order import BLOCK
from glassmill.train.sources import own_share, sources
from tests.tokens.builders import run_stage, small_tokenizer
from tests.train.builders import MODEL, TRAIN, town_texts

Town = tuple[Path, Path]


@pytest.fixture
def other(town: Town, tmp_path: Path) -> Path:
    """Another tokens run of the town's vocabulary, whose windows can be told apart: every id is 7."""
    folder = tmp_path / "other"
    shutil.copytree(town[0], folder)
    for name in ("manifest.json", "DONE"):
        (folder / name).unlink()
    for path in (folder / "shards").glob("train-*.bin"):
        path.write_bytes(np.full(path.stat().st_size // 2, 7, dtype="<u2").tobytes())
    return folder


def mixture(town: Town, other: Path, share: float, seed: int = 3) -> MixtureBatches:
    windows = [WindowBatches(Shards(folder, "train"), 4, 16, seed) for folder in (town[0], other)]
    return MixtureBatches(windows, [1 - share, share], seed)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.999])
def test_every_corpus_has_its_share_and_reads_its_own_samples_in_order_of_their_blocks(
    town: Town, other: Path, share: float
) -> None:
    batches = mixture(town, other, share)
    places = [batches.place(sample) for sample in range(2 * BLOCK)]
    for source, wanted in ((0, 1 - share), (1, share)):
        read = [its for number, its in places if number == source]
        assert sorted(read) == list(range(len(read)))
        assert len(read) == pytest.approx(2 * BLOCK * wanted, abs=2)
        assert max(read[: len(read) // 2]) < min(read[len(read) // 2 :])
    runs = sum(a[0] != b[0] for a, b in pairwise(places))
    assert runs > 1.5 * BLOCK * min(share, 1 - share)  # well mixed, not one after the other


def test_a_window_depends_on_seed_and_number_alone_and_comes_from_its_corpus(town: Town, other: Path) -> None:
    batches, again = mixture(town, other, 0.5), mixture(town, other, 0.5)
    for step in (0, 3):
        again.batch(step)
    ids = batches.batch(700).ids
    assert (again.batch(700).ids == ids).all() and (mixture(town, other, 0.5, seed=4).batch(700).ids != ids).any()
    for row in range(4):
        source, its_sample = batches.place(4 * 700 + row)
        assert (ids[row].numpy() == batches.sources[source].window(its_sample)[:-1]).all()
        assert ((ids[row] == 7).all().item()) == (source == 1)


def test_the_report_counts_the_epochs_of_every_source_and_too_many_are_warned_about(
    town: Town, other: Path, tmp_path: Path
) -> None:
    update = {"mixture": {str(other): 0.75}, "steps": 16, "batch_tokens": 2048, "reports": 1}
    settings = TRAIN.model_copy(
        update={**update, "micro_batch_tokens": 2048, "validation_tokens": 16, "sample_tokens": 1}
    )
    events = run_stage(train, tmp_path / "train", settings, tokens=town[0], tokenizer=town[1], model_settings=MODEL)
    stats = json.loads((tmp_path / "train" / "stats.json").read_text())
    ids = len(Shards(town[0], "train"))
    own, others = (float(f"{share * 16 * 2048 / ids:.3g}") for share in (0.25, 0.75))
    assert own < 4 < others
    assert stats["mixture"]["own text"] == {"share": 0.25, "tokens": ids, "epochs": own}
    assert stats["mixture"][str(other)] == {"share": 0.75, "tokens": ids, "epochs": others}
    assert stats["epochs"] == pytest.approx(own, abs=0.01)
    assert stage_named("train").report(stats)["mixture"] == stats["mixture"]
    notes = [event.text for event in events if isinstance(event, kinds.Note)]
    assert any(note.startswith("reading own text 25 % of the windows") for note in notes)
    warned = [event.text for event in events if isinstance(event, kinds.Warned)]
    assert len(warned) == 1 and f"train.mixture: {other} is read {others:g} times; beyond 4 times" in warned[0]


def recipe(tmp_path: Path, town: Town, **changes: Any) -> Recipe:
    (tmp_path / "docs").mkdir(exist_ok=True)
    (tmp_path / "docs" / "a.txt").write_text(" ".join(town_texts(40)))
    train = {"steps": 2000, **changes}
    table: dict[str, Any] = {
        "stages": ["corpus", "tokenizer", "tokens", "train"],
        "corpus": {"inputs": [str(tmp_path / "docs")]},
        "tokenizer": {"base": str(town[1])},
        "train": train,
    }
    return make_recipe(table)


def test_runs_are_found_by_name_and_count_by_content_and_share(town: Town, other: Path, tmp_path: Path) -> None:
    def identity(share: float) -> tuple[str, list[str]]:
        found = ready(recipe(tmp_path, town, mixture={"other": share}), tmp_path / "runs")
        one = stage_identity(stage_named("train"), found, {})
        return one.digest, [digest for name, digest in one.inputs.items() if name.startswith("train.mixture")]

    place = tmp_path / "runs" / "tokens" / "other"
    shutil.copytree(other, place)
    before = identity(0.25)
    assert identity(0.25) == before and identity(0.5)[1] == before[1] and identity(0.5)[0] != before[0]
    bin_file = next((place / "shards").glob("train-*.bin"))
    bin_file.write_bytes(bytes(bin_file.stat().st_size))
    assert identity(0.25)[1] != before[1] and len(before[1]) == 1
    shutil.rmtree(place)
    shutil.copytree(town[0], place)  # a finished run: its content is in its manifest
    content = json.loads((place / "manifest.json").read_text())["content"]
    assert identity(0.25)[1] == [content]


@pytest.mark.parametrize(
    ("shares", "base", "message"),
    [
        ({"nowhere": 0.5}, True, r"train\.mixture: nowhere: no such folder, and no run of that name"),
        ({"docs": 0.5}, True, r"train\.mixture: .*docs is not a tokens run: it has no index\.json"),
        ({"other": 0.5}, False, r"train\.mixture holds finished ids, .*set tokenizer\.base"),
        ({"strange": 0.5}, True, r"train\.mixture: .*strange is encoded with another vocabulary \(\d+ tokens\) than"),
        ({"ends": 0.5}, True, r"train\.mixture: .*ends is encoded with another vocabulary"),
        ({"damaged": 0.5}, True, r"damaged/index\.json.*dtype"),
        ({"other": 0.5, "other/": 0.2}, True, r"train\.mixture: .*other/ is named twice \(.*\); give it one share"),
    ],
)
def test_what_cannot_be_mixed_is_told_before_the_work(
    town: Town, other: Path, tmp_path: Path, shares: dict[str, float], base: bool, message: str
) -> None:
    shutil.copytree(other, tmp_path / "strange")
    np.save(tmp_path / "strange" / "token_bytes.npy", small_tokenizer(400, town_texts()).text_lengths())
    for name, change in (("ends", {"eos_id": 5}), ("damaged", {"dtype": "float"})):
        shutil.copytree(other, tmp_path / name)
        index = json.loads((other / "index.json").read_text())
        (tmp_path / name / "index.json").write_text(json.dumps({**index, **change}))
    named = {name if name == "nowhere" else f"{tmp_path}/{name}": share for name, share in shares.items()}
    found = recipe(tmp_path, town, mixture=named)
    if not base:
        found = found.model_copy(update={"tokenizer": found.tokenizer.model_copy(update={"base": None})})
    with pytest.raises(UserError, match=message):
        ready(found, tmp_path / "runs")


def test_shares_beyond_all_windows_are_refused_and_a_whole_mixture_leaves_none_for_own_text() -> None:
    with pytest.raises(UserError, match=r"the shares add up to 1\.2, and all windows are 1; lower them"):
        make_recipe({"train": {"mixture": {"a": 0.5, "b": 0.7}}})
    whole = make_recipe({"train": {"mixture": {"a": 0.1, "b": 0.2, "c": 0.7}}}).train
    assert own_share(whole) == 0 and [source.name for source in sources(whole, Path("own"))] == ["a", "b", "c"]
    part = make_recipe({}, ["train.mixture.a-3f9a1c=0.25"]).train
    assert own_share(part) == 0.75 and [source.share for source in sources(part, Path("own"))] == [0.75, 0.25]


def test_the_plan_shows_how_often_each_source_is_read(town: Town, other: Path, tmp_path: Path) -> None:
    plan = make_plan(recipe(tmp_path, town, mixture={str(other): 0.25}), tmp_path / "runs")
    ids = json.loads((other / "index.json").read_text())["train"]["tokens"]
    read = plan["mixture"][str(other)]
    assert read == {"share": 0.25, "tokens": ids, "epochs": float(f"{0.25 * 2000 * 4096 / ids:.3g}")}
    assert plan["epochs"] == plan["mixture"]["own text"]["epochs"]
    assert any(f"{other} is read {read['epochs']:g} times" in note for note in plan["notes"])
    assert plan_table(plan)
