"""`glassmill rates`: a learning rate for a recipe's model and text, from some dozen steps; no run is left.

Stages before the training run as always, or are skipped where they are done. See `glassmill.train.rate_test` for what
is measured and how a rate is chosen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from rich.table import Table

from glassmill.errors import UserError
from glassmill.pipeline import ready, run_line
from glassmill.recipe import Recipe, TrainSettings
from glassmill.run.device import place_from
from glassmill.run.events import Listener

ROWS = 15
BAR = 32
RULE = "where the gain rises fastest, but at most a third of the rate at which it is largest"


class Rates(TypedDict):
    """Both learning rates."""

    peak_lr: float
    embedding_lr: float


class Measured(Rates):
    """A step: its rates, its loss, and how much lower it is than before the first step on the same batch, smoothed."""

    loss: float
    gain: float


class RateTest(TypedDict):
    """The result. `recipe_rates` are those that the recipe has; `diverged` is None if the model bore all rates."""

    recipe: str
    optimizer: str
    steps: int
    tokens: int
    recipe_rates: Rates
    suggested: Rates
    steepest: Rates
    largest: Rates
    diverged: Rates | None
    rule: str
    points: list[Measured]


def find_rates(
    recipe: Recipe,
    runs: Path,
    steps: int,
    decades: float,
    listeners: tuple[Listener, ...] = (),
    notify: Callable[[str], None] = lambda text: None,
) -> RateTest:
    """Train a few steps at rising rates, and suggest one.

    Args:
        recipe: With a stage `train`; new, from a base, or with adapters.
        runs: Where its tokens are, or will be.
        steps: So many rates.
        decades: Powers of ten between the lowest and the highest, around the recipe's own.

    Raises:
        UserError: the recipe trains nothing, an earlier stage fails, several processes were started, or the model
            learns at none of the rates.
    """
    if "train" not in recipe.stages:
        raise UserError("rates tests the stage train; add it to the recipe")
    if place_from(os.environ).world_size > 1:
        raise UserError("rates trains a few steps in one process; start it without torchrun")
    prepared, tokens = _tokens(recipe, runs, listeners)

    from glassmill.train.rate_test import factors, rising, smooth, suggest
    from glassmill.train.start import start_of

    train = prepared.train
    seed = prepared.seed if train.seed is None else train.seed
    start = start_of(train, seed, tokens, prepared.model)
    notify(f"{steps} steps of {start.batches.rows * start.batches.length:,} tokens at rising rates")
    quarter = max(1, steps // 4)
    points = rising(
        start,
        factors(steps, decades),
        lambda done: notify(f"{done} of {steps} steps") if done % quarter == 0 and done < steps else None,
    )
    found = suggest(points, steps)
    return {
        "recipe": recipe.name,
        "optimizer": train.optimizer,
        "steps": len(points),
        "tokens": len(points) * start.batches.rows * start.batches.length,
        "recipe_rates": _times(train, 1.0),
        "suggested": _times(train, found.factor, digits=2),
        "steepest": _times(train, found.steepest),
        "largest": _times(train, found.largest),
        "diverged": None if found.diverged is None else _times(train, found.diverged),
        "rule": RULE,
        "points": [
            {**_times(train, point.factor), "loss": round(point.loss, 5), "gain": round(gain, 5)}
            for point, (_, gain) in zip(points, smooth(points, steps), strict=True)
        ],
    }


def _tokens(recipe: Recipe, runs: Path, listeners: tuple[Listener, ...]) -> tuple[Recipe, Path]:
    """The recipe with its base model found, and its tokens run, made now or before."""
    prepared = ready(recipe, runs, "train")
    if "tokens" in prepared.given:
        return prepared, Path(prepared.given["tokens"])
    line = run_line(recipe, runs, listeners, "tokens")
    return prepared, line.folders["tokens"]


def _times(train: TrainSettings, factor: float, digits: int = 3) -> Rates:
    return {
        "peak_lr": float(f"{train.peak_lr * factor:.{digits}g}"),
        "embedding_lr": float(f"{train.embedding_lr * factor:.{digits}g}"),
    }


def rate_tables(test: RateTest) -> list[Table | str]:
    """The test for people: a row for every few steps, with a bar as long as the gain; and what follows from it."""
    table = Table(box=None, pad_edge=False)
    for name, justify in (("peak_lr", "right"), ("embedding_lr", "right"), ("loss", "right"), ("gain", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("")
    most = max(point["gain"] for point in test["points"])
    shown = _spread(test["points"])
    nearest = min(shown, key=lambda point: abs(point["peak_lr"] / test["suggested"]["peak_lr"] - 1))
    for point in shown:
        bar = "█" * round(BAR * max(0.0, point["gain"]) / most)
        table.add_row(
            f"{point['peak_lr']:.2g}",
            f"{point['embedding_lr']:.2g}",
            f"{point['loss']:.3f}",
            f"{point['gain']:.3f}",
            bar + (" < suggested" if point is nearest else ""),
        )
    suggested, own = test["suggested"], test["recipe_rates"]
    steepest, largest, end = test["steepest"]["peak_lr"], test["largest"]["peak_lr"], test["diverged"]
    parts = [
        "gain: how much lower the loss is than before the first step, on the same batch; smoothed",
        f"suggested: train.peak_lr={suggested['peak_lr']:g} train.embedding_lr={suggested['embedding_lr']:g}",
        f"the recipe has {own['peak_lr']:g} and {own['embedding_lr']:g}; the rule: {RULE}",
        f"the gain rises fastest at {steepest:.2g} and is largest at {largest:.2g}; "
        + (f"the model diverges at {end['peak_lr']:.2g}" if end else "the model bore all rates"),
    ]
    return [table, *parts]


def _spread(points: Sequence[Measured]) -> list[Measured]:
    """At most `ROWS` of them, first and last included."""
    if len(points) <= ROWS:
        return list(points)
    return [points[round(row * (len(points) - 1) / (ROWS - 1))] for row in range(ROWS)]
