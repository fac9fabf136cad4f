"""A time box is a deadline: a slow machine takes fewer steps, cools down in time, and a rerun repeats the cuts."""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glassmill.recipe import Recipe, TrainSettings
from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.run.folder import Identity, open_run
from glassmill.train import train
from glassmill.train.deadline import Deadline
from glassmill.train.plan import make_plan, set_up
from glassmill.train.schedule import Cut, learning_rate_factor
from tests.tokens.builders import run_stage
from tests.train.builders import MODEL, TRAIN
from tests.train.test_train import Town, weights_hash


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def simulate(
    steps: int, box_s: float, pace: Callable[[float], float], break_s: float = 0.0, reports: int = 8
) -> tuple[int, list[Cut], float, list[float]]:
    """Steps taken, cuts, seconds needed, and the rate of every step, where a step at time t takes `pace(t)`."""
    clock = Clock()
    deadline = Deadline(box_s / 60, clock)
    cuts: list[Cut] = []
    rates: list[float] = []
    done, total = 0, steps
    deadline.count(0)
    while done < total:
        rates.append(learning_rate_factor(done, steps, 20, 0.5, cuts))
        clock.now += pace(deadline.elapsed())
        done += 1
        deadline.count(done)
        cut = deadline.cut(done, total, 0.5, reports - done * reports // total)
        if cut is not None:
            cuts.append((done, cut))
            total = cut
        if done * reports // total > (done - 1) * reports // total:
            with deadline.resting():
                clock.now += break_s
    return done, cuts, deadline.elapsed(), rates


@pytest.mark.parametrize(
    ("pace", "break_s"),
    [
        (lambda t: 0.1, 0.0),  # a third of the speed that the plan is made for
        (lambda t: 0.03 if t < 25 else 0.3, 0.0),  # suddenly busy
        (lambda t: 0.3 if t < 25 else 0.03, 0.0),  # busy at first
        (lambda t: 0.03 if t < 55 else 3.0, 0.0),  # nearly stopped just before the end
        (lambda t: 0.05 if int(t) % 7 else 0.5, 0.0),  # in turns
        (lambda t: 0.04, 4.0),  # slow reports
        (lambda t: 7.0, 1.0),  # a handful of steps in all
        (lambda t: 45.0, 0.0),
        (lambda t: 90.0, 0.0),  # one step takes longer than the box: one is taken
    ],
)
def test_the_box_is_kept_and_the_rate_falls_to_the_end(pace: Callable[[float], float], break_s: float) -> None:
    done, cuts, seconds, rates = simulate(2000, 60, pace, break_s)
    assert 1 <= done < 2000 and cuts
    assert seconds <= 60 + pace(60) * (done == 1) + (3 if pace(60) >= 3 else 0.6)
    falling = rates[20:]
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(falling))
    if done > 40:
        assert rates[-1] < 0.3  # cooled down, even where the machine stopped halfway


def test_a_machine_that_is_busy_at_first_is_not_cut_for_it() -> None:
    done, _, seconds, _ = simulate(900, 60, lambda t: 0.3 if t < 12 else 0.05)
    assert done > 800 and seconds > 50


def test_a_quiet_machine_takes_the_planned_steps() -> None:
    assert simulate(900, 60, lambda t: 0.06)[:2] == (900, [])


def test_without_a_box_there_is_no_deadline() -> None:
    deadline = Deadline(None)
    for step in range(9):
        deadline.count(step)
    assert deadline.cut(9, 10, 0.5, 3) is None


def boxed(town: Town, folder: Path, monkeypatch: pytest.MonkeyPatch, slow: bool = True, **changes: Any) -> list[Any]:
    """A training of 40 steps in a box of 10 s, each of which takes a second of a made-up clock, or none."""
    clock = Clock()
    trainer = train.fit.__globals__["Trainer"]
    step = trainer.step

    def timed(self: Any, *rest: Any) -> Any:
        clock.now += slow
        return step(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(train, "Deadline", functools.partial(Deadline, clock=clock))
        patch.setattr(trainer, "step", timed)
        settings: TrainSettings = TRAIN.model_copy(update={"minutes": 1 / 6, "reports": 1, **changes})
        return run_stage(train, folder, settings, tokens=town[0], tokenizer=town[1], model_settings=MODEL)


def test_a_training_that_would_take_longer_than_its_box_ends_within_it_and_says_so(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = boxed(town, tmp_path / "boxed", monkeypatch)
    stats = json.loads((tmp_path / "boxed" / "stats.json").read_text())
    assert 6 <= stats["steps"] <= 10 and stats["tokens_seen"] == 256 * stats["steps"]
    assert any("slower than planned" in event.text for event in events if isinstance(event, kinds.Note))
    plan = json.loads((tmp_path / "boxed" / "plan.json").read_text())
    assert plan["planned"] == 40 and plan["steps"] == plan["cuts"][-1][1] == stats["steps"]


def test_the_plan_of_a_cut_run_gives_its_bits_again(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxed(town, tmp_path / "boxed", monkeypatch)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "plan.json").write_bytes((tmp_path / "boxed" / "plan.json").read_bytes())
    boxed(town, tmp_path / "again", monkeypatch, slow=False)
    assert weights_hash(tmp_path / "again") == weights_hash(tmp_path / "boxed")


def test_a_resumed_run_continues_the_clock_of_its_checkpoint(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = train.fit.__globals__["save_checkpoint"]

    def cut_off(folder: Path, checkpoint: Any, *rest: Any) -> None:
        save(folder, checkpoint, *rest)
        if checkpoint.step == 5:
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setitem(train.fit.__globals__, "save_checkpoint", cut_off)
        boxed(town, tmp_path / "run", monkeypatch, checkpoint_seconds=0.0)
    boxed(town, tmp_path / "run", monkeypatch)
    assert 6 <= json.loads((tmp_path / "run" / "stats.json").read_text())["steps"] <= 10


def planned(tmp_path: Path, report_tokens: int, made_s: float = 0.0) -> tuple[Any, list[str]]:
    """The plan for a box of 6 s with steps of 10 ms, and what was noted."""
    settings = TRAIN.model_copy(update={"steps": None, "minutes": 0.1, "reports": 8, "measure_seconds": 0.2})
    told: list[str] = []

    def trial() -> Callable[[int], object]:
        time.sleep(made_s)
        return lambda number: time.sleep(0.01)

    def listen(entry: Entry) -> None:
        if isinstance(entry.event, kinds.Note):
            told.append(entry.event.text)

    with open_run(tmp_path / "run", Identity("train", 1, {}), Recipe(), (listen,)) as run:
        return make_plan(run, settings, set_up(settings, 32), Deadline(0.1), trial, report_tokens), told


def test_what_held_out_text_costs_is_taken_from_the_box_before_the_steps(tmp_path: Path) -> None:
    cheap, told = planned(tmp_path / "cheap", 256)  # a report takes half a step
    assert cheap.reports == 8 and not any("held-out" in text for text in told)
    dear, told = planned(tmp_path / "dear", 200 * 256)  # a report takes a hundred steps
    assert dear.reports == 1 and dear.planned < cheap.planned - 50
    assert any("it is measured 1 time in this time box, not 8" in text for text in told)


def test_making_the_model_is_not_taken_for_a_step(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, 0, made_s=1.0)
    assert plan.step_seconds < 0.2 and plan.planned > 15
