"""What the page asks about windows and answers that a training learned from.

GET /api/runs/{stage}/{run}/window     a window that a step of that model's training read, with its losses
GET /api/runs/{stage}/{run}/rollouts   all answers of a round of rl, with rewards and advantages
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from glassmill.errors import UserError
from glassmill.foreign_json import load_json
from glassmill.recipe import load_recipe
from glassmill.run.finished import is_done
from glassmill.studio.routes import answer, run_folder
from glassmill.studio.watch import Watcher

if TYPE_CHECKING:
    from glassmill.trace.windows import WindowReader

_reading = ThreadPoolExecutor(1, "glassmill-windows")
"""One at a time: the model that says what a token costs now has one row."""


def window_routes(watcher: Watcher) -> APIRouter:
    """The routes over a runs folder."""
    router = APIRouter(prefix="/api/runs/{stage}/{run}")

    @router.get("/window")
    async def window(
        request: Request,
        stage: str,
        run: str,
        step: Annotated[int, Query(ge=1, lt=2**40)],
        row: Annotated[int, Query(ge=1, lt=2**40)] = 1,
    ) -> Response:
        folder = run_folder(watcher, stage, run)
        return await answer(request, _reading, lambda: _window(folder, step, row))

    @router.get("/rollouts")
    async def rollouts(request: Request, stage: str, run: str, step: Annotated[int, Query(ge=0, lt=2**40)]) -> Response:
        folder = run_folder(watcher, stage, run)
        return await answer(request, _reading, lambda: _rollouts(folder, step))

    return router


def _rollouts(folder: Path, step: int) -> object:
    """The groups of the round that this step learned from, without their ids."""
    number = step // load_recipe(folder / "recipe.toml").rl.updates
    path = folder / "rollouts" / f"round-{number:05d}.json"
    if not path.is_file():
        raise UserError(f"{folder.parent.name}/{folder.name} has no answers of round {number:,}")
    names = ("text", "calculations", "reward", "advantage")
    try:
        return {
            "groups": [
                {**group, "answers": [{name: answer[name] for name in names} for answer in group["answers"]]}
                for group in load_json(path)
            ]
        }
    except (KeyError, TypeError):
        raise UserError(f"{path} is damaged, or of another version") from None


def _window(folder: Path, step: int, row: int) -> object:
    if not is_done(folder):
        raise UserError(f"{folder.parent.name}/{folder.name} is not finished yet; its windows are shown when it is")
    return _reader(folder, (folder / "manifest.json").stat().st_mtime_ns).window(step, row)


@lru_cache(maxsize=1)
def _reader(folder: Path, finished_at: int) -> WindowReader:
    from glassmill.trace.origins import origin_of
    from glassmill.trace.windows import WindowReader

    return WindowReader(origin_of(folder), folder)
