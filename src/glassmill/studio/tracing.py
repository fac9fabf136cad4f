"""What the page asks about where an answer's words come from: stretches with their pages, and a page's way.

    POST /api/runs/{stage}/{run}/trace   a text's stretches in the training documents of that run's model
    GET  /api/runs/{stage}/{run}/way     how a kept document of that corpus run passed its filters
    GET  /api/runs/{stage}/{run}/why     how all records of a URL fared in that corpus run
    GET  /api/runs/{stage}/{run}/html    a page's HTML, with what extraction took of it

The first text of a run makes its index, if the run is small enough to wait for that.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from glassmill.errors import UserError
from glassmill.studio.routes import answer, run_folder
from glassmill.studio.watch import Watcher

if TYPE_CHECKING:
    from glassmill.trace.origins import Origin
    from glassmill.trace.tracer import Tracer

MOST_UNASKED_TOKENS = 100_000_000
"""Runs with more tokens are indexed by the command alone: nobody waits minutes for a page."""
MAX_TEXT_CHARACTERS = 20_000
_searches = ThreadPoolExecutor(1, "glassmill-trace")
"""One at a time: an index is built once, and a search takes milliseconds."""


class TraceText(BaseModel):
    """A text to trace: an answer, or the part of it that somebody marked."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)
    pages: int = Field(5, ge=0, le=50, description="documents of each stretch")


def trace_routes(watcher: Watcher) -> APIRouter:
    """The routes over a runs folder."""
    router = APIRouter(prefix="/api/runs/{stage}/{run}")

    @router.post("/trace")
    async def trace(request: Request, stage: str, run: str, body: TraceText) -> Response:
        folder = run_folder(watcher, stage, run)
        return await answer(request, _searches, lambda: _traced(folder, body))

    @router.get("/way")
    async def way(
        request: Request,
        stage: str,
        run: str,
        shard: Annotated[str, Query(max_length=100)],
        row: Annotated[int, Query(ge=0, lt=2**31)],
    ) -> Response:
        folder = run_folder(watcher, stage, run)
        return await answer(request, _searches, lambda: _way(folder, shard, row))

    @router.get("/why")
    async def why(
        request: Request, stage: str, run: str, url: Annotated[str, Query(min_length=1, max_length=4000)]
    ) -> Response:
        folder = run_folder(watcher, stage, run)
        return await answer(request, _searches, lambda: _why(folder, url))

    @router.get("/html")
    async def html(
        request: Request,
        stage: str,
        run: str,
        source: Annotated[str, Query(max_length=1000)],
        offset: Annotated[int, Query(ge=0, lt=2**62)],
        url: Annotated[str, Query(min_length=1, max_length=4000)],
    ) -> Response:
        folder = run_folder(watcher, stage, run)
        return await answer(request, _searches, lambda: _html(folder, source, offset, url))

    return router


def _traced(folder: Path, body: TraceText) -> object:
    from glassmill.tokens.shards import read_index
    from glassmill.tokens.suffixes import build, is_built
    from glassmill.trace.origins import origin_of

    origin = origin_of(folder)
    if not is_built(origin.tokens):
        tokens = read_index(origin.tokens / "index.json")["train"]["tokens"]
        if tokens > MOST_UNASKED_TOKENS:
            command = f"glassmill trace {origin.tokens} --build"
            raise UserError(f"{tokens:,} training tokens have no index yet; this makes it, once: {command}")
        build(origin.tokens)
    return _tracer(origin).trace(body.text, body.pages)


@lru_cache(maxsize=2)
def _tracer(origin: Origin) -> Tracer:
    from glassmill.trace.tracer import Tracer

    return Tracer(origin)


def _way(folder: Path, shard: str, row: int) -> object:
    from glassmill.corpus.look.shown import shown
    from glassmill.corpus.look.ways import plain_way
    from glassmill.corpus.look.why import way_of

    return plain_way(way_of(folder, shard, row), shown(folder))


def _why(folder: Path, url: str) -> object:
    from glassmill.corpus.look.shown import shown
    from glassmill.corpus.look.ways import plain_way
    from glassmill.corpus.look.why import why

    show = shown(folder)
    return {"ways": [plain_way(way, show) for way in why(folder, url)]}


def _html(folder: Path, source: str, offset: int, url: str) -> object:
    from glassmill.corpus.look.cut_away import cut_away
    from glassmill.run.finished import read_manifest
    from glassmill.run.given import with_content

    webs = with_content(read_manifest(folder)["inputs"].get("web"), folder.parent.parent / "miniweb")
    pieces, text = cut_away(folder, next(webs, None), source, offset, url)
    return {"pieces": pieces, "text": text}
