"""Calls of tools: the styles in which models write them, and what a reader of answers makes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Style = Literal["hermes", "mistral", "llama"]
OPENINGS: dict[Style, tuple[str, ...]] = {
    "hermes": ("<tool_call>",),
    "mistral": ("[TOOL_CALLS]",),
    "llama": ("<|python_tag|>",),
}
CLOSING = "</tool_call>"
MARKERS: dict[Style, tuple[str, ...]] = {
    "hermes": ("<tool_call>", CLOSING),
    "mistral": ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
    "llama": ("<|python_tag|>",),
}
"""What the answer has to show even where the vocabulary has it as a control token."""
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class CallBegins:
    """The model has named a function: call number `index` of the answer."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """The next piece of a call's arguments, which are JSON."""

    index: int
    text: str


Part = str | CallBegins | Arguments


def whole_calls(parts: Sequence[Part]) -> tuple[str, list[tuple[CallBegins, str]]]:
    """The content and the calls, with all their arguments, of a whole answer."""
    content, begun, arguments = "", [], dict[int, str]()
    for part in parts:
        if isinstance(part, str):
            content += part
        elif isinstance(part, CallBegins):
            begun.append(part)
        else:
            arguments[part.index] = arguments.get(part.index, "") + part.text
    return content, [(one, arguments.get(one.index, "{}")) for one in begun]
