"""Tools that a client offers: checked, shown to the model by its own chat template, and called in its own way.

The calculator of our own models is another matter: the engine computes it (`glassmill.infer.tools`). The tools here
are functions of the client, which gets calls, runs them, and sends back what they gave as messages of role `tool`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glassmill.errors import ApiError
from glassmill.serve.call_parts import CLOSING, MARKERS, Style
from glassmill.serve.calls import CallReader
from glassmill.serve.grammar import JSON_FORM, checked_schema
from glassmill.tokens.specials import CHAT_TEMPLATE

if TYPE_CHECKING:
    from glassmill.tokens.tokenizer import Tokenizer

MAX_TOOLS = 128
MAX_CALLS = 16
"""Calls of one answer that a grammar allows."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of one request, for one model.

    Attributes:
        style: How the model writes calls.
        bare: Whether a Mistral model writes the name before `[ARGS]`.
        offered: As the client sent them.
        choice: `auto`, `required`, or the name of the one function to call.
        parallel: Whether one answer may have several calls.
    """

    style: Style
    bare: bool
    offered: Sequence[Mapping[str, Any]]
    choice: str
    parallel: bool

    @property
    def names(self) -> list[str]:
        """The functions' names."""
        return [tool["function"]["name"] for tool in self.offered]

    @property
    def must_call(self) -> bool:
        """Whether an answer without a call is no answer."""
        return self.choice != "auto"

    def reader(self) -> CallReader:
        """Reads one answer."""
        return CallReader(self.style, self.names, MAX_CALLS * 8 if self.parallel else 1)

    def shown_ids(self, tokenizer: Tokenizer) -> frozenset[int]:
        """Control tokens that are part of calls."""
        return frozenset(tokenizer.special[name] for name in MARKERS[self.style] if name in tokenizer.special)

    def rules(self, tokenizer: Tokenizer) -> str:
        """A grammar, in llguidance's Lark dialect, whose rule `calls` is what an answer with calls looks like."""
        chosen = [tool["function"] for tool in self.offered if self.choice in ("auto", "required", _name(tool))]
        lines = [f"calls: {self._calls(tokenizer)}", "call: " + " | ".join(f"call_{i}" for i in range(len(chosen)))]
        for i, function in enumerate(chosen):
            lines += [self._call_rule(i, function, tokenizer), f"args_{i}: %json {_arguments_schema(function)}"]
        return "\n".join(lines)

    def _calls(self, tokenizer: Tokenizer) -> str:
        """Calls in a row, and what stands around and between them."""
        more = MAX_CALLS - 1 if self.parallel and self.choice in ("auto", "required") else 0
        if self.style == "hermes":
            opening, closing = (_literal(mark, tokenizer) for mark in ("<tool_call>", CLOSING))
            one = f'{opening} "\\n" call "\\n" {closing}'
            return f'{one} ("\\n" {one}){{0,{more}}}' if more else one
        if self.style == "llama":
            return f'call ("; " call){{0,{more}}}' if more else "call"
        opening = _literal("[TOOL_CALLS]", tokenizer)
        if self.bare:
            return f"({opening} call){{1,{more + 1}}}"
        return f'{opening} "[" call (", " call){{0,{more}}} "]"' if more else f'{opening} "[" call "]"'

    def _call_rule(self, i: int, function: Mapping[str, Any], tokenizer: Tokenizer) -> str:
        name = function["name"]
        if self.bare:
            return f'call_{i}: "{name}" {_literal("[ARGS]", tokenizer)} args_{i}'
        field = "parameters" if self.style == "llama" else "arguments"
        head = json.dumps(f'{{"name": "{name}", "{field}": ')
        return f'call_{i}: {head} args_{i} "}}"'


