"""A finished run is named after all that its bytes depend on, and is found by what was asked."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest

from glassmill.pipeline import run_line
from glassmill.run.finished import is_done, read_manifest
from glassmill.run.line import Line
from glassmill.run.places import settled
from glassmill.train import plan as plans
from tests.run.conftest import small


def trained(folder: Path, *words: str) -> Path:
    """The training of these settings under `folder`, as a path."""
    return run_line(small(*words), folder / "runs").folders["train"]


def status(line: Line) -> str:
    (one,) = [stage for stage in json.loads(line.status_path.read_text())["stages"] if stage["stage"] == "train"]
    assert (line.runs / one["run"]).is_dir()
    return str(one["status"])


VARIANTS = [
    ("train.steps=3", "train.threads=1"),
    ("train.steps=3", "train.threads=2"),
    ("train.steps=4", "train.threads=1"),
    ("train.steps=3", "train.threads=1", "train.step=autograd"),
    ("train.steps=3", "train.threads=1", "train.dtype=bfloat16"),
    ("train.steps=3", "train.threads=1", "train.seed=9"),
    ("train.steps=3", "train.threads=1", "train.keep_best=true", "train.peak_lr=0.5", "train.reports=1"),
    ("train.steps=3", "train.threads=1", "train.keep_best=true", "train.peak_lr=0.5", "train.reports=3"),
    ("train.minutes=0.004", "train.threads=1", "train.measure_seconds=0.01"),
    ("train.minutes=0.012", "train.threads=1", "train.measure_seconds=0.01"),
]


def test_runs_of_other_bytes_have_other_names_and_equal_settings_give_equal_bytes(place: Path) -> None:
    made = place / "runs"
    found: list[tuple[str, str]] = []
    for number, words in enumerate([*VARIANTS, VARIANTS[0], VARIANTS[3]]):
        shutil.copytree(made, place / f"{number}/runs")
        run = trained(place / str(number), *words)
        found.append((run.name, read_manifest(run)["content"]))
    for (name, content), (other, its_content) in itertools.combinations(found, 2):
        assert (content == its_content) or (name != other)
    assert found[0] == found[-2] and found[3] == found[-1]
    assert len({content for _, content in found}) > 5


def test_a_finished_training_is_found_again_whatever_its_time_box_held(place: Path) -> None:
    first = trained(place, "train.minutes=0.005")
    line = run_line(small("train.minutes=0.005"), place / "runs")
    assert line.folders["train"] == first and status(line) == "skipped"
    assert [path.name for path in (place / "runs/train").iterdir()] == [first.name]
    manifest = read_manifest(first)
    assert manifest["computed"]["steps"] == json.loads((first / "plan.json").read_text())["planned"]
    assert json.loads((first / "model/glassmill.json").read_text())["run"] == first.name


def test_what_the_user_chose_is_not_answered_with_a_run_that_came_to_something_else(place: Path) -> None:
    one = trained(place, "train.steps=3", "train.threads=1")
    two = trained(place, "train.steps=3", "train.threads=2")
    assert one != two and is_done(one) and is_done(two)
    assert trained(place, "train.steps=3", "train.threads=1") == one
    assert trained(place, "train.steps=3", "train.threads=2") == two
    assert trained(place, "train.steps=3") in (one, two)


def test_a_training_that_was_moved_has_a_name_of_its_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = trained(place, "train.steps=4", "train.threads=1").name
    shutil.rmtree(place / "runs/train")

    def killed(*rest: object) -> None:
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr(plans, "cut_plan", killed)
        patch.setattr("glassmill.train.loop._end", killed)
        with pytest.raises(SystemExit):
            trained(place, "train.steps=4", "train.threads=1", "train.checkpoint_seconds=0")
    (asked,) = (place / "runs/train").iterdir()
    plan = json.loads((asked / "plan.json").read_text())
    (asked / "plan.json").write_text(json.dumps({**plan, "torch": "1.0"}))
    moved = trained(place, "train.steps=4", "train.threads=1")
    assert moved.name != undisturbed and not asked.exists()
    assert "earlier" in read_manifest(moved)["computed"]


def test_a_run_killed_before_it_took_its_last_name_takes_it_at_the_next_call(place: Path) -> None:
    run = trained(place, "train.steps=3")
    asked = json.loads((run / "plan.json").read_text())["asked"]
    run.rename(run.with_name(f"documents-{asked[:6]}"))
    line = run_line(small("train.steps=3"), place / "runs")
    assert line.folders["train"] == run == settled(run) and status(line) == "skipped"


def test_a_recipe_takes_no_run_of_another_whose_name_begins_as_its_own(place: Path) -> None:
    other = run_line(small("train.steps=3", "name=documents-2"), place / "runs").folders["train"]
    own = trained(place, "train.steps=3")
    assert own.name.startswith("documents-") and own != other


def test_a_damaged_training_is_made_again_under_its_name(place: Path) -> None:
    run = trained(place, "train.steps=3")
    content = read_manifest(run)["content"]
    (run / "model/config.json").write_text("{}")
    assert trained(place, "train.steps=3") == run and read_manifest(run)["content"] == content
