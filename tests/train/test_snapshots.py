"""What a training leaves to be looked at: the weights at its samples, and nothing else changes."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.run.finished import read_manifest
from glassmill.train.snapshots import read_snapshot, save_snapshot, snapshots
from tests.train.test_train import Town, train_town


@pytest.fixture(scope="module")
def kept(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "run"
    train_town(town, folder, steps=6)
    return folder


def test_a_small_model_leaves_its_weights_at_every_sample_and_they_are_no_artefacts(kept: Path) -> None:
    assert list(snapshots(kept)) == [0, 1, 2, 4, 6]
    assert not [name for name in read_manifest(kept)["files"] if "snapshots" in name]


def test_the_last_snapshot_is_the_model_that_was_published(kept: Path) -> None:
    published = load_folder(kept / "model").model.state_dict()
    last = read_snapshot(snapshots(kept)[6])
    assert last.keys() == published.keys()
    assert all(torch.equal(last[name], weight.bfloat16()) for name, weight in published.items())
    assert not all(torch.equal(one, last[name]) for name, one in read_snapshot(snapshots(kept)[0]).items())


@pytest.mark.parametrize("place", [10, -1])
def test_a_damaged_snapshot_is_refused(kept: Path, tmp_path: Path, place: int) -> None:
    damaged = bytearray(snapshots(kept)[2].read_bytes())
    damaged[place] ^= 1
    (tmp_path / "step-00000002.safetensors").write_bytes(damaged)
    with pytest.raises(UserError, match="is damaged"):
        read_snapshot(tmp_path / "step-00000002.safetensors")


def test_without_snapshots_the_run_is_the_same(kept: Path, town: Town, tmp_path: Path) -> None:
    train_town(town, tmp_path / "run", steps=6, snapshots="none")
    assert not snapshots(tmp_path / "run")
    assert read_manifest(tmp_path / "run")["content"] == read_manifest(kept)["content"]


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(kept: Path, tmp_path: Path) -> None:
    model = load_folder(kept / "model").model
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(UserError, match="no space left while writing"):
            save_snapshot(tmp_path, model, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "snapshots").iterdir())
