"""What the page asks about runs as such, and the one thing that it may change: their end.

    GET  /api/runs            all runs with state, numbers and disk use; the lines, with the runs of their stages
    GET  /api/runs/compare    finished runs of one stage side by side
    POST /api/runs/delete     what would go with some runs; they go if that is what the reader confirmed

The guard covers the last like every route: no page of another server reaches it, and nobody without the key.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from glassmill.errors import ApiError, UserError
from glassmill.run.listing import compare, delete, list_runs
from glassmill.serve.errors import json_response
from glassmill.studio.watch import Watcher

RunName = Annotated[str, Field(max_length=300)]


class Ending(BaseModel):
    """Runs to delete, and what the reader was told would go; without it, nothing does."""

    model_config = ConfigDict(extra="forbid")

    runs: list[RunName] = Field(min_length=1, max_length=100)
    confirmed: list[RunName] | None = Field(None, max_length=10_000)


def listing_routes(watcher: Watcher) -> APIRouter:
    """The routes over a runs folder."""
    router = APIRouter(prefix="/api/runs")

    def paths(names: list[str]) -> list[str]:
        """Their folders, so that a name stands for a run of this folder only."""
        folders = {name: watcher.run_folder(name) for name in names}
        unknown = next((name for name, folder in folders.items() if folder is None), None)
        if unknown is not None:
            raise ApiError(404, f"no run named {unknown[:180]!r}")
        return [str(folder) for folder in folders.values()]

    @router.get("")
    def runs() -> Response:
        lines = [line for listed in watcher.lines() if (line := watcher.line(listed["name"])) is not None]
        found = list_runs(watcher.runs) if watcher.runs.is_dir() else {"runs": [], "bytes": 0, "layers": 0}
        return json_response({**found, "lines": lines})

    @router.get("/compare")
    def side_by_side(run: Annotated[list[str], Query(min_length=2, max_length=10)]) -> Response:
        try:
            return json_response(compare(paths(run), watcher.runs))
        except UserError as error:
            raise ApiError(409, str(error)) from None

    @router.post("/delete")
    def end(body: Ending) -> Response:
        chosen = paths(body.runs)
        try:
            told = delete(chosen, watcher.runs, really=False)
            if body.confirmed is None:
                return json_response(told)
            if sorted(body.confirmed) != sorted(one["run"] for one in told["runs"]):
                raise UserError("other runs depend on these now than when you were asked; look again")
            return json_response(delete(chosen, watcher.runs, really=True))
        except UserError as error:
            raise ApiError(409, str(error)) from None

    return router
