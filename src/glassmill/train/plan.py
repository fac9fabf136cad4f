"""How many steps a run takes: given, or measured once so that it ends when the time is up, or the smaller of the two.

The plan is written before the first step. From then on the run is an ordinary one of that many steps: killed and run
again, it reads the plan instead of measuring, and ends with the same weights on the same number of threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import torch

from glassmill.errors import UserError
from glassmill.run.folder import RunFolder

PLAN = "plan.json"
MARGIN = 0.97
"""Share of the box that is planned for; the rest is for reports and checkpoints."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rerun must know to give the same bits; `step_seconds` is 0 where nothing was measured."""

    steps: int
    threads: int
    dtype: str
    step_seconds: float

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as torch knows it."""
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[self.dtype]


def read_plan(run: RunFolder) -> Plan | None:
    """The plan of an earlier attempt in this run folder."""
    path = run.path / PLAN
    return Plan(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def make_plan(
    run: RunFolder,
    minutes: float | None,
    steps: int | None,
    measure_seconds: float,
    dtype: str,
    trial_step: Callable[[int], object],
) -> Plan:
    """Decide the number of steps and write it down.

    Args:
        minutes: The time box, if there is one; what measuring takes is part of it.
        steps: The number of steps, or the most that a time box may hold.
        measure_seconds: How long to measure.
        dtype: Of matrix products, for the record.
        trial_step: Does step i of a throw-away run.

    Raises:
        UserError: neither minutes nor steps are given.
    """
    if minutes is None and steps is None:
        raise UserError("minutes and steps are both none: give one of the two, or both")
    seconds = 0.0
    if minutes is not None:
        begin = time.perf_counter()
        seconds = _step_seconds(trial_step, min(measure_seconds, 0.1 * 60 * minutes))
        left = MARGIN * 60 * minutes - (time.perf_counter() - begin)
        fitting = max(1, int(left / seconds))
        steps = fitting if steps is None else min(steps, fitting)
    assert steps is not None
    plan = Plan(steps, torch.get_num_threads(), dtype, round(seconds, 6))
    run.write_json(PLAN, asdict(plan))
    return plan


def _step_seconds(trial_step: Callable[[int], object], budget: float) -> float:
    """Median seconds of a step after the first, from as many steps as `budget` seconds allow, at least two."""
    begin, times = time.perf_counter(), list[float]()
    while len(times) < 2 or time.perf_counter() - begin < budget:
        start = time.perf_counter()
        trial_step(len(times))
        times.append(time.perf_counter() - start)
    return median(times[1:])
