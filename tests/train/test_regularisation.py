"""Averaged weights and dropout: what is published, and that no kill, cut or number of processes changes it."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from glassmill.errors import UserError
from glassmill.infer.weights import WEIGHTS
from glassmill.recipe import TrainSettings
from glassmill.train import average, loop, parallel
from glassmill.train.average import Average
from glassmill.train.checkpoint import Checkpoint, newest_checkpoint, newest_saved, save_checkpoint
from glassmill.train.dropout import Dropout
from glassmill.train.gradients import make_gradients
from glassmill.train.plan import set_up
from glassmill.train.schedule import learning_rate_factor, steps_known
from tests.train.test_gradients import SHAPES, random_model, some_batch
from tests.train.test_train import train_town, weights_hash

Town = tuple[Path, Path]
CHANGES: dict[str, Any] = {"steps": 12, "average": 0.4, "dropout": 0.1, "document_attention": True, "reports": 1}


def test_the_average_is_the_mean_of_the_weights_after_each_of_the_last_steps_and_survives_a_checkpoint(
    tmp_path: Path,
) -> None:
    generator = torch.Generator().manual_seed(1)
    weights = {"a": torch.zeros(3, 2), "b": torch.zeros(4)}
    mean, seen = Average(weights, 0.3), list[dict[str, Tensor]]()
    for step in range(10):
        for weight in weights.values():
            weight.copy_(torch.randn(weight.shape, generator=generator))
        mean.add(step, 10)
        seen.append({name: weight.clone() for name, weight in weights.items()})
        if step == 8:
            save_checkpoint(tmp_path, Checkpoint(9, {}, mean.state()))
            resumed, saved = Average(weights, 0.3), newest_saved(tmp_path)
            assert saved is not None
            resumed.load(saved, partial(saved.read, "optimizer"))
            mean = resumed
        assert mean.count == max(0, step - 6)
    for name, found in mean.mean.items():
        torch.testing.assert_close(found, torch.stack([weight[name] for weight in seen[7:]]).mean(0))
    last, expected = weights["a"].clone(), mean.mean["a"].clone()
    with mean.in_place():
        assert torch.equal(weights["a"], expected)
    assert torch.equal(weights["a"], last) and torch.equal(mean.mean["a"], expected)


def test_an_average_that_has_not_begun_leaves_nothing_in_a_checkpoint() -> None:
    mean = Average({"a": torch.zeros(3)}, 0.3)
    mean.add(2, 10)
    assert mean.state() == {} and average.COUNT not in mean.state()


def test_a_step_knows_the_cuts_before_it_alone() -> None:
    cuts = [(20, 60), (40, 50)]
    assert [steps_known(step, 100, cuts) for step in (0, 19, 20, 39, 40)] == [100, 100, 60, 60, 50]


def test_the_rate_falls_to_its_floor() -> None:
    rates = [learning_rate_factor(step, 10, 0, 0.5, floor=0.1) for step in range(10)]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.82, 0.64, 0.46, 0.28])


def dropped_gradients(micro_tokens: int, recompute: bool, seed: int = 5, step: int = 3) -> list[Tensor]:
    model = random_model(SHAPES["qwen3, grouped queries, own head"])
    if recompute:
        parallel.recompute(model)
    dropout = Dropout(model, 0.3, seed)
    batch = some_batch(model.config, rows=6)
    gradients = make_gradients(model, 6, 16, micro_tokens, torch.float32, "autograd")
    dropout.start(step, 0)
    gradients(batch)
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_what_is_dropped_depends_on_seed_step_and_row_alone() -> None:
    whole = dropped_gradients(6 * 16, recompute=False)
    for micro_tokens, recompute in ((2 * 16, False), (4 * 16, False), (2 * 16, True)):
        for found, expected in zip(dropped_gradients(micro_tokens, recompute), whole, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for other in (dropped_gradients(96, False, seed=6), dropped_gradients(96, False, step=4)):
        assert any(not torch.allclose(a, b, rtol=1e-2) for a, b in zip(other, whole, strict=True))


def test_a_rank_drops_what_one_process_drops_in_its_rows() -> None:
    model = random_model(SHAPES["qwen3"])
    dropout = Dropout(model, 0.5, seed=1)
    batch = some_batch(model.config, rows=4)

    def nats(first: int, count: int) -> Tensor:
        dropout.start(7, first)
        rows = slice(first, first + count)
        return model(batch.ids[rows], batch.targets[rows]).detach()

    torch.testing.assert_close(torch.cat([nats(0, 2), nats(2, 2)]), nats(0, 4))


def test_a_mask_drops_its_share_and_nothing_is_dropped_without_gradients() -> None:
    model = random_model(SHAPES["qwen3"])
    ids = some_batch(model.config, rows=2).ids
    with torch.no_grad():
        plain = model(ids)
    dropout = Dropout(model, 0.2, seed=1)
    with torch.no_grad():
        assert torch.equal(model(ids), plain)
    assert not torch.allclose(model(ids), plain)
    masks = torch.stack([dropout.mask(place, row, 64, 40, torch.device("cpu")) for place in (0, 1) for row in (0, 1)])
    assert float(masks.float().mean()) == pytest.approx(0.8, abs=0.01)
    assert not any(torch.equal(masks[a], masks[b]) for a in range(4) for b in range(a))


def test_the_step_by_hand_is_refused_with_dropout_and_auto_takes_autograd() -> None:
    assert set_up(TrainSettings(steps=1, dropout=0.1, device="cpu"), 32).step == "autograd"
    with pytest.raises(UserError, match=r"step = fused has no dropout; set step=auto, or dropout=0"):
        set_up(TrainSettings(steps=1, dropout=0.1, step="fused"), 32)


def test_the_mean_is_published_and_a_stopped_run_ends_with_the_same_bits(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    kept: list[dict[str, Tensor]] = []
    step = loop.Trainer.step

    def watched(self: Any, number: int, *rest: Any) -> Any:
        done = step(self, number, *rest)
        kept.append({name: weight.detach().clone() for name, weight in self.model.named_parameters()})
        return done

    monkeypatch.setattr(loop.Trainer, "step", watched)
    train_town(town, tmp_path / "whole", **CHANGES)
    published = load_file(tmp_path / "whole" / "model" / WEIGHTS)
    for name, weight in published.items():
        torch.testing.assert_close(weight, torch.stack([one[name] for one in kept[-4:]]).mean(0))
    assert any(not torch.equal(weight, kept[-1][name]) for name, weight in published.items())

    def interrupted(self: Any, number: int, *rest: Any) -> Any:
        if number == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number, *rest)

    monkeypatch.setattr(loop.Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_town(town, tmp_path / "stopped", **CHANGES)
    monkeypatch.undo()
    resumed = newest_checkpoint(tmp_path / "stopped" / "checkpoints")
    assert resumed is not None and int(resumed.optimizer[average.COUNT]) == 2 and resumed.step == 10  # type: ignore[arg-type]
    train_town(town, tmp_path / "stopped", **CHANGES)
    assert weights_hash(tmp_path / "stopped") == weights_hash(tmp_path / "whole")
