"""`glassmill corpus RECIPE --task I --tasks N`: one task of an array job, over the shards that the stage laid out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from glassmill.commands.terminal import Screen
from glassmill.errors import UserError
from glassmill.recipe import Recipe
from glassmill.run.array import run_array_task
from glassmill.run.events import Entry


def run_task(recipe: Recipe, stage: str, runs: Path, task: int | None, num_tasks: int | None) -> dict[str, Any]:
    """Does this task's shards of `stage`, in the run folder where the recipe's line stands.

    Returns:
        `shards` (this task's own) and `done_now`.

    Raises:
        UserError: half of the options, or nothing is laid out.
    """
    if task is None or num_tasks is None:
        raise UserError("--task and --tasks go together: --task 0 --tasks 16 is the first of sixteen")
    folder = _folder(recipe, stage, runs) / "work" / "array"
    workers: int = getattr(recipe, stage).workers
    with Screen() as screen:
        done_now, own = run_array_task(
            folder,
            task,
            num_tasks,
            workers,
            on_event=lambda event: screen(Entry(time.time(), stage, event)),
        )
    return {"shards": own, "done_now": done_now}


def _folder(recipe: Recipe, stage: str, runs: Path) -> Path:
    """Where the line's last call left the stage; the inputs, perhaps terabytes, are not hashed again by every task."""
    try:
        status = json.loads((runs / "lines" / f"{recipe.name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        status = {"stages": []}
    for entry in status["stages"]:
        if entry["stage"] == stage and entry["run"]:
            return runs / str(entry["run"])
    raise UserError(
        f"{stage} of {recipe.name} has not begun in {runs}; first: glassmill {stage} RECIPE run.executor=slurm"
    )
