"""From messages as OpenAI's clients send them to those that `glassmill.tokens.chat` renders.

An answer that used the calculator has plain `content`, and the uses in a field of their own:

    {"role": "assistant", "content": "That is 84.",
     "tool_uses": [{"name": "calculator", "arguments": "12*7", "result": "84", "at": 0}]}

`at` is the number of characters of `content` before the use. Sent back unchanged, such a message becomes exactly the
tokens that the model wrote. (`tool_calls` would ask the client to compute; here the engine already has.)

Where the model's template has tools, an answer may have `tool_calls`, and messages of role `tool` say what they gave.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from glassmill.errors import ApiError
from glassmill.infer.compose import ToolUse
from glassmill.serve.fields import MAX_NAME_CHARACTERS, tell_ignored
from glassmill.serve.shapes import ToolUseShape

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
IGNORED = {
    "name",
    "refusal",
    "annotations",
    "audio",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "reasoning_content",
    "id",
    "status",
}
MAX_TOOL_USES = 100
MAX_CALLS = 128


class InternalMessage(TypedDict):
    """A message as `glassmill.tokens.chat` takes it."""

    role: str
    content: str | list[dict[str, str]] | None
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


def to_internal(messages: Sequence[Mapping[str, object]], with_tools: bool = False) -> list[InternalMessage]:
    """The messages in glassmill's form. `with_tools`: the model's template has tools.

    Raises:
        ApiError: An unknown role, or content that is not text.
    """
    return [_message(message, f"messages.{number}", with_tools) for number, message in enumerate(messages)]


def tool_uses(parts: Sequence[str | ToolUse]) -> list[ToolUseShape]:
    """The uses of the calculator among the parts of a reply."""
    uses: list[ToolUseShape] = []
    at = 0
    for part in parts:
        if isinstance(part, str):
            at += len(part)
        else:
            uses.append(tool_use(part, at))
    return uses


def tool_use(use: ToolUse, at: int) -> ToolUseShape:
    """One use, `at` characters into the content."""
    return {"name": "calculator", "arguments": use.expression, "result": use.result, "at": at}


def _message(message: Mapping[str, object], where: str, with_tools: bool) -> InternalMessage:
    role = message.get("role")
    if with_tools and (role == "tool" or (role == "assistant" and message.get("tool_calls"))):
        return _with_calls(message, where) if role == "assistant" else _result(message, where)
    if not isinstance(role, str) or role not in ROLES:
        raise ApiError(400, f"{where}.role = {role!r}: must be one of {', '.join(ROLES)}", param=f"{where}.role")
    for name, value in message.items():
        if name in ("role", "content", "tool_uses"):
            continue
        if name not in IGNORED:
            tell_ignored(f"messages.{name[:MAX_NAME_CHARACTERS]}")
        if value and name in ("audio", "tool_calls", "function_call"):
            raise ApiError(400, f"{where}.{name} is not supported", param=f"{where}.{name}", code="unsupported_field")
    uses = message.get("tool_uses")
    if uses is None:
        return {"role": ROLES[role], "content": _content(message.get("content"), f"{where}.content")}
    text = "".join(part["text"] for part in _text_parts(message.get("content"), f"{where}.content"))
    return {"role": ROLES[role], "content": _with_uses(text, uses, f"{where}.tool_uses")}


def _result(message: Mapping[str, object], where: str) -> InternalMessage:
    """What a tool gave."""
    made: InternalMessage = {"role": "tool", "content": _plain(message.get("content"), f"{where}.content")}
    if isinstance(identity := message.get("tool_call_id"), str):
        made["tool_call_id"] = identity
    if isinstance(name := message.get("name"), str):
        made["name"] = name
    return made


def _with_calls(message: Mapping[str, object], where: str) -> InternalMessage:
    """An answer that calls tools. Templates write arguments as JSON themselves, so they get the object."""
    calls, made = message.get("tool_calls"), list[dict[str, Any]]()
    if not isinstance(calls, list) or len(calls) > MAX_CALLS:
        raise ApiError(400, f"{where}.tool_calls: must be a list of at most {MAX_CALLS} calls", param=where)
    for number, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            name = f"{where}.tool_calls.{number}"
            raise ApiError(400, f"{name}: needs a function with a name", param=name, code="invalid_value")
        known = {"name": function["name"], "arguments": _parsed_arguments(function.get("arguments"))}
        made.append({"id": str(call.get("id") or f"call_{number}"), "type": "function", "function": known})
    content = message.get("content")
    text = None if content is None else _plain(content, f"{where}.content")
    return {"role": "assistant", "content": text or None, "tool_calls": made}


def _parsed_arguments(arguments: object) -> object:
    if not isinstance(arguments, str):
        return arguments if isinstance(arguments, dict) else {}
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


def _plain(content: object, where: str) -> str:
    return "".join(part["text"] for part in _text_parts(content, where))


def _content(content: object, where: str) -> str | list[dict[str, str]]:
    return content if isinstance(content, str) else _text_parts(content, where)


def _text_parts(content: object, where: str) -> list[dict[str, str]]:
    """Content as text parts; images and audio are rejected."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise ApiError(400, f"{where}: must be a string or a list of parts", param=where)
    parts: list[dict[str, str]] = []
    for number, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ApiError(400, f"{where}.{number}: only parts of type text are supported", param=f"{where}.{number}")
        parts.append({"type": "text", "text": part["text"]})
    return parts


def _with_uses(text: str, uses: object, where: str) -> list[dict[str, str]]:
    """Text with the uses of the calculator back in their places."""
    if not isinstance(uses, list) or len(uses) > MAX_TOOL_USES:
        raise ApiError(400, f"{where}: must be a list of at most {MAX_TOOL_USES} uses", param=where)
    parts: list[dict[str, str]] = []
    done = 0
    for use in uses:
        if not isinstance(use, dict) or not all(isinstance(use.get(key), str) for key in ("arguments", "result")):
            raise ApiError(400, f"{where}: a use needs the strings arguments and result", param=where)
        at = use.get("at", done)
        if not isinstance(at, int) or not done <= at <= len(text):
            raise ApiError(400, f"{where}: at = {at!r} is outside the content or out of order", param=where)
        if at > done:
            parts.append({"type": "text", "text": text[done:at]})
        parts.append({"type": "tool_call", "expression": use["arguments"]})
        parts.append({"type": "tool_result", "text": use["result"]})
        done = at
    if done < len(text):
        parts.append({"type": "text", "text": text[done:]})
    return parts
