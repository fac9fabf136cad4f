"""Server-sent events, the form in which OpenAI streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse

from glassmill.serve.errors import to_json

DONE = b"data: [DONE]\n\n"


def event(value: Mapping[str, object], name: str | None = None) -> bytes:
    """A message with JSON, with a name where the client listens for names."""
    return (b"" if name is None else f"event: {name}\n".encode()) + b"data: " + to_json(value) + b"\n\n"


def event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """A response that sends messages as they come."""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
