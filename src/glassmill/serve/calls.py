"""Calls of tools in the text of an answer, read as it grows: text in, content and pieces of calls out.

Three ways in which models write them, known by what their chat templates say:

    hermes    <tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>     Qwen, Hermes, SmolLM3; any number
    mistral   [TOOL_CALLS][{"name": "f", "arguments": {"x": 1}}, ...]         or, later, [TOOL_CALLS]f[ARGS]{"x": 1}
    llama     {"name": "f", "parameters": {"x": 1}}                           Llama 3.1; nothing but calls

Arguments are passed on as the model wrote them, a piece at a time. What begins like a call and is none becomes content.
Sources: the templates of Qwen2.5, Mistral-7B-Instruct-v0.3, Mistral-Small-3.2 and Llama-3.1; vLLM's parsers for the
cases in which a model does not keep to its own form.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Collection

from glassmill.serve.call_parts import CLOSING, NAME, OPENINGS, Arguments, CallBegins, Part, Style

_HEAD = re.compile(
    r'\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?"name"\s*:\s*"([A-Za-z0-9_.-]{1,64})"\s*,\s*'
    r'"(?:arguments|parameters)"\s*:\s*\{'
)
_BARE_HEAD = re.compile(r"([A-Za-z0-9_.-]{1,64})\s*(?:\[CALL_ID\][A-Za-z0-9]*)?(?:\[ARGS\])?\s*\{")
_LETTERS = string.ascii_letters + string.digits


class CallReader:
    """One answer.

    Args:
        style: How its model writes calls.
        names: The functions that were offered.
        at_most: Calls that are passed on; later ones are dropped.
    """

    def __init__(self, style: Style, names: Collection[str], at_most: int = 128) -> None:
        self.style, self.names, self.at_most = style, frozenset(names), at_most
        self.num_calls = 0
        self._state = self._outside
        self._text = ""  # not decided yet
        self._blank = ""  # around calls, blanks are no content
        self._opening = ""
        self._plain = False
        self._object = _Object()
        self._parts: list[Part] = []
        self._pieces: list[str] = []  # of the part that still grows:
        self._growing: int | None = None  # content, or the arguments of this call

    @property
    def called(self) -> bool:
        """Whether the answer has a call."""
        return self.num_calls > 0

    def push(self, text: str) -> list[Part]:
        """What is certain once `text` is in."""
        for character in text:
            self._state(character)
        return self._taken()

    def finish(self) -> list[Part]:
        """The rest, now that nothing follows."""
        begun = self._state in (self._before, self._inside) and not self._object.started
        held = self._given_up() if begun else self._take()
        self._state = self._outside
        if held.strip(" \t\r\n;") or not self.called:
            self._content(held)
        if self._blank and not self.called:
            self._grow(None, self._blank)
        self._blank = ""
        return self._taken()

    # --- states: each takes one character ---------------------------------------------------------------------------

    def _outside(self, character: str) -> None:
        """Content, which may turn into a call."""
        self._text += character
        if self._plain:
            self._content(self._take())
            return
        if self.style == "llama":
            self._at_the_start()
            return
        opening = OPENINGS[self.style][0]
        if self._text.endswith(opening):
            self._content(self._text[: -len(opening)])
            self._enter(opening)
            return
        longest = min(len(opening) - 1, len(self._text))
        keep = next((n for n in range(longest, 0, -1) if self._text.endswith(opening[:n])), 0)
        certain, self._text = self._text[: len(self._text) - keep], self._text[len(self._text) - keep :]
        self._content(certain)

    def _at_the_start(self) -> None:
        """Llama's calls have no mark: an answer that begins as one is one."""
        begun, tag = self._text.lstrip(), OPENINGS["llama"][0]
        if begun == tag:
            self._enter(self._text)
        elif begun.startswith("{"):
            self._enter(self._text[:-1])
            self._before("{")
        elif begun and not tag.startswith(begun):
            self._plain = not self.called
            self._content(self._take())

    def _enter(self, opening: str) -> None:
        self._text, self._opening, self._object = "", opening, _Object()
        self._state = self._before

    def _before(self, character: str) -> None:
        """Behind an opening: blanks, a bracket or a bare name, then an object."""
        self._text += character
        if character == "{":
            bare = _BARE_HEAD.fullmatch(self._text.strip()) if self.style == "mistral" else None
            self._state, self._object = self._inside, _Object(bare=bare is not None)
            if bare:
                self._object.push("{")
                self._begin(bare[1], "{")
            elif self._text.strip(" \t\r\n[{"):
                self._not_a_call()
            else:
                self._text = self._text[:-1]
                self._inside("{")
        elif len(self._text) > 200 or (self.style != "mistral" and not character.isspace()):
            self._not_a_call()

    def _inside(self, character: str) -> None:
        """In the object of a call."""
        one = self._object
        was_open = one.in_arguments
        one.push(character)
        if one.started:
            if was_open:
                self._arguments(character)
        else:
            self._text += character
            head = _HEAD.fullmatch(self._text.lstrip(" \t\r\n[")) if character == "{" and one.depth == 2 else None
            if head and self._is_known(head[1]):
                self._begin(head[1], "{")
        if one.depth == 0:
            self._end_of_object()

    def _end_of_object(self) -> None:
        if self._object.started or self._whole(self._text.lstrip(" \t\r\n[")):
            self._text, self._state = "", self._after
        else:
            self._not_a_call()

    def _after(self, character: str) -> None:
        """Behind an object: its closing, or another object."""
        self._text += character
        rest = self._text.strip()
        if self.style == "hermes":
            if rest == CLOSING:
                self._text, self._state = "", self._outside
            elif not CLOSING.startswith(rest):
                self._again()
        elif self.style == "mistral":
            if rest == ",":
                self._enter("")
            elif rest == "]":
                self._text, self._state = "", self._outside
            elif rest:
                self._again()
        elif rest.lstrip("; ") == "{":
            self._enter("")
            self._before("{")
        elif rest.strip("; "):
            self._again()

    def _again(self) -> None:
        """What stands behind the object is no closing; it is read as content."""
        text, self._state = self._take(), self._outside
        for character in text:
            self._state(character)

    # --- what comes out -----------------------------------------------------------------------------------------------

    def _is_known(self, name: str) -> bool:
        """An explicit mark makes any name a call; without one, only those that were offered."""
        return bool(self.style != "llama" or self._opening.strip()) or name in self.names

    def _begin(self, name: str, first: str) -> None:
        self._object.started = self._object.in_arguments = True
        self._text = ""
        if self.num_calls < self.at_most:
            self._blank = ""
            self._settle()
            self._parts.append(CallBegins(self.num_calls, self._new_id(), name))
        self.num_calls += 1
        self._arguments(first)

    def _arguments(self, text: str) -> None:
        index = self.num_calls - 1
        if index < self.at_most:
            self._grow(index, text)

    def _grow(self, part: int | None, text: str) -> None:
        if part != self._growing:
            self._settle()
        self._growing = part
        self._pieces.append(text)

    def _settle(self) -> None:
        """What grew becomes a part: joined once, as an answer may have a hundred thousand characters."""
        if self._pieces:
            text, self._pieces = "".join(self._pieces), []
            self._parts.append(text if self._growing is None else Arguments(self._growing, text))

    def _whole(self, written: str) -> bool:
        """A call whose fields stand in another order, or whose arguments are a string."""
        try:
            value = json.loads(written)
        except (ValueError, RecursionError):
            return False
        value = value.get("function", value) if isinstance(value.get("function"), dict) else value
        name, arguments = value.get("name"), value.get("arguments", value.get("parameters", {}))
        if not isinstance(name, str) or not NAME.fullmatch(name) or not self._is_known(name):
            return False
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments if arguments is not None else {}, ensure_ascii=False)
        self._begin(name, arguments)
        return True

    def _not_a_call(self) -> None:
        text = self._given_up()
        self._state, self._plain = self._outside, self.style == "llama"
        self._content(text)

    def _given_up(self) -> str:
        text, self._text = self._opening + self._text, ""
        return text

    def _content(self, text: str) -> None:
        text = self._blank + text
        bare = text.rstrip()
        self._blank = text[len(bare) :]
        if bare:
            self._grow(None, bare)

    def _take(self) -> str:
        text, self._text = self._text, ""
        return text

    def _taken(self) -> list[Part]:
        self._settle()
        parts, self._parts = self._parts, []
        return parts

    def _new_id(self) -> str:
        """Mistral's templates insist on nine letters and digits."""
        if self.style == "mistral":
            return "".join(secrets.choice(_LETTERS) for _ in range(9))
        return f"call_{secrets.token_hex(12)}"


class _Object:
    """Where in a JSON object a text is: how deep, in a string or not; and in a call's arguments or not."""

    def __init__(self, bare: bool = False) -> None:
        self.depth, self.floor = 0, 0 if bare else 1
        self.started = self.in_arguments = False
        self._string = self._escaped = False

    def push(self, character: str) -> None:
        """Take one character."""
        if self._escaped:
            self._escaped = False
        elif self._string:
            self._escaped = character == "\\"
            self._string = character != '"'
        elif character == '"':
            self._string = True
        elif character in "{[":
            self.depth += 1
        elif character in "}]":
            self.depth -= 1
            if self.depth <= self.floor:
                self.in_arguments = False
