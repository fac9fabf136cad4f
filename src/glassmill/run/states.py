"""How far a stage or a line is: the words that the line file, the studio and the page share.

`runs/lines/<recipe>-<digest>.json` holds one `LineFile`, written by `glassmill.run.line` and replaced whole at every
change. Every variant of a recipe has its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from glassmill.recipe import Recipe

State = Literal["waiting", "running", "done", "skipped", "failed"]
"""Of a stage. `waiting`: not started, or waiting for array tasks. `skipped`: done by an earlier command."""

FINISHED: frozenset[State] = frozenset({"done", "skipped"})


class StageState(TypedDict):
    """One stage of a line; `run` is its folder, relative to the runs folder, once it has one."""

    stage: str
    status: State
    run: str | None


class LineFile(TypedDict):
    """One command's progress through a recipe; `started` in seconds since 1970."""

    recipe: str
    status: State
    started: float
    stages: list[StageState]
    model: str | None
    error: str | None


def line_file_of(runs: Path, recipe: Recipe) -> Path:
    """The file of a recipe's line. Another setting that decides what comes out is another line; how the work is done
    (`run.executor`, numbers of workers) is not."""
    return runs / "lines" / f"{recipe.name}-{recipe.digest()[:6]}.json"


def lock_of(line_file: Path) -> Path:
    """The lock that a running line holds beside its file."""
    return line_file.with_suffix(".lock")
