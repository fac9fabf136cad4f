"""The rate range test: a rule on curves whose answer is known, and real trainings whose rates rise too far."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import LoraSettings
from glassmill.train.rate_test import Point, diverges, factors, rising, suggest
from glassmill.train.start import Start, start_of
from tests.train.builders import MODEL, TRAIN
from tests.train.test_train import train_town

Town = tuple[Path, Path]
STEPS = 80


def curve(steepest: float, falls_at: float | None = None, size: float = 1.0, noise: float = 0.0) -> list[Point]:
    """A gain that rises to `size`, fastest at `steepest`, and is lost again around `falls_at`."""
    points, chance = [], random.Random(1)
    for factor in factors(STEPS, 3):
        gain = size / (1 + (steepest / factor) ** 4)
        gain -= 4 * size / (1 + (falls_at / factor) ** 6) if falls_at else 0.0
        points.append(Point(factor, 5 - gain, gain + chance.gauss(0, noise)))
    return points


def test_rates_rise_evenly_around_those_of_the_recipe() -> None:
    rates = factors(STEPS, 3)
    assert rates[-1] / rates[0] == pytest.approx(1000) and rates[0] * rates[-1] == pytest.approx(1)
    steps = [after / before for before, after in itertools.pairwise(rates)]
    assert max(steps) == pytest.approx(min(steps))


@pytest.mark.parametrize("steepest", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("size", [0.05, 5.0])
def test_the_rate_is_where_the_gain_rises_fastest_whatever_its_size(steepest: float, noise: float, size: float) -> None:
    found = suggest(curve(steepest, size=size, noise=noise * size), STEPS)
    assert found.factor == found.steepest == pytest.approx(steepest, rel=0.25)
    assert found.diverged is None


def test_the_rate_is_at_most_a_third_of_the_one_with_the_largest_gain() -> None:
    found = suggest(curve(1.0, falls_at=2.5), STEPS)
    assert found.factor == pytest.approx(found.largest / 3)
    assert found.factor < found.steepest < found.largest < 2.5


def test_the_test_ends_where_a_quarter_of_the_gain_is_lost_and_not_before() -> None:
    points = curve(0.3, falls_at=4.0, noise=0.05)
    end = next(number for number in range(1, STEPS + 1) if diverges(points[:number], STEPS))
    assert 2.0 < points[end - 1].factor < 5.0
    assert suggest(points[:end], STEPS).diverged == points[end - 1].factor
    assert not any(diverges(curve(0.3, noise=0.05)[:number], STEPS) for number in range(1, STEPS + 1))


def test_a_model_that_learns_at_no_rate_is_an_error() -> None:
    for points in (curve(1.0, size=-1.0), curve(1.0)[:3]):
        with pytest.raises(UserError, match=r"^the model learns at none of these rates; set rates that are lower"):
            suggest(points, STEPS)


def start(town: Town, tied: bool = False, **changes: object) -> Start:
    shape = MODEL.model_copy(update={"tie_embeddings": tied})
    return start_of(TRAIN.model_copy(update=changes), 7, town[0], shape)


@pytest.mark.parametrize(("tied", "first"), [(True, math.log(320)), (False, 1.2)])
def test_a_new_model_gains_at_rising_rates_and_diverges_at_the_highest_the_same_way_every_time(
    town: Town, tied: bool, first: float
) -> None:
    """A model with a head of its own knows its bigrams at the start, and has less to gain."""
    settings = {"optimizer": "adamw", "peak_lr": 0.003, "embedding_lr": 0.003, "batch_tokens": 128}
    rates = factors(40, 5)
    told: list[int] = []
    points = rising(start(town, tied, **settings), rates, told.append)
    assert points == rising(start(town, tied, **settings), rates)
    assert told == [*range(1, len(points) + 1)] and 20 < len(points) < 40
    assert abs(points[0].gain) < 1e-4 and points[0].loss == pytest.approx(first, abs=0.5)
    found = suggest(points, 40)
    assert found.diverged is not None and rates[0] < found.factor < found.largest < found.diverged


@pytest.mark.slow
def test_a_training_at_the_suggested_rate_is_no_worse_than_one_at_a_rate_far_off(town: Town, tmp_path: Path) -> None:
    found = suggest(rising(start(town, batch_tokens=128), factors(40, 3)), 40)

    def bits(factor: float) -> float:
        rates = {"peak_lr": TRAIN.peak_lr * factor, "embedding_lr": TRAIN.embedding_lr * factor}
        train_town(town, tmp_path / f"{factor:.4f}", **rates, batch_tokens=128, steps=40, reports=1)
        stats = (tmp_path / f"{factor:.4f}" / "stats.json").read_text()
        return float(stats.partition('"val_bpb": ')[2].partition(",")[0].strip(" }\n"))

    assert bits(found.factor) < min(bits(found.factor / 30), bits(found.factor * 30)) - 0.05


def test_a_finished_model_and_its_adapters_gain_from_their_first_steps(town: Town, tmp_path: Path) -> None:
    train_town(town, tmp_path / "base", steps=60, reports=1)
    base = str(tmp_path / "base" / "model")
    for lora in (LoraSettings(), LoraSettings(rank=2)):
        begun = start(town, base=base, lora=lora, optimizer="adamw", peak_lr=0.001, embedding_lr=0.001)
        points = rising(begun, factors(24, 3))
        assert abs(points[0].gain) < 1e-6 and points[0].loss < 4.0
        assert max(point.gain for point in points) > 0.0
