"""A training that diverges stops, says why, keeps its last sound checkpoint and publishes nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder, save_folder
from glassmill.recipe import TrainSettings
from glassmill.run.files import atomic_json
from glassmill.train import train
from glassmill.train.checkpoint import newest_checkpoint
from glassmill.train.health import Watch
from tests.train.test_train import Town, train_town

FAST = {"checkpoint_seconds": 0.0, "reports": 1}


def unpublished(folder: Path) -> bool:
    return not any((folder / name).exists() for name in ("DONE", "manifest.json", "stats.json", "model"))


@pytest.mark.parametrize(
    "rates",
    [
        {"optimizer": "adamw", "peak_lr": 1e30, "embedding_lr": 1e30},
        {"optimizer": "adamw", "peak_lr": 1e4, "embedding_lr": 1e4},
        {"optimizer": "muon", "peak_lr": 1e25},
        {"optimizer": "adamw", "peak_lr": 1e-4, "embedding_lr": 1e38},
        {"optimizer": "adamw", "peak_lr": 1e30, "embedding_lr": 1e30, "steps": 1},  # the only step ruins it
        {"optimizer": "muon", "peak_lr": 1e38, "embedding_lr": 1e38, "steps": 2, "step": "autograd"},
    ],
    ids=str,
)
def test_absurd_rates_end_in_one_line_that_names_step_and_cause(
    town: Town, tmp_path: Path, rates: dict[str, Any]
) -> None:
    for _ in range(2):  # a rerun does not take it for done
        with pytest.raises(UserError, match=r"train stopped: .* step.*learning rate .*train\.(peak|embedding)_lr = "):
            train_town(town, tmp_path / "train", **FAST, **rates)
        assert unpublished(tmp_path / "train")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_last_sound_checkpoint_is_kept(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    trainer = train.fit.__globals__["Trainer"]
    make = trainer.__init__

    def broken(self: Any, *arguments: Any) -> None:
        make(self, *arguments)
        gradients, calls = self.gradients, [0]

        def failing(batch: Any) -> float:
            calls[0] += 1
            loss = gradients(batch)
            return bad if calls[0] == 7 else loss

        self.gradients = failing

    monkeypatch.setattr(trainer, "__init__", broken)
    with pytest.raises(UserError, match="the loss at step 7 of 40 is (nan|inf), .* the checkpoint of step 5 is kept"):
        train_town(town, tmp_path / "run", **FAST)
    kept = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert kept is not None and kept.step == 5  # that of step 6 gave the loss that is none
    assert all(torch.isfinite(weight).all() for weight in kept.weights.values())


def test_a_gradient_that_is_no_number_is_found_though_the_loss_is_one() -> None:
    watch = Watch("sft", TrainSettings(), 512)
    watch.step(1, 9, 6.0, 1.0)
    with pytest.raises(UserError, match="sft stopped: the gradient at step 2 of 9 is inf"):
        watch.step(2, 9, 6.0, math.inf)
    with pytest.raises(UserError, match="guessing gives 6"):
        watch.step(2, 9, 70.0, 1.0)


def test_a_model_with_unsound_weights_is_no_start_and_is_never_written(town: Town, tmp_path: Path) -> None:
    train_town(town, tmp_path / "run", steps=2, reports=1)
    loaded = load_folder(tmp_path / "run")
    with torch.no_grad():
        loaded.model.model.norm.weight[0] = math.nan
    with pytest.raises(UserError, match=r"cannot start: model\.norm\.weight"):
        Watch("sft", TrainSettings(), 512).start(loaded.model)
    with pytest.raises(UserError, match=r"not written: model\.norm\.weight"):
        save_folder(tmp_path / "out", loaded.model, loaded.tokenizer, {})
    assert not (tmp_path / "out").exists()


def test_weights_that_overflow_a_narrower_type_are_not_written(town: Town, tmp_path: Path) -> None:
    train_town(town, tmp_path / "run", steps=2, reports=1)
    loaded = load_folder(tmp_path / "run")
    with torch.no_grad():
        loaded.model.head_weight[0, 0] = 1e6  # float16 ends at 65,504
    with pytest.raises(UserError, match="in float16; take a wider type"):
        save_folder(tmp_path / "out", loaded.model.half(), loaded.tokenizer, {})


def test_the_checkpoints_of_a_finished_run_are_gone(town: Town, tmp_path: Path) -> None:
    train_town(town, tmp_path / "run", steps=3, **FAST)
    assert (tmp_path / "run" / "DONE").exists() and not (tmp_path / "run" / "checkpoints").exists()


def test_json_on_disk_never_holds_nan(tmp_path: Path) -> None:
    atomic_json(tmp_path / "x.json", {"a": math.nan, "b": [math.inf, {"c": (-math.inf, 1.5)}], "d": "NaN"})

    def refuse(word: str) -> float:
        raise AssertionError(word)

    read = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": [None, {"c": [None, 1.5]}], "d": "NaN"}
