"""The line file: one writer, and no reader that believes a dead process or falls over a damaged file."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import make_recipe
from glassmill.run.line import Line
from glassmill.run.states import line_file_of
from glassmill.studio.watch import KILLED, Watcher

RECIPE = make_recipe({"name": "demo"})
DAMAGED = {
    "empty": b"",
    "bytes": bytes(range(256)),
    "cut": b'{"recipe": "x", "sta',
    "a list": b"[1, 2]",
    "deep": b"[" * 100_000,
    "other types": b'{"recipe": 1, "status": [], "started": "now", "stages": {"a": 1}, "model": 3, "error": []}',
    "odd stages": b'{"stages": [1, {"stage": []}, {"stage": "corpus", "run": {}}, {"stage": "corpus", "run": "../x"}]}',
    "odd numbers": b'{"started": NaN, "stages": []}',
    "huge numbers": b'{"started": ' + b"9" * 400 + b', "stages": []}',
}


def status(runs: Path) -> str:
    return str(json.loads(line_file_of(runs, RECIPE).read_text())["status"])


def test_a_second_process_leaves_the_file_of_a_running_line_alone(tmp_path: Path) -> None:
    with Line(RECIPE, tmp_path) as first:
        before = first.status_path.read_bytes()
        with pytest.raises(UserError), Line(RECIPE, tmp_path):
            raise UserError("another glassmill process is working in corpus/demo-123456")
        assert first.status_path.read_bytes() == before and status(tmp_path) == "running"
    assert status(tmp_path) == "done"
    with pytest.raises(UserError), Line(RECIPE, tmp_path):
        raise UserError("no pages")
    assert status(tmp_path) == "failed"


def test_a_line_whose_process_was_killed_is_not_shown_as_running(tmp_path: Path) -> None:
    with Line(RECIPE, tmp_path) as line:
        running = line.status_path.read_bytes()
        shown = Watcher(tmp_path).line(line.status_path.stem)
        assert shown is not None and (shown["status"], shown["error"]) == ("running", None)
    line.status_path.write_bytes(running)  # as kill -9 leaves it: the file says running, the lock is free
    shown = Watcher(tmp_path).line(line.status_path.stem)
    assert shown is not None and (shown["status"], shown["error"]) == ("failed", KILLED)


def test_a_damaged_line_file_costs_only_its_own_line(tmp_path: Path) -> None:
    with suppress(UserError), Line(RECIPE, tmp_path) as line:
        raise UserError("no pages")
    for name, content in DAMAGED.items():
        (tmp_path / "lines" / f"{name.replace(' ', '-')}.json").write_bytes(content)
    (tmp_path / "lines" / "folder.json").mkdir()
    lines = {line["name"]: line["status"] for line in Watcher(tmp_path).lines()}
    assert lines[line.status_path.stem] == "failed"


def test_every_variant_of_a_recipe_has_a_line_of_its_own_and_the_way_it_is_worked_on_makes_none(tmp_path: Path) -> None:
    def file(**sections: object) -> Path:
        return line_file_of(tmp_path, make_recipe({"name": "demo", **sections}))

    first = file()
    for other in ({"train": {"steps": 3}}, {"seed": 8}, {"corpus": {"inputs": ["a"]}}, {"sft": {"base": "smollm2"}}):
        assert file(**other) != first
    for same in ({"run": {"executor": "slurm"}}, {"corpus": {"workers": 3}}, {"train": {"threads": 1}}):
        assert file(**same) == first
    for recipe in (make_recipe({"name": "demo"}), make_recipe({"name": "demo", "seed": 8})):
        with suppress(UserError), Line(recipe, tmp_path):
            raise UserError("no pages")
    lines = Watcher(tmp_path).lines()
    assert {line["name"] for line in lines} == {first.stem, file(seed=8).stem}
    assert {line["recipe"] for line in lines} == {"demo"}
