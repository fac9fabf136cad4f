"""A spike of the loss is told, stops the training, or is gone back on; the best report's model can be the one kept."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch

from glassmill.errors import Spike, UserError
from glassmill.infer.folder import load_folder
from glassmill.recipe import TrainSettings
from glassmill.run import kinds
from glassmill.train import course, train
from glassmill.train.batches import WindowBatches
from glassmill.train.checkpoint import Checkpoint, save_checkpoint
from glassmill.train.course import MOST_ROLLBACKS, WINDOW, Course
from glassmill.train.gradients import Batch
from tests.train.builders import interrupt
from tests.train.test_health import unpublished
from tests.train.test_train import Town, train_town, weights_hash

FAST: dict[str, Any] = {"steps": 30, "reports": 1, "checkpoint_seconds": 3600.0, "rollback_steps": 10}
FAST |= {"sample_tokens": 1, "validation_tokens": 64}
BAD = 22
"""The batch whose targets are noise, so that its loss jumps."""


@pytest.fixture
def short_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss is compared with 12 before it, so that tests are short."""
    monkeypatch.setattr(course, "WINDOW", 12)


class Spoil(Protocol):
    """Makes noise of the targets of batches that a function names, or multiplies their weights."""

    def __call__(self, is_bad: Callable[[int], bool], weight: float = 1.0) -> None: ...


