"""Errors in OpenAI's form, so that its clients raise the right exception class.

{"error": {"message": ..., "type": ..., "param": ..., "code": ...}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from glassmill.errors import ApiError, ContextOverflow, EngineClosed, QueueFull, UserError


def error_response(error: ApiError) -> Response:
    """`error` as a whole HTTP response."""
    return json_response(error.body, error.status, error.headers)


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response, even if a client's strings contained lone surrogates."""
    return Response(to_json(value), status, headers, media_type="application/json")


def to_json(value: object) -> bytes:
    """Compact UTF-8 JSON on one line, even for clients that treat U+2028 or U+0085 as a line break."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for mark in "" if text.isascii() else "\u0085\u2028\u2029":
            text = text.replace(mark, f"\\u{ord(mark):04x}")
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def from_engine(error: BaseException, prompt_field: str | None = None) -> ApiError:
    """What the engine raised, as a response; `prompt_field` is the request's field with the prompt."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UserError):
        return ApiError(400, str(error), param=prompt_field)
    if isinstance(error, ContextOverflow):
        return ApiError(400, str(error), param=prompt_field, code="context_length_exceeded")
    if isinstance(error, QueueFull):
        return ApiError(429, str(error), code="queue_full", headers={"Retry-After": "2"})
    if isinstance(error, EngineClosed):
        return ApiError(503, str(error), code="closed")
    if isinstance(error, ValueError):
        return ApiError(400, str(error), param=str(error).split(" ", 1)[0] if " = " in str(error) else None)
    return ApiError(500, "the model failed on this request; see the server's log", code="internal_error")


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` take this form."""

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> Response:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return error_response(from_validation(error.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        message = str(error.detail)
        if error.status_code == 404 and message == "Not Found":
            message = f"not found: {request.url.path}"
        return error_response(ApiError(error.status_code, message, headers=error.headers))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        return error_response(from_engine(RuntimeError()))  # the server has logged the traceback


def from_validation(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The first of pydantic's errors, with the name of the field."""
    first = errors[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    param = ".".join(where) or None
    if first["type"] == "json_invalid":
        return ApiError(400, f"the body is not valid JSON: {first.get('ctx', {}).get('error', first['msg'])}")
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return ApiError(400, f"{param}: {message}" if param else f"the body: {message}", param=param, code="invalid_value")
