"""What the page requests: lines, their events as they happen, documents with reasons, tokens of a text.

All routes are under `/api` and send JSON or a stream of server-sent events. The watcher checks every name in an address
before it becomes part of a path.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from glassmill.errors import ApiError, UserError
from glassmill.run.events import parse_json
from glassmill.serve.bodies import leaving
from glassmill.serve.errors import json_response, to_json
from glassmill.studio.documents import Which, page_of_documents, values_of_rule
from glassmill.studio.watch import Line, Position, Update, Watcher
from glassmill.studio.words import all_words

if TYPE_CHECKING:
    from glassmill.tokens.tokenizer import Tokenizer

POLL_SECONDS = 0.25
BEAT_SECONDS = 2.0
MAX_EVENTS_PER_MESSAGE = 2000
_searches = ThreadPoolExecutor(2, "glassmill-search")
"""Searches read whole shards; more at once would leave no worker for what is quick."""
MAX_FILE_BYTES = 8 << 20
MAX_TEXT_CHARACTERS = 20_000
FILES = frozenset({"stats.json", "report.json", "answers.json", "plan.json", "meta.json", "manifest.json"})


class Text(BaseModel):
    """A text whose tokens the page wants to see."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=MAX_TEXT_CHARACTERS)
    run: str | None = Field(None, max_length=300, description="a tokenizer run; none: the served model's tokenizer")


class Token(BaseModel):
    """A token whose merges the page wants to see."""

    model_config = ConfigDict(extra="forbid")

    id: int = Field(ge=0, lt=1 << 32)
    run: str | None = Field(None, max_length=300, description="as in `Text`")


def run_routes(watcher: Watcher) -> APIRouter:
    """The routes over a runs folder."""
    router = APIRouter(prefix="/api")

    @router.get("/words")
    def words() -> Response:
        return json_response(all_words())

    @router.get("/lines")
    def lines() -> Response:
        return json_response({"lines": watcher.lines(), "now": time.time()})

    @router.get("/events")
    async def events(
        request: Request,
        line: Annotated[str, Query(max_length=200)],
        last_event_id: Annotated[str | None, Header(max_length=8000)] = None,
    ) -> Response:
        if await asyncio.to_thread(watcher.line, line) is None:
            raise ApiError(404, f"no line named {line!r} in the runs folder")
        stream = _stream(request, watcher, line, _parse_position(last_event_id))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.get("/runs/{stage}/{run}/documents")
    async def documents(
        request: Request,
        stage: str,
        run: str,
        which: Which = "dropped",
        page: Annotated[int, Query(ge=0, le=100_000)] = 0,
        step: Annotated[str, Query(max_length=500)] = "",
        rule: Annotated[str, Query(max_length=500)] = "",
        words: Annotated[str, Query(max_length=100)] = "",
        masked: Annotated[str, Query(max_length=100)] = "",
    ) -> Response:
        folder = run_folder(watcher, stage, run)
        wanted = (which, page, step, rule, words, masked)
        return await answer(request, _searches, lambda: page_of_documents(folder, *wanted))

    @router.get("/runs/{stage}/{run}/values")
    async def values(
        request: Request,
        stage: str,
        run: str,
        step: Annotated[str, Query(max_length=500)],
        rule: Annotated[str, Query(max_length=500)],
    ) -> Response:
        folder = run_folder(watcher, stage, run)
        return await answer(request, _searches, lambda: {"values": values_of_rule(folder, step, rule)})

    @router.get("/runs/{stage}/{run}/files/{name}")
    def file(stage: str, run: str, name: str) -> Response:
        path = run_folder(watcher, stage, run) / name
        if name not in FILES or not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            raise ApiError(404, f"{stage}/{run} has no {name[:60]!r} to show")
        return json_response(parse_json(path.read_bytes()))

    return router