@pytest.fixture
def bad_batches(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    whole = WindowBatches.batch

    def spoil(is_bad: Callable[[int], bool], weight: float = 1.0) -> None:
        def batch(self: WindowBatches, step: int) -> Batch:
            good = whole(self, step)
            noise = torch.randint(0, 300, good.targets.shape, generator=torch.Generator().manual_seed(step))
            return good._replace(targets=noise, weights=weight * good.weights) if is_bad(step) else good

        monkeypatch.setattr(WindowBatches, "batch", batch)

    return spoil


def warnings(events: list[kinds.Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, kinds.Warned)]


def course_of(on_spike: str = "rollback", told: list[str] | None = None) -> Course:
    return Course("train", TrainSettings(on_spike=on_spike), (told if told is not None else []).append)  # type: ignore[arg-type]


def noisy(level: float, spread: float, count: int = WINDOW) -> list[float]:
    chance = random.Random(3)
    return [level + chance.gauss(0, spread) for _ in range(count)]


@pytest.mark.parametrize(
    ("before", "loss", "spikes"),
    [
        (noisy(3.0, 0.05), 3.2, False),
        (noisy(3.0, 0.05), 3.8, True),
        (noisy(3.0, 0.30), 3.8, False),  # as noisy as ever
        (noisy(3.0, 0.05, WINDOW - 3), 9.0, False),  # too early to say
        ([*noisy(3.0, 0.05, WINDOW - 3), 9.0, 9.0, 9.0], 3.8, True),  # earlier spikes hide none
        ([0.001] * WINDOW, 0.01, False),  # known by heart: no deviation at all
        ([0.001] * WINDOW, 0.4, True),
        ([5 - 0.04 * step for step in range(WINDOW)], 3.4, False),
    ],
)
def test_a_spike_is_far_above_the_steps_before(before: list[float], loss: float, spikes: bool) -> None:
    told: list[str] = []
    remembered = course_of("continue", told)
    remembered.losses.extend(before)
    for number in (60, 61, 62):  # one line, not three
        remembered.see(number, loss)
    assert len(told) == spikes and (not spikes or "on_spike=rollback" in told[0])


def test_a_course_that_went_through_a_checkpoint_decides_what_the_other_decides(tmp_path: Path) -> None:
    one, two = course_of(), course_of()
    for number, loss in enumerate(noisy(2.0, 0.1, 70), start=1):
        one.see(number, loss)
    one.compare(40, 1.5)
    skipped = two.restore(json.loads(json.dumps(one.notes(70, 9, True))))
    assert (skipped, two.losses, two.best, two.reports) == (9, one.losses, (40, 1.5), True)
    for either in (one, two):
        with pytest.raises(Spike, match="the loss at step 71 jumps to 4; before it was around 1.97"):
            either.see(71, 4.0)
        either.went_back(either.target(70), Spike())
    assert one.landed == two.landed == 0 and one.target(0) == 0 and one.target(101) == 100 and one.target(100) == 0


def test_checkpoints_stay_as_long_as_a_kept_one_needs_them(tmp_path: Path) -> None:
    tensors = {"w": torch.zeros(2)}
    needs = {10: [], 20: [10], 30: [20], 40: [20], 50: [40]}
    for step, some in needs.items():
        save_checkpoint(tmp_path, Checkpoint(step, tensors, tensors, notes={"needs": some}), keep=1)
    assert sorted(int(path.name[5:]) for path in tmp_path.iterdir()) == [20, 40, 50]
    (tmp_path / "step-00000040" / "state.json").write_text("{")  # who knows what it needs?
    save_checkpoint(tmp_path, Checkpoint(60, tensors, tensors, notes={"needs": [40]}), keep=1)
    assert sorted(int(path.name[5:]) for path in tmp_path.iterdir()) == [20, 40, 50, 60]


@pytest.mark.usefixtures("short_window")
def test_a_spike_is_told_or_stops_the_training(town: Town, tmp_path: Path, bad_batches: Spoil) -> None:
    bad_batches(lambda step: step == BAD)
    (told,) = warnings(train_town(town, tmp_path / "train", **FAST))
    assert told.startswith(f"the loss at step {BAD + 1} jumps to ") and "train.on_spike=rollback" in told
    with pytest.raises(UserError, match=f"train stopped: the loss at step {BAD + 1} jumps .* set train.on_spike=roll"):
        train_town(town, tmp_path / "stopped" / "train", **FAST, on_spike="stop")
    assert unpublished(tmp_path / "stopped" / "train")


@pytest.fixture
def without(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_window: None) -> str:
    """Hash of the weights of a training whose data lacks what the rollback skips."""
    good = WindowBatches.batch
    with monkeypatch.context() as changed:
        changed.setattr(WindowBatches, "batch", lambda self, step: good(self, step if step < 20 else step + 3))
        train_town(town, tmp_path / "without", **FAST)
    return weights_hash(tmp_path / "without")


def test_a_rollback_leaves_the_model_of_the_data_without_the_skipped_batches(
    town: Town, tmp_path: Path, bad_batches: Spoil, without: str
) -> None:
    bad_batches(lambda step: step == BAD)
    (told,) = warnings(train_town(town, tmp_path / "run", **FAST, on_spike="rollback"))
    assert "training goes back to step 20 and skips the 3 batches" in told
    assert weights_hash(tmp_path / "run") == without


def test_a_loss_that_is_no_number_is_gone_back_on_too(
    town: Town, tmp_path: Path, bad_batches: Spoil, without: str
) -> None:
    bad_batches(lambda step: step == BAD, math.nan)
    (told,) = warnings(train_town(town, tmp_path / "run", **FAST, on_spike="rollback"))
    assert "is nan, no finite number; training goes back to step 20" in told
    assert weights_hash(tmp_path / "run") == without


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "deaths"), [(0.0, (8, 20, 28, 34)), (3600.0, (23, 24)), (0.0, (23, 26, 27)), (3600.0, (12, 34))]
)
def test_a_rollback_killed_before_or_after_gives_the_same_bits(
    town: Town,
    tmp_path: Path,
    bad_batches: Spoil,
    monkeypatch: pytest.MonkeyPatch,
    without: str,
    seconds: float,
    deaths: tuple[int, ...],
) -> None:
    bad_batches(lambda step: step == BAD)
    step, calls = train.fit.__globals__["Trainer"].step, [0]

    def dying(self: Any, number: int, *rest: Any) -> Any:
        calls[0] += 1  # over all attempts
        if calls[0] in deaths:
            interrupt()
        return step(self, number, *rest)

    changes = FAST | {"on_spike": "rollback", "checkpoint_seconds": seconds}
    with monkeypatch.context() as killed:
        killed.setattr(train.fit.__globals__["Trainer"], "step", dying)
        for _ in deaths:
            with pytest.raises(KeyboardInterrupt):
                train_town(town, tmp_path / "run", **changes)
        train_town(town, tmp_path / "run", **changes)
    assert weights_hash(tmp_path / "run") == without


