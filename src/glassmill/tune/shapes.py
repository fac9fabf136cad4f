"""One row of somebody's data set -> a conversation, whichever of the common shapes it has.

    messages        [{role, content}] as OpenAI's (text or text parts, `weight`, calculator calls); a bare list too
    contents        [{role, parts}] as Gemini's
    conversations   [{from, value}] as ShareGPT's, with or without `system`
    instruction     with input and output, as Alpaca's; instruction, context, response, as Dolly's; `history`
    prompt          with completion, response or answer; a text, or a list of messages each
    question        with answer

What has another meaning (text without roles, pairs of a better and a worse answer) is refused with what to do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from glassmill.errors import Misshapen

Part = dict[str, str]
ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "question"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "bard", "bing", "answer"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation"), "tool"),
}
LISTS = ("messages", "conversations", "contents", "conversation", "dialogue", "dialog", "turns")
PAIRS = (
    ("instruction", ("output", "response", "answer", "completion")),
    ("prompt", ("completion", "response", "output", "answer")),
    ("question", ("answer", "response", "output")),
    ("query", ("response", "answer", "output")),
    ("input", ("output", "response", "target")),
)
"""What the user says, and the names under which the answer may stand."""
EXTRA_TEXT = ("input", "context")
CONTENTS = ("content", "value", "text", "parts")
WEIGHTS = ("weight", "train", "loss")
"""OpenAI's 0 or 1; others write true or false."""
MESSAGE_KEYS = {"role", "from", *CONTENTS, *WEIGHTS, "tool_calls", "tool_call_id", "function_call"}
CALCULATOR = "calculator"
CALCULATION = "expression"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as `glassmill.tokens.chat` renders it.

    Attributes:
        messages: `{role, content}`; content is a text, or parts with a calculation among them.
        learned: Of every message, whether the assistant learns it.
        kind: The row's `kind`, if it names one.
        ignored: Keys that have no meaning here.
    """

    messages: list[dict[str, Any]]
    learned: list[bool]
    kind: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def num_empty(self) -> int:
        """Answers without a word in them."""
        return sum(m["role"] == "assistant" and not m["content"] for m in self.messages)


def conversation_of(row: object) -> Conversation:
    """The conversation in a row.

    Raises:
        Misshapen: it has none of the shapes above.
    """
    if isinstance(row, Sequence) and not isinstance(row, str):
        row = {"messages": row}
    if not isinstance(row, Mapping):
        raise Misshapen(f"it is {_kind_of(row)}, not an object with messages")
    _refuse_other_meanings(row)
    name = next((name for name in LISTS if name in row), None)
    if name is not None:
        turns, used = _listed(row, name), {name, "system", "system_prompt", "kind", "id"}
        if isinstance(row.get("system") or row.get("system_prompt"), str):
            turns = [{"role": "system", "content": row.get("system") or row.get("system_prompt")}, *turns]
    else:
        turns, used = _paired(row)
    messages, learned, ignored = _messages(turns)
    return Conversation(messages, learned, str(row.get("kind", "")), (*ignored, *sorted(map(str, set(row) - used))))


def _refuse_other_meanings(row: Mapping[str, Any]) -> None:
    if {"chosen", "rejected"} & set(row):
        raise Misshapen(
            "it has chosen and rejected answers, which are for preference training; for sft write "
            '{"prompt": ..., "completion": the chosen answer}'
        )
    if isinstance(row.get("label"), bool) and "completion" in row:
        raise Misshapen(
            'its label says whether the completion is wanted; for sft keep the wanted ones, without "label"'
        )
    if "instances" in row:
        raise Misshapen('it has several "instances"; write one row {"instruction", "input", "output"} for each')
    if "text" in row and not any(name in row for name in (*LISTS, *(prompt for prompt, _ in PAIRS))):
        raise Misshapen(
            'it has "text" without roles; text to continue belongs into corpus.inputs, and a conversation is '
            '{"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}'
        )


def _listed(row: Mapping[str, Any], name: str) -> list[Any]:
    turns = row[name]
    if isinstance(turns, str):
        try:
            turns = json.loads(turns)  # a column of a table
        except (ValueError, RecursionError):
            raise Misshapen(f'"{name}" is a text, not a list of messages') from None
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        raise Misshapen(f'"{name}" is {_kind_of(turns)}, not a list of messages')
    return list(turns)


def _paired(row: Mapping[str, Any]) -> tuple[list[Any], set[str]]:
    """A question and its answer as turns, and the keys that they used."""
    for asked, answers in PAIRS:
        answer = next((name for name in answers if row.get(name) is not None), None)
        if asked in row and answer is not None:
            break
    else:
        keys = ", ".join(map(repr, list(row)[:8])) or "none"
        raise Misshapen(
            'it needs "messages", "conversations", or a pair such as "instruction" and "output", "prompt" and '
            f'"completion", "question" and "answer"; its keys are {keys}'
        )
    system, used = row.get("system"), {asked, answer, "system", "history", "kind", "id"}
    turns: list[Any] = [{"role": "system", "content": system}] if isinstance(system, str) and system else []
    history = row.get("history") or []
    for pair in history if isinstance(history, list) else [history]:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise Misshapen('"history" must be a list of [question, answer]')
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    said: Any = row[asked]
    if asked == "instruction":
        for extra in EXTRA_TEXT:
            used.add(extra)
            if isinstance(row.get(extra), str) and row[extra].strip() and isinstance(said, str):
                said = f"{said}\n\n{row[extra]}"
    for role, value in (("user", said), ("assistant", row[answer])):
        turns += value if isinstance(value, list) else [{"role": role, "content": value}]
    return turns, used


def _messages(turns: list[Any]) -> tuple[list[dict[str, Any]], list[bool], tuple[str, ...]]:
    messages: list[dict[str, Any]] = []
    learned: list[bool] = []
    ignored: Counter[str] = Counter()
    for number, turn in enumerate(turns, start=1):
        where = f"message {number}"
        if not isinstance(turn, Mapping):
            raise Misshapen(f"{where} is {_kind_of(turn)}, not an object with role and content")
        ignored.update(str(key) for key in turn if key not in MESSAGE_KEYS)
        role = _role(turn, where)
        content = _content(turn, role, where)
        if role == "tool" or (role == "assistant" and _continues(messages)):
            _continue_calculation(messages, role, content, where)
            continue
        messages.append({"role": role, "content": content})
        learned.append(role == "assistant" and _weight(turn, where) and bool(content))
    for message in messages:
        _check_calculations(message["content"])
    return messages, learned, tuple(ignored)


def _role(turn: Mapping[str, Any], where: str) -> str:
    given = turn.get("role", turn.get("from"))
    if given is None:
        raise Misshapen(f'{where} has no "role" (or "from")')
    role = ROLES.get(given.lower()) if isinstance(given, str) else None
    if role is None:
        raise Misshapen(f"{where} has the unknown role {str(given)[:40]!r}; use system, user and assistant")
    return role


def _weight(turn: Mapping[str, Any], where: str) -> bool:
    weight = next((turn[name] for name in WEIGHTS if turn.get(name) is not None), None)
    if weight not in (None, 0, 1) or isinstance(weight, str):
        raise Misshapen(f"{where} has weight {str(weight)[:40]!r}; it must be 0 (not learned) or 1")
    return weight is None or weight == 1


def _content(turn: Mapping[str, Any], role: str, where: str) -> str | list[Part]:
    """The content: one text, or parts where there is a calculation among them."""
    content = next((turn[name] for name in CONTENTS if turn.get(name) is not None), None)
    calls = turn.get("tool_calls") or ([{"function": turn["function_call"]}] if turn.get("function_call") else [])
    if calls:
        if role != "assistant":
            raise Misshapen(f"{where} calls tools, which only the assistant may do")
        said = [{"type": "text", "text": _clean(content)}] if isinstance(content, str) and content else []
        return [*said, *_calculations(calls, where)]
    if isinstance(content, str):
        return _clean(content)
    if content is None:
        raise Misshapen(
            f'{where} has no content; give a text, or remove the message ("content": null needs tool_calls)'
        )
    if not isinstance(content, Sequence):
        raise Misshapen(f"{where}: its content is {_kind_of(content)}, not a text or a list of text parts")
    parts = [_part(part, role, where) for part in content]
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: Any, role: str, where: str) -> Part:
    if isinstance(part, str):
        return {"type": "text", "text": _clean(part)}
    kind = part.get("type", "text") if isinstance(part, Mapping) else None
    wanted = {"text": "text", "input_text": "text", "output_text": "text"}
    if role == "assistant":
        wanted |= {"tool_call": CALCULATION, "tool_result": "text"}
    if not isinstance(kind, str) or kind not in wanted or not isinstance(part.get(wanted[kind]), str):
        shown = repr(kind) if kind else _kind_of(part)
        raise Misshapen(f"{where} has a part of type {shown}; only text can be learned")
    return {"type": kind if kind in ("tool_call", "tool_result") else "text", wanted[kind]: _clean(part[wanted[kind]])}


def _calculations(calls: Any, where: str) -> list[Part]:
    parts = []
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function") if isinstance(call, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        try:
            given: Any = function["arguments"] if name == CALCULATOR else None  # type: ignore[index]
            arguments = (json.loads(given) if isinstance(given, str) else given)[CALCULATION]
        except (ValueError, KeyError, TypeError, RecursionError):
            arguments = None
        if not isinstance(arguments, str):
            raise Misshapen(
                f"{where} calls the tool {str(name)[:40]!r}; only calls of the {CALCULATOR} with an "
                f"{CALCULATION} can be learned: remove the conversation, or its tool calls and results"
            )
        parts.append({"type": "tool_call", CALCULATION: _clean(arguments)})
    return parts


def _check_calculations(content: str | list[Part]) -> None:
    kinds = [part["type"] for part in content] if isinstance(content, list) else []
    for kind, following in pairwise([*kinds, ""]):
        if kind == "tool_call" and following != "tool_result":
            raise Misshapen(f"a call of the {CALCULATOR} is not followed by its result")


def _continues(messages: list[dict[str, Any]]) -> bool:
    """Whether an assistant's message goes on after the result of its own call."""
    content = messages[-1]["content"] if messages else ""
    return isinstance(content, list) and bool(content) and content[-1]["type"] == "tool_result"


def _continue_calculation(messages: list[dict[str, Any]], role: str, content: str | list[Part], where: str) -> None:
    """A calculation is one turn here: the call, its result, and the words after it."""
    before: dict[str, Any] = messages[-1] if messages else {"content": ""}
    called = isinstance(before["content"], list) and before["content"][-1]["type"] == "tool_call"
    if role == "tool" and not (called and isinstance(content, str)):
        raise Misshapen(f"{where} is a tool's result, and the message before calls no {CALCULATOR}; remove it")
    kind = "tool_result" if role == "tool" else "text"
    before["content"] += [{"type": kind, "text": content}] if isinstance(content, str) else content


def _clean(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which are no characters."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _kind_of(value: object) -> str:
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    kinds |= {int: "a number", float: "a number", type(None): "null"}
    return kinds.get(type(value), type(value).__name__)
