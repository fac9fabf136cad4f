"""`POST /v1/responses`: OpenAI's newer form of a chat, translated to and from `/v1/chat/completions`.

Texts, instructions, functions, a JSON schema, and streams, as the official client reads them. Nothing is stored, so
`previous_response_id` and `conversation` are refused: a client sends the whole conversation.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from glassmill.errors import ApiError
from glassmill.infer.grounding import Documents
from glassmill.serve.bodies import apart, read, takes
from glassmill.serve.call_parts import Arguments, CallBegins, Part
from glassmill.serve.chat import Plan, begun, check_form, make_plan
from glassmill.serve.errors import from_validation, json_response
from glassmill.serve.events import event, event_stream
from glassmill.serve.provider import Provider, current_model
from glassmill.serve.schema import MAX_MESSAGES, ChatRequest
from glassmill.serve.work import Work

Json = dict[str, Any]
SAME = (
    "model",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "truncation",
    "user",
    "retrieval",
)
"""Fields that mean the same in a chat, but for the shape of a tool."""


class ResponseRequest(BaseModel):
    """`POST /v1/responses`."""

    model_config = ConfigDict(extra="allow", strict=True)

    input: str | list[dict[str, Any]] = Field(min_length=1, max_length=1 << 24)
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    text: dict[str, Any] | None = None
    truncation: str | None = None
    retrieval: bool | str | None = None
    stream: bool | None = None
    user: str | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None
    metadata: Any = None
    store: Any = None
    include: Any = None
    reasoning: Any = None


def add_responses(app: FastAPI, provider: Provider, documents: Documents | None = None) -> None:
    """Add the route; with `documents`, responses are answered from them."""

    @app.post("/v1/responses", openapi_extra=takes(ResponseRequest))
    async def responses(request: Request) -> Response:
        body = await read(request, ResponseRequest)
        chat = as_chat(body)
        params = chat.sampling()
        model = await current_model(provider, body.model, request)
        plan = await apart(request, make_plan, model, chat, params, documents)
        work = await begun(request, model, plan, 1, "input")
        answer = Answer(body, model.name, plan)
        if body.stream:
            return event_stream(_events(work, request, answer))
        async with work.watched(request):
            async for _, delta in work.deltas():
                for _ in answer.add(delta.text, delta.finish_reason):
                    pass
        check_form(plan.form)
        return json_response(answer.whole(work))


async def _events(work: Work, request: Request, answer: Answer) -> AsyncIterator[bytes]:
    number = 0

    def message(value: Json) -> bytes:
        nonlocal number
        number += 1
        return event({**value, "sequence_number": number - 1}, value["type"])

    async with work.watched(request):
        for kind in ("created", "in_progress"):
            yield message({"type": f"response.{kind}", "response": answer.whole(None)})
        try:
            async for _, delta in work.deltas():
                for value in answer.add(delta.text, delta.finish_reason):
                    yield message(value)
            check_form(answer.plan.form)
        except ApiError as error:
            told = error.body["error"]
            yield message({"type": "error", "code": told["code"], "message": told["message"], "param": told["param"]})
            return
        whole = answer.whole(work)
        yield message({"type": f"response.{whole['status']}", "response": whole})


class Answer:
    """A response as it grows: its items, and the events that tell of them."""

    def __init__(self, body: ResponseRequest, model: str, plan: Plan) -> None:
        self.body, self.model, self.plan = body, model, plan
        self.id, self.created = f"resp_{uuid.uuid4().hex}", int(time.time())
        self.items: list[Json] = []
        self.reason: str | None = None
        self._reader = plan.tools.reader() if plan.tools else None
        self._open = False

    def add(self, text: str, reason: str | None) -> Iterator[Json]:
        """More text, and the reason for which it ends, if it does; the events that this makes."""
        parts: list[Part] = [text] if text else []
        if self._reader is not None:
            parts = self._reader.push(text) + (self._reader.finish() if reason is not None else [])
        for part in parts:
            if isinstance(part, Arguments):
                yield from self._more("function_call_arguments", "arguments", part.text)
                continue
            if isinstance(part, CallBegins) or not self._open or self.items[-1]["type"] != "message":
                yield from self._close()
                yield from self._begin(part)
            if isinstance(part, str):
                yield from self._more("output_text", "text", part)
        if reason is not None:
            self.reason = reason
            if not self.items:
                yield from self._begin("")
            yield from self._close()

    def _begin(self, part: Part) -> Iterator[Json]:
        self._open = True
        if isinstance(part, CallBegins):
            item: Json = {"type": "function_call", "id": f"fc_{uuid.uuid4().hex}", "status": "in_progress"}
            item |= {"call_id": part.id, "name": part.name, "arguments": ""}
        else:
            item = {"type": "message", "id": f"msg_{uuid.uuid4().hex}", "status": "in_progress"}
            item |= {"role": "assistant", "content": []}
        self.items.append(item)
        yield {"type": "response.output_item.added", "output_index": len(self.items) - 1, "item": _copy(item)}
        if item["type"] == "message":
            item["content"].append({"type": "output_text", "text": "", "annotations": [], "logprobs": []})
            yield {"type": "response.content_part.added", **self._where(), "part": dict(item["content"][0])}

    def _more(self, kind: str, field: str, text: str) -> Iterator[Json]:
        item = self.items[-1]
        (item["content"][0] if field == "text" else item)[field] += text
        yield {"type": f"response.{kind}.delta", **self._where(), "delta": text, **self._logprobs()}

    def _close(self) -> Iterator[Json]:
        if not self._open:
            return
        self._open, item = False, self.items[-1]
        item["status"] = "incomplete" if self.reason == "length" else "completed"
        if item["type"] == "message":
            part = item["content"][0]
            yield {"type": "response.output_text.done", **self._where(), "text": part["text"], **self._logprobs()}
            yield {"type": "response.content_part.done", **self._where(), "part": dict(part)}
        else:
            told = {"name": item["name"], "arguments": item["arguments"]}
            yield {"type": "response.function_call_arguments.done", **self._where(), **told}
        yield {"type": "response.output_item.done", "output_index": len(self.items) - 1, "item": _copy(item)}

    def _where(self) -> Json:
        where: Json = {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1}
        return where | ({"content_index": 0} if self.items[-1]["type"] == "message" else {})

    def _logprobs(self) -> Json:
        return {"logprobs": []} if self.items[-1]["type"] == "message" else {}

    def whole(self, work: Work | None) -> Json:
        """The response so far; without `work` it has only begun."""
        cut = self.reason == "length"
        status = "in_progress" if work is None else "incomplete" if cut else "completed"
        body, usage = self.body, None
        if work is not None:
            count = work.usage(1)
            cached = sum(completion.num_cached for completion in work.completions)
            usage = {"input_tokens": count["prompt_tokens"], "input_tokens_details": {"cached_tokens": cached}}
            usage |= {"output_tokens": count["completion_tokens"], "output_tokens_details": {"reasoning_tokens": 0}}
            usage |= {"total_tokens": count["total_tokens"]}
        said = "".join(item["content"][0]["text"] for item in self.items if item["type"] == "message")
        citations = {"citations": self.plan.cite(said)} if work is not None and self.plan.cite else {}
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.model,
            "output": [_copy(item) for item in self.items],
            "usage": usage,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata if isinstance(body.metadata, dict) else {},
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": 1.0 if body.temperature is None else body.temperature,
            "text": body.text or {"format": {"type": "text"}},
            "tool_choice": body.tool_choice or "auto",
            "tools": body.tools or [],
            "top_p": 1.0 if body.top_p is None else body.top_p,
            "truncation": body.truncation or "disabled",
            **citations,
        }


# --- from a response's request to a chat's ----------------------------------------------------------------------------


def as_chat(body: ResponseRequest) -> ChatRequest:
    """The same request as a chat.

    Raises:
        ApiError: 400: It needs what is stored nowhere, or has an item that is no text, call or result.
    """
    for name in ("previous_response_id", "conversation", "background"):
        if getattr(body, name):
            why = "nothing is stored here: send the whole conversation as input"
            raise ApiError(400, f"{name} is not supported: {why}", param=name, code="unsupported_field")
    chat: Json = {name: getattr(body, name) for name in SAME if getattr(body, name) is not None}
    chat["messages"] = _messages(body)
    if body.max_output_tokens is not None:
        chat["max_completion_tokens"] = body.max_output_tokens
    if isinstance(form := (body.text or {}).get("format"), Mapping):
        inner = {key: value for key, value in form.items() if key != "type"}
        chat["response_format"] = {"type": form.get("type"), **({"json_schema": inner} if inner else {})}
    if body.tools is not None:
        chat["tools"] = [_nested(tool) for tool in body.tools]
    chat["tool_choice"] = _nested(body.tool_choice)
    try:
        return ChatRequest.model_validate(chat)
    except ValidationError as error:
        raise from_validation(error.errors(include_url=False)) from None


def _messages(body: ResponseRequest) -> list[Json]:
    messages: list[Json] = [{"role": "system", "content": body.instructions}] if body.instructions else []
    items: Sequence[Json] = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input
    if len(items) > MAX_MESSAGES:
        raise ApiError(400, f"input: {len(items)} items; at most {MAX_MESSAGES} are allowed", param="input")
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            if messages and messages[-1].get("tool_calls"):
                messages[-1]["tool_calls"].append(call)
            else:
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind == "function_call_output":
            output = _texts(item.get("output"))
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": output})
        elif kind == "message":
            messages.append({"role": item.get("role"), "content": _texts(item.get("content"))})
        elif kind != "reasoning":
            where = f"input.{number}"
            message = f"{where}: type {str(kind)[:40]!r} is not supported"
            raise ApiError(400, message, param=where, code="unsupported_field")
    return messages


def _texts(content: Any) -> Any:
    """Parts of type `input_text` and `output_text` are a chat's `text`; whatever else there is, the chat refuses."""
    if not isinstance(content, list):
        return content
    known = {"input_text": "text", "output_text": "text"}
    return [
        {"type": known.get(str(part.get("type")), part.get("type")), "text": part.get("text")}
        if isinstance(part, dict)
        else part
        for part in content
    ]


def _nested(tool: Any) -> Any:
    """A function whose fields stand beside its type, as a chat has it."""
    if not isinstance(tool, Mapping) or tool.get("type") != "function" or "function" in tool:
        return tool
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}


def _copy(item: Json) -> Json:
    return {key: [dict(part) for part in value] if isinstance(value, list) else value for key, value in item.items()}