def tokenizer_routes(watcher: Watcher | None, model: Path | None) -> APIRouter:
    """The routes that split a text into tokens, with a run's tokenizer or the served model's."""
    router = APIRouter(prefix="/api")

    def chosen(run: str | None) -> tuple[Path, Tokenizer]:
        folder = watcher.run_folder(run) if watcher is not None and run else model
        if folder is None:
            raise ApiError(404, f"no tokenizer run named {run!r}")
        try:
            return folder, _load_tokenizer(folder)
        except (UserError, OSError) as error:
            raise ApiError(409, f"this tokenizer is not ready yet ({error})") from None

    @router.post("/tokenizer/explain")
    def explain(body: Text) -> Response:
        folder, tokenizer = chosen(body.run)
        tokens = tokenizer.explain(body.text)
        parts = _parts_of(folder)
        rows = [{**token, **parts.get(token["id"], {})} for token in tokens]
        num_bytes = tokens[-1]["end"] if tokens else 0
        return json_response({"tokens": rows, "bytes": num_bytes, "vocab_size": tokenizer.vocab_size})

    @router.post("/tokenizer/tree")
    def tree(body: Token) -> Response:
        from glassmill.tokens.explain import merge_tree

        try:
            return json_response(merge_tree(chosen(body.run)[1], body.id))
        except ValueError as error:
            raise ApiError(404, str(error)) from None

    return router


async def _stream(request: Request, watcher: Watcher, name: str, position: Position | None) -> AsyncIterator[bytes]:
    """Server-sent events of one line: its kept history first, then new ones, and a heartbeat when there are none."""
    shown: Line | None = None
    last_sent = 0.0
    stopping: Callable[[], bool] = getattr(request.app.state, "stopping", lambda: False)
    while not stopping() and not await request.is_disconnected():
        update = await asyncio.to_thread(watcher.look, name, position)
        if update is None:
            break
        position = update.position
        now = time.monotonic()
        if update.events or update.forget or update.line != shown:
            for message in await asyncio.to_thread(_messages, update):
                yield message
            shown, last_sent = update.line, now
        elif now - last_sent >= BEAT_SECONDS:
            yield b"event: beat\ndata: " + to_json({"now": time.time()}) + b"\n\n"
            last_sent = now
        await asyncio.sleep(POLL_SECONDS)


def _messages(update: Update) -> list[bytes]:
    """`update` as messages; only the last has the position, so that a lost connection repeats rather than skips."""
    events = update.events
    parts = [events[i : i + MAX_EVENTS_PER_MESSAGE] for i in range(0, len(events), MAX_EVENTS_PER_MESSAGE)] or [[]]
    messages = []
    for i, part in enumerate(parts):
        body: dict[str, object] = {"now": time.time(), "events": [event.to_json() for event in part]}
        if i == 0:
            body |= {"line": update.line, "forget": update.forget}
        identity = f"id: {_format_position(update.position)}\n".encode() if i == len(parts) - 1 else b""
        messages.append(b"event: update\n" + identity + b"data: " + to_json(body) + b"\n\n")
    return messages


def _format_position(position: Position) -> str:
    return ",".join(f"{run}={offset}" for run, offset in position.items())


def _parse_position(text: str | None) -> Position | None:
    """What `_format_position` wrote; None (start from the beginning) for anything else."""
    position: Position = {}
    for part in (text or "").split(","):
        run, _, offset = part.partition("=")
        if not offset.isascii() or not offset.isdigit() or len(offset) > 18:
            return None
        position[run] = int(offset)
    return position


async def answer(request: Request, pool: Executor, work: Callable[[], object]) -> Response:
    """What `work` returns, as JSON. It is done when `pool` has time, unless its reader has gone on by then.

    Raises:
        ApiError: 409: `work` raised a `UserError`, in its words; 499: nobody waits.
    """

    def turn() -> Response:
        if gone():
            raise ApiError(499, "the reader has gone on before its turn came")
        return json_response(work())

    async with leaving(request) as gone:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, turn)
        except UserError as error:
            raise ApiError(409, str(error)) from None


def run_folder(watcher: Watcher, stage: str, run: str) -> Path:
    """The folder of a run, from its address.

    Raises:
        ApiError: 404: there is none.
    """
    folder = watcher.run_folder(f"{stage}/{run}")
    if folder is None:
        raise ApiError(404, f"no run named {stage[:60]}/{run[:120]!r}")
    return folder


@lru_cache(maxsize=4)
def _load_tokenizer(folder: Path) -> Tokenizer:
    from glassmill.tokens.tokenizer import Tokenizer  # imported here, because the page opens without it

    return Tokenizer.load(folder)


@lru_cache(maxsize=4)
def _parts_of(folder: Path) -> dict[int, dict[str, str]]:
    """The two pieces that formed each token of a tokenizer run; empty for a tokenizer without a history."""
    path = folder / "merges.jsonl"
    if not path.is_file():
        return {}
    rows = (json.loads(line) for line in path.read_bytes().splitlines())
    return {row["rank"]: {"left": row["left"], "right": row["right"]} for row in rows}
