"""A training's numbers in a table and in TensorBoard, beside the events and with the same values."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from glassmill.errors import UserError
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run import kinds
from glassmill.train import pace, train
from glassmill.train.norms import GROUPS
from glassmill.train.sinks import COLUMNS, check_sinks
from tests.train.builders import interrupt
from tests.train.test_train import Town, train_town

SHORT: dict[str, Any] = {"steps": 6, "reports": 2, "sample_tokens": 1, "log": ("csv",)}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_what_the_events_have_and_is_no_artefact(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "METRIC_SECONDS", 0.0)
    events = train_town(town, tmp_path / "run", **SHORT)
    rows = rows_of(tmp_path / "run")
    assert tuple(rows[0]) == COLUMNS and set(GROUPS) == {name.split("/")[1] for name in COLUMNS if "/" in name}
    told = [(event.step, event.loss) for event in events if isinstance(event, kinds.Metric)]
    assert [(int(row["step"]), float(row["loss"])) for row in rows if row["loss"]] == told and len(told) == 6
    bits = [(event.step, event.bits_per_byte) for event in events if isinstance(event, kinds.Validation)]
    assert [(int(row["step"]), float(row["bits_per_byte"])) for row in rows if row["bits_per_byte"]] == bits
    assert [row["step"] for row in rows if row["update/attention"] and row["gradient/norms"]] == ["3", "6"]
    assert "metrics.csv" not in json.loads((tmp_path / "run" / "manifest.json").read_text())["files"]


def test_a_run_that_continues_continues_its_table(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = train.Reporter.report

    def dying(self: Any, model: Any, step: int) -> Any:
        if step == 3:
            interrupt()
        return report(self, model, step)

    monkeypatch.setattr(pace, "METRIC_SECONDS", 0.0)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(train.Reporter, "report", dying)
        train_town(town, tmp_path / "run", **SHORT)
    train_town(town, tmp_path / "run", **SHORT)
    assert [int(row["step"]) for row in rows_of(tmp_path / "run") if row["loss"]] == [1, 2, 3, 4, 5, 6]


def test_tensorboard_reads_the_same_numbers(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    monkeypatch.setattr(pace, "METRIC_SECONDS", 0.0)
    train_town(town, tmp_path / "run", **SHORT | {"log": ("csv", "tensorboard")})
    (path,) = (tmp_path / "run" / "logs" / "tensorboard").iterdir()
    read, data = list[tuple[str, int, float]](), path.read_bytes()
    while data:  # a record: length, checksum, bytes, checksum
        length = int.from_bytes(data[:8], "little")
        event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
        read += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    rows = rows_of(tmp_path / "run")
    told = [(name, int(row["step"]), float(row[name])) for row in rows for name in COLUMNS[1:] if row[name]]
    assert [one[:2] for one in read] == [one[:2] for one in told]
    assert [one[2] for one in read] == pytest.approx([one[2] for one in told], rel=1e-6)


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_a_library_that_is_missing_is_named_before_anything_starts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(find_recipe("demo"), [f'sft.log=["csv", "{name}"]'])
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    check_sinks(recipe, ["train"])
    with pytest.raises(UserError, match=f"^sft.log names {name}, which is not installed: pip install {name}$"):
        check_sinks(recipe, ["sft", "train"])
