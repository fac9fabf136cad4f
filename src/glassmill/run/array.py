"""Shards as tasks of an array job (Slurm, Kubernetes, a shell loop): files in a shared folder, no scheduler of our own.

The stage's own process lays the shards out in `<scratch>/array/open.json` and ends. Array task `i` of `n` does the
shards i, i + n, i + 2n, ... in supervised children and leaves a file for each. The stage's process, called again,
checks that all are there and continues, to its next layout or to its end. Every step may be killed or repeated: what is
done is skipped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from glassmill.errors import UserError, Waiting
from glassmill.run.executors import Limits, OnEvent, Result, Task, map_shards
from glassmill.run.files import atomic_json
from glassmill.run.resolved import Check
from glassmill.run.shards import folder_of

NAMED_SHARDS = 12


class Layout(TypedDict):
    """`open.json`: what array tasks are to do, where their results go, and what their machines must be like."""

    function: str
    limits: Limits
    check: Check | None
    tasks: list[Task]
    results: str


def lay_out(
    folder: Path, function: str, tasks: Sequence[Task], limits: Limits, check: Check | None = None
) -> list[Result]:
    """The results of all array tasks, in the order of `tasks`, if they are complete; otherwise lays out the tasks.

    Raises:
        Waiting: the tasks have just been laid out, or none is done yet.
        UserError: some are done and others are not.
    """
    place = folder / _results_name(function, tasks)
    layout: Layout = {
        "function": function,
        "limits": limits,
        "check": check,
        "tasks": list(tasks),
        "results": place.name,
    }
    known = _read(folder / "open.json") == json.loads(json.dumps(layout))  # JSON knows no tuples
    results = [_read(_result(place, index)) for index in range(len(tasks))]
    missing = [index for index, result in enumerate(results) if result is None]
    name = function.rpartition(":")[2]
    if not missing:
        return [result for result in results if result is not None]
    if not known:
        atomic_json(folder / "open.json", layout)
    if not known or len(missing) == len(tasks):
        raise Waiting(
            f"{name}: {len(tasks)} shards wait for array tasks (--task I --tasks N); then run this command again"
        )
    some = ", ".join(map(str, missing[:NAMED_SHARDS])) + (", ..." if len(missing) > NAMED_SHARDS else "")
    raise UserError(
        f"{name}: {len(missing)} of {len(tasks)} shards are not done: {some}; "
        "run the same array tasks again (what is done is skipped), or this command with run.executor=local"
    )


def run_array_task(
    folder: Path,
    task: int,
    num_tasks: int,
    workers: int = 0,
    on_event: OnEvent | None = None,
) -> tuple[int, int]:
    """Does the shards of array task `task` (from 0) of `num_tasks`.

    Returns:
        How many shards it did now, and how many are its own.

    Raises:
        UserError: no such task, nothing is laid out, or this machine would give other bytes than the run's.
    """
    if not 0 <= task < num_tasks:
        raise UserError(f"--task {task} --tasks {num_tasks}: tasks are numbered from 0, below --tasks")
    layout: Layout | None = _read(folder / "open.json")
    if layout is None:
        raise UserError(f"no shards are laid out in {folder}; first run the stage with run.executor=slurm")
    results = folder / layout["results"]
    own = range(task, len(layout["tasks"]), num_tasks)
    left = [index for index in own if not _result(results, index).exists()]
    map_shards(
        layout["function"],
        [layout["tasks"][index] for index in left],
        workers,
        on_event=on_event,
        on_result=lambda place, result: atomic_json(_result(results, left[place]), result),
        check=layout["check"],
        **layout["limits"],
    )
    return len(left), len(own)


def _results_name(function: str, tasks: Sequence[Task]) -> str:
    """The folder of the results: other tasks have others."""
    digest = hashlib.sha256(json.dumps([function, tasks], sort_keys=True).encode()).hexdigest()
    return f"{function.rpartition(':')[2]}-{digest[:12]}"


def _result(folder: Path, index: int) -> Path:
    return folder / f"{folder_of(index)}{index:06d}.json"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