@pytest.mark.slow
@pytest.mark.usefixtures("short_window")
def test_many_spikes_and_kills_anywhere_change_no_bit(
    town: Town, tmp_path: Path, bad_batches: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_batches(lambda step: step in (22, 35, 36, 50, 61, 62, 63))  # also right after a rollback
    changes = FAST | {"steps": 60, "reports": 9, "rollback_steps": 8, "on_spike": "rollback", "keep_best": True}
    changes |= {"peak_lr": 0.05, "decay_share": 0.0}  # so that batches stay learnable, and noise a spike
    told = warnings(train_town(town, tmp_path / "undisturbed", **changes))
    assert len(told) == 7 and any("skips the one batch" in text for text in told)
    trainer, reporter = train.fit.__globals__["Trainer"], train.Reporter
    step, report = trainer.step, reporter.report
    for trial in range(5):
        chance = random.Random(trial)

        def dying(whole: Any, *given: Any, chance: random.Random = chance) -> Any:
            if chance.random() < 0.05:
                interrupt()
            return whole(*given)

        done, ways = False, {"checkpoint_seconds": (0.0, 0.05, 3600.0), "keep_checkpoints": (1, 2, 3)}
        with monkeypatch.context() as killed:
            killed.setattr(trainer, "step", lambda self, *given: dying(step, self, *given))
            killed.setattr(reporter, "report", lambda self, *given: dying(report, self, *given))
            while not done:
                with contextlib.suppress(KeyboardInterrupt):
                    chosen = {name: chance.choice(values) for name, values in ways.items()}
                    train_town(town, tmp_path / f"{trial}", **changes | chosen)
                    done = True
        assert weights_hash(tmp_path / f"{trial}") == weights_hash(tmp_path / "undisturbed")


@pytest.mark.usefixtures("short_window")
def test_a_training_that_only_spikes_stops_after_some_rollbacks(town: Town, tmp_path: Path, bad_batches: Spoil) -> None:
    bad_batches(lambda step: step >= BAD, math.nan)
    with pytest.raises(UserError, match=f"after {MOST_ROLLBACKS} rollbacks. The learning rate is too high"):
        train_town(town, tmp_path / "run", **FAST, on_spike="rollback")
    assert unpublished(tmp_path / "run")


def spoiled_late(town: Town, folder: Path) -> list[kinds.Event]:
    return train_town(town, folder, steps=40, reports=4, keep_best=True, checkpoint_seconds=3600.0, keep_checkpoints=1)


def test_the_best_report_is_the_model_that_is_kept_killed_or_not(
    town: Town,
    tmp_path: Path,
    bad_batches: Spoil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad_batches(lambda step: step >= 22)
    events = spoiled_late(town, tmp_path / "run")
    bits = [(event.step, event.bits_per_byte) for event in events if isinstance(event, kinds.Validation)]
    assert [step for step, _ in bits] == [10, 20, 30, 40, 20] and min(bits, key=lambda one: one[1])[0] == 20
    assert bits[1] == bits[-1]  # the model that is published was measured itself
    assert load_folder(tmp_path / "run").meta["kept_step"] == 20
    assert json.loads((tmp_path / "run" / "stats.json").read_text())["val_bpb"] == bits[1][1]

    report, calls = train.Reporter.report, [0]

    def dying(self: Any, model: Any, step: int) -> Any:
        calls[0] += 1
        if calls[0] in (2, 5, 7):  # at steps 20, 40 and, of the model that is kept, 20
            interrupt()
        return report(self, model, step)

    monkeypatch.setattr(train.Reporter, "report", dying)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            spoiled_late(town, tmp_path / "killed")
    spoiled_late(town, tmp_path / "killed")
    assert weights_hash(tmp_path / "killed") == weights_hash(tmp_path / "run")


def test_keep_best_needs_held_out_text(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = train.Shards
    monkeypatch.setattr(train, "Shards", lambda path, split: shards(path, split) if split == "train" else Empty())
    with pytest.raises(UserError, match=r"^train.keep_best = true, but no text is held out .*validation_share$"):
        train_town(town, tmp_path / "run", steps=2, keep_best=True)


class Empty:
    """A split without tokens."""

    ids = torch.zeros(0).numpy()