def chosen_tools(tokenizer: Tokenizer, offered: Sequence[Any] | None, choice: object, parallel: object) -> Tools | None:
    """The tools that a request lets the model use; None if it has none or wants none used.

    Raises:
        ApiError: 400: A tool is malformed, the choice is none of them, or the model's template knows no tools.
    """
    if choice == "none" or (not offered and choice in (None, "auto")):
        return None
    template = tokenizer.templates.get("tool_use") or tokenizer.chat_template or tokenizer.templates.get("default", "")
    style = style_of(template)
    if style is None:
        field = "tools" if offered else "tool_choice"
        why = "this model's chat template has no tools" if template else "this model has no chat template"
        if template == CHAT_TEMPLATE:
            why = "only the built-in calculator is available, and it is on unless tool_choice is none"
        raise ApiError(400, f"{field} is not supported: {why}", param=field, code="unsupported_field")
    _check_choice(choice, bool(offered))
    if not offered or len(offered) > MAX_TOOLS:
        raise ApiError(400, f"tools: {len(offered or ())}; from 1 to {MAX_TOOLS} are allowed", param="tools")
    checked = [_checked(tool, f"tools.{i}") for i, tool in enumerate(offered)]
    names = [_name(tool) for tool in checked]
    if len(set(names)) < len(names):
        raise ApiError(400, "tools: two functions have the same name", param="tools", code="invalid_value")
    wanted = str(choice["function"]["name"] if isinstance(choice, Mapping) else choice or "auto")
    if wanted not in (names if isinstance(choice, Mapping) else ("auto", "required")):
        raise ApiError(400, f"tool_choice: no tool is named {wanted[:64]!r}", param="tool_choice")
    return Tools(style, style == "mistral" and "[ARGS]" in template, checked, wanted, parallel is not False)


def has_tools(tokenizer: Tokenizer) -> bool:
    """Whether messages of tools make sense to this model's chat template."""
    templates = [tokenizer.chat_template or "", *tokenizer.templates.values()]
    return any(style_of(template) for template in templates)


def style_of(template: str) -> Style | None:
    """How a model with this chat template calls tools; None: not at all."""
    if not re.search(r"\btools\b", template):
        return None
    if "[TOOL_CALLS]" in template:
        return "mistral"
    if "<tool_call>" in template:
        return "hermes"
    return "llama" if re.search(r"""["']?parameters["']?\s*:""", template) else None


def _check_choice(choice: object, offered: bool) -> None:
    if isinstance(choice, Mapping):
        function = choice.get("function")
        if choice.get("type") != "function" or not isinstance(function, Mapping) or not function.get("name"):
            form = '{"type": "function", "function": {"name": ...}}'
            raise ApiError(400, f"tool_choice: must be none, auto, required or {form}", param="tool_choice")
    elif choice not in (None, "none", "auto", "required"):
        raise ApiError(400, f"tool_choice = {str(choice)[:60]!r}: unknown", param="tool_choice", code="invalid_value")
    if choice not in (None, "none", "auto") and not offered:
        raise ApiError(400, "tool_choice is not supported: there are no tools", param="tool_choice")


def _checked(tool: Any, where: str) -> Mapping[str, Any]:
    function = (
        tool.get("function") if isinstance(tool, Mapping) and tool.get("type", "function") == "function" else None
    )
    if not isinstance(function, Mapping):
        raise ApiError(400, f"{where}: must be an object of type function", param=where, code="invalid_value")
    name = function.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        message = f"{where}.function.name: must be 1 to 64 letters, digits, _ or -"
        raise ApiError(400, message, param=f"{where}.function.name", code="invalid_value")
    for field, kind in (("description", str), ("parameters", Mapping), ("strict", bool)):
        if not isinstance(function.get(field), kind | None):
            raise ApiError(400, f"{where}.function.{field}: wrong type", param=where, code="invalid_value")
    if function.get("parameters") is not None:
        checked_schema(function["parameters"], f"{where}.function.parameters")
    shown = {key: value for key, value in function.items() if key != "strict" and value is not None}
    return {"type": "function", "function": shown}


def _name(tool: Mapping[str, Any]) -> str:
    return str(tool["function"]["name"])


def _arguments_schema(function: Mapping[str, Any]) -> str:
    """The schema of a call's arguments, an object. Keywords that the library lacks bind nothing here."""
    schema = dict(function.get("parameters") or {})
    schema.setdefault("type", "object")
    return json.dumps({**schema, "x-guidance": {**JSON_FORM, "lenient": True}})


def _literal(mark: str, tokenizer: Tokenizer) -> str:
    """A mark as a terminal: a control token by its id, any other as text."""
    return f"<[{tokenizer.special[mark]}]>" if mark in tokenizer.special else json.dumps(mark)
