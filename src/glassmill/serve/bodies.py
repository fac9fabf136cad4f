"""From a request's bytes to what an endpoint takes, without holding up the streams of others.

Short work is done where it is; what grows with the body (parsing, rendering, encoding) is done in a worker thread, and
two workers take everything that is long, so that many long requests wait for each other and not others for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from glassmill.errors import ApiError
from glassmill.serve.errors import from_validation
from glassmill.serve.fields import check_fields

LONG_BYTES = 64_000
"""From here on a body is long."""
_long = ThreadPoolExecutor(2, "glassmill-long")

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")


async def read(request: Request, kind: type[Body]) -> Body:
    """The request's JSON body as `kind`.

    Raises:
        ApiError: 400: it is not valid JSON, or a field is unknown, missing or of the wrong type.
    """
    media = request.headers.get("content-type", "application/json")
    if "json" not in media.lower():
        raise ApiError(400, f"the body is {media[:100]!r}; send JSON, with Content-Type: application/json")
    raw = await request.body()
    body = await apart(request, _parsed, raw, kind) if len(raw) > LONG_BYTES else _parsed(raw, kind)
    check_fields(body.model_extra or {}, kind.model_fields)
    return body


def takes(kind: type[BaseModel]) -> dict[str, Any]:
    """What `/openapi.json` says of a route whose body is `kind`: for generated clients, and for fuzzers."""
    schema = kind.model_json_schema()
    shared = schema.pop("$defs", {})
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _inlined(schema, shared)}}}}


def _inlined(value: Any, shared: dict[str, Any]) -> Any:
    """A schema in which every reference is replaced by what it means."""
    if isinstance(value, list):
        return [_inlined(one, shared) for one in value]
    if not isinstance(value, dict):
        return value
    if name := str(value.get("$ref", "")).removeprefix("#/$defs/"):
        return _inlined(shared[name], shared)
    return {key: _inlined(one, shared) for key, one in value.items()}


async def apart(request: Request, function: Callable[..., T], *arguments: object) -> T:
    """`function(*arguments)` in a worker thread: in one of few, if the request is long."""
    if len(await request.body()) > LONG_BYTES:
        return await asyncio.get_running_loop().run_in_executor(_long, function, *arguments)
    return await run_in_threadpool(function, *arguments)


@contextlib.asynccontextmanager
async def leaving(request: Request) -> AsyncIterator[Callable[[], bool]]:
    """Whether the client of `request`, whose body was read, has left; to be asked from any thread."""
    left = threading.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left.set()

    watcher = asyncio.create_task(watch())
    try:
        yield left.is_set
    finally:
        watcher.cancel()


def _finite(text: str) -> float:
    """A number of JSON's; Python's reader knows NaN and infinities besides, which no answer can repeat."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is not a number of JSON, or too large")
    return value


def _parsed(raw: bytes, kind: type[Body]) -> Body:
    try:
        value = json.loads(raw, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ApiError(400, "the body is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ApiError(400, f"the body is not valid JSON: {str(error).partition(';')[0]}") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body: must be a JSON object", code="invalid_value")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise from_validation(error.errors(include_url=False)) from None
    except RecursionError:
        raise ApiError(400, "the body: it is nested too deeply", code="invalid_value") from None
