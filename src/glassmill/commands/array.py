"""`glassmill corpus RECIPE --task I --tasks N`: one task of an array job, over the shards that the stage laid out."""

from __future__ import annotations

import json
import time
from pathlib import Path

from glassmill.commands.terminal import Screen
from glassmill.errors import UserError
from glassmill.recipe import Recipe
from glassmill.run.array import run_array_task
from glassmill.run.events import Entry
from glassmill.run.finished import is_done
from glassmill.run.states import line_file_of


def run_task(recipe: Recipe, stage: str, runs: Path, task: int | None, num_tasks: int | None) -> dict[str, int]:
    """Does this task's shards of `stage`, in the run folder that the recipe's line is at.

    Returns:
        `shards` (this task's own) and `done_now`. None of a finished run: jobs that are submitted again after a failure
        may reach its end before their last one.

    Raises:
        UserError: one of the two options is missing, or no shards are laid out.
    """
    if task is None or num_tasks is None:
        raise UserError("give both --task and --tasks: --task 0 --tasks 16 is the first of sixteen")
    folder = _folder(recipe, stage, runs)
    if is_done(folder):
        return {"shards": 0, "done_now": 0}
    workers: int = getattr(recipe, stage).workers
    with Screen() as screen:
        done_now, own = run_array_task(
            folder / "work" / "array",
            task,
            num_tasks,
            workers,
            on_event=lambda event: screen(Entry(time.time(), stage, event)),
        )
    return {"shards": own, "done_now": done_now}


def _folder(recipe: Recipe, stage: str, runs: Path) -> Path:
    """The stage's run folder, from the line file: tasks do not hash the inputs, perhaps terabytes, again."""
    path = line_file_of(runs, recipe)
    try:
        stages = json.loads(path.read_text(encoding="utf-8"))["stages"]
        folders = {str(entry["stage"]): entry["run"] for entry in stages}
    except FileNotFoundError:
        folders = {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); run glassmill {stage} RECIPE again") from None
    if folders.get(stage):
        return runs / str(folders[stage])
    raise UserError(
        f"{stage} of {recipe.name} with these settings has not started in {runs}; first run, with the same ones: "
        f"glassmill {stage} RECIPE run.executor=slurm"
    )
