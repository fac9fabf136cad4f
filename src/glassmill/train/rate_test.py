"""A rate range test: which learning rate suits a model and a text? (Smith 2015, arXiv 1506.01186, section 3.3.)

The model trains for some dozen steps while its rates rise from far too low to far too high. What counts is its gain:
the loss that the model had on a batch before the first step, less the loss of the model in training on the same batch.
So it doesn't matter how hard a batch is. The suggested rate is the one at which the gain rises fastest, but at most a
third of the one at which it is largest: beyond that, a model forgets as fast as it learns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from glassmill.errors import UserError
from glassmill.model.threads import pinned_threads
from glassmill.train.health import Watch
from glassmill.train.process import deterministic
from glassmill.train.start import Start
from glassmill.train.trainer import Trainer

WINDOWS = 8
"""A mean is taken over one in so many of all steps."""
SAFE = 1 / 3
"""Of the rate with the largest gain: what a rate may be at most."""
LOST, LOST_NATS = 0.25, 0.05
"""The test ends where this share of the largest gain is lost, and so much of it, nats per token: the model diverges."""


class Point(NamedTuple):
    """A step.

    Attributes:
        factor: Times the recipe's rates.
        loss: Nats per token, before the step.
        gain: See the module.
    """

    factor: float
    loss: float
    gain: float


class Suggestion(NamedTuple):
    """What the test says, as factors of the recipe's rates.

    Attributes:
        factor: The one to take.
        steepest, largest: Where the gain rises fastest, and where it is largest.
        diverged: Where the test ended before its time; None: the model bore all rates.
    """

    factor: float
    steepest: float
    largest: float
    diverged: float | None


def factors(steps: int, decades: float) -> list[float]:
    """Rising by the same factor each step, with 1 in the middle.

    >>> [round(factor, 2) for factor in factors(5, 2)]
    [0.1, 0.32, 1.0, 3.16, 10.0]
    """
    return [10 ** (decades * (number / (steps - 1) - 0.5)) for number in range(steps)]


def rising(start: Start, rates: Sequence[float], told: Callable[[int], None] = lambda done: None) -> list[Point]:
    """A step at each of the rates, until the model diverges.

    Args:
        start: What is trained, on what. Nothing of it is kept.
        rates: As factors of those in the settings.
        told: Hears how many steps are taken.
    """
    with pinned_threads(start.setup.device.threads), deterministic():
        settings = start.settings.model_copy(update={"average": 0.0})
        watch = Watch("rates", settings, start.config.vocab_size)
        model = start.model()
        watch.start(model)
        trainer = Trainer(model, start.batches, settings, start.setup, watch)
        before = [trainer.loss_now(step) for step in range(len(rates))]
        points: list[Point] = []
        for step, factor in enumerate(rates):
            try:
                loss = trainer.step(step, len(rates), factor=factor).loss
            except UserError:  # no finite number, or a loss far beyond guessing
                break
            points.append(Point(factor, loss, before[step] - loss))
            told(len(points))
            if diverges(points, len(rates)):
                break
    return points


def diverges(points: Sequence[Point], steps: int) -> bool:
    """Whether the newest gains are far below the largest."""
    window = _window(steps)
    means = [fmean(point.gain for point in points[at - window : at]) for at in range(window, len(points) + 1)]
    largest = max(means, default=0.0)
    return largest - (means or [0.0])[-1] > max(LOST * largest, LOST_NATS)


def suggest(points: Sequence[Point], steps: int) -> Suggestion:
    """The rate to take, from a test of so many steps.

    Raises:
        UserError: the model learns at none of the rates.
    """
    window = _window(steps)
    if len(points) <= 2 * window or max(gain for _, gain in smooth(points, steps)) <= 0:
        raise UserError(
            "the model learns at none of these rates; set rates that are lower or higher, more steps with --steps, or "
            "larger batches"
        )
    largest, _ = max(smooth(points, steps), key=lambda one: one[1])
    steepest = max(range(window, len(points) - window + 1), key=lambda at: _rise(points, at, window))
    at = math.sqrt(points[steepest - 1].factor * points[steepest].factor)
    diverged = points[-1].factor if len(points) < steps else None
    return Suggestion(min(at, SAFE * largest), at, largest, diverged)


def smooth(points: Sequence[Point], steps: int) -> Iterator[tuple[float, float]]:
    """Rate and mean gain of the steps around it."""
    reach = _window(steps) // 2
    for at, point in enumerate(points):
        yield point.factor, fmean(one.gain for one in points[max(0, at - reach) : at + reach + 1])


def _rise(points: Sequence[Point], at: int, window: int) -> float:
    """How much more the steps from `at` on gained than those before."""
    after, before = points[at : at + window], points[at - window : at]
    return fmean(point.gain for point in after) - fmean(point.gain for point in before)


def _window(steps: int) -> int:
    return max(1, steps // WINDOWS)
