"""`glassmill clean` takes what nobody needs any more, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from glassmill.commands.clean import clean, clean_lines
from glassmill.commands.runs import run_table
from glassmill.errors import UserError
from glassmill.run.listing import list_runs


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A finished run with leftovers, one that never finished, one in which a process works."""
    files = (
        "train/done-111111/DONE",
        "train/done-111111/manifest.json",
        "train/done-111111/model/model.safetensors",
        "train/done-111111/checkpoints/step-00000120/weights.safetensors",
        "train/done-111111/work/part.json",
        "train/done-111111/shards/documents.parquet.host-12.partial",
        "train/killed-222222/events.jsonl",
        "train/killed-222222/checkpoints/step-00000060/weights.safetensors",
        "train/busy-333333/events.jsonl",
        "train/busy-333333/model.host-13.partial",
        "lines/done.json",
    )
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 100)
    return tmp_path


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_only_leftovers_go_and_only_when_asked(runs: Path) -> None:
    before = names(runs)
    with FileLock(runs / "train" / "busy-333333" / "lock"):
        shown = clean(runs, unfinished=False, delete=False)
        assert names(runs) - {"train/busy-333333/lock"} == before and shown["bytes"] == 300
        assert "--yes" in clean_lines(shown)[-1]
        gone = clean(runs, unfinished=False, delete=True)
    assert [Path(item["path"]).name for item in gone["found"]] == [
        "checkpoints",
        "documents.parquet.host-12.partial",
        "work",
    ]
    kept = {
        name for name in before if "done-111111" not in name or name.endswith(("DONE", ".json", "model.safetensors"))
    }
    assert names(runs) - {"train/busy-333333/lock"} == kept - {"train/done-111111/work/part.json"}
    with FileLock(runs / "train" / "busy-333333" / "lock"):
        assert clean(runs, unfinished=False, delete=True)["found"] == []


def test_unfinished_runs_go_on_demand_but_never_one_in_use(runs: Path) -> None:
    with FileLock(runs / "train" / "busy-333333" / "lock"):
        clean(runs, unfinished=True, delete=True)
    left = {path.name for path in (runs / "train").iterdir()}
    assert left == {"done-111111", "busy-333333"}


def test_a_pull_goes_unless_it_is_under_way(runs: Path) -> None:
    work = runs / "train" / ".pull-demo-444444"
    for name in ("shards/ids.bin.partial", "DONE", "events.jsonl"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("")
    with FileLock(work.with_name(f"{work.name}.lock")):
        clean(runs, unfinished=True, delete=True)
        assert (work / "shards/ids.bin.partial").exists()
    assert ".pull-demo-444444" not in [entry["run"].partition("/")[2] for entry in list_runs(runs)["runs"]]
    clean(runs, unfinished=False, delete=True)
    assert not work.exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--runs"):
        clean(tmp_path / "none", False, False)


def test_layers_go_on_demand_and_not_while_a_corpus_is_made(runs: Path) -> None:
    layer = runs / "corpus/.layers/3f/9a1c/pages-0000.parquet"
    layer.parent.mkdir(parents=True)
    layer.write_bytes(b"x" * 70)
    (runs / "corpus/web-444444").mkdir()
    assert list_runs(runs)["layers"] == 70 and "clean --layers" in str(run_table(list_runs(runs))[-1])
    clean(runs, unfinished=True, delete=True)
    with FileLock(runs / "corpus/web-444444/lock"):
        clean(runs, unfinished=False, delete=True, layers=True)
    assert layer.exists()
    assert clean(runs, unfinished=False, delete=True, layers=True)["bytes"] == 70
    assert not layer.exists() and list_runs(runs)["layers"] == 0
