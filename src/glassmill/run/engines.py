"""One shard function, three engines: which processes do a stage's shards, as the recipe's `run.executor` says.

    local   supervised child processes of this one, see `executors`
    ray     Ray tasks, each of which supervises one such child on its node, see `on_ray`
    slurm   tasks of an array job, each of which supervises such children on its machine, see `array`

Functions, tasks, limits and checks are the same, and so are the bytes that come out: a machine that would give others
refuses to work (see `resolved`). All machines see the folder of the runs and the inputs under the same paths.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from glassmill.recipe import RunSettings
from glassmill.run import executors
from glassmill.run.executors import Crew, Limits, OnEvent, OnResult, Result, Task
from glassmill.run.resolved import Check


def map_shards(
    engine: RunSettings,
    scratch: Path,
    function: str,
    tasks: Sequence[Task],
    workers: int = 0,
    *,
    on_event: OnEvent | None = None,
    on_result: OnResult | None = None,
    cpu_limit_s: float = 20.0,
    light: bool = False,
    check: Check | None = None,
    crew: Crew | None = None,
) -> list[Result]:
    """`function` on every task, on the engine of the recipe. See `executors.map_shards`, whose promises hold for all.

    Args:
        engine: The recipe's section `run`.
        scratch: A folder that all machines see, for what array tasks read and leave.
        light: Not worth a round of an array job: children of this process do it there.
        check: What every worker must find on its machine before it touches an item.
        crew: Children of this process, for what they do.

    Raises:
        Waiting: array tasks have to work first (slurm only).
    """
    limits: Limits = {
        "cpu_limit_s": cpu_limit_s,
        "worker_timeout_s": engine.worker_timeout_s,
        "memory_limit_mb": engine.worker_memory_mb if cpu_limit_s else 0,  # without the one, tasks have no items
    }
    if engine.executor == "ray":
        from glassmill.run.on_ray import map_on_ray

        return map_on_ray(engine.ray_address, function, tasks, workers, limits, on_event, on_result, check)
    if engine.executor == "slurm" and not light:
        from glassmill.run.array import lay_out

        return lay_out(scratch / "array", function, tasks, limits, check)
    return executors.map_shards(
        function, tasks, workers, on_event=on_event, on_result=on_result, check=check, crew=crew, **limits
    )


def release() -> None:
    """Ends what an engine keeps between two maps of one stage: a Ray of our own."""
    if "glassmill.run.on_ray" in sys.modules:
        sys.modules["glassmill.run.on_ray"].disconnect()
