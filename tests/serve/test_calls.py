"""Calls of tools in an answer: found however the text is cut, passed on as written; what is none stays content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glassmill.serve.call_parts import Arguments, CallBegins, Part, Style, whole_calls
from glassmill.serve.calls import CallReader

F, G = '{"name": "f", "arguments": {"x": {"y": "}"}}}', '{"name": "g", "arguments": {}}'
READ: list[tuple[Style, str, str, list[tuple[str, str]]]] = [
    ("hermes", f"So.\n<tool_call>\n{F}\n</tool_call>\n<tool_call>\n{G}\n</tool_call>\n", "So.", [
        ("f", '{"x": {"y": "}"}}'), ("g", "{}")]),
    ("hermes", '<tool_call>{"arguments": {"x": 1}, "name": "f"}</tool_call>', "", [("f", '{"x": 1}')]),
    ("hermes", '<tool_call>{"name": "f", "arguments": "{\\"x\\": 1}"}</tool_call>', "", [("f", '{"x": 1}')]),
    ("hermes", '<tool_call>{"name": "f", "arguments": null}</tool_call>', "", [("f", "{}")]),
    ("hermes", '<tool_call>{"name": "f", "arguments": {"x": 1', "", [("f", '{"x": 1')]),
    ("hermes", f"<tool_call>{F}", "", [("f", '{"x": {"y": "}"}}')]),
    ("hermes", '<tool_call>{"name": "f", "argu', '<tool_call>{"name": "f", "argu', []),
    ("hermes", "<tool_call>no JSON</tool_call> x", "<tool_call>no JSON</tool_call> x", []),
    ("hermes", '<tool_call>{"name": 3}</tool_call>', '<tool_call>{"name": 3}</tool_call>', []),
    ("hermes", "a < b <tool_ca and\n\n", "a < b <tool_ca and\n\n", []),
    ("mistral", f"[TOOL_CALLS][{F}, {G}]", "", [("f", '{"x": {"y": "}"}}'), ("g", "{}")]),
    ("mistral", f"Yes. [TOOL_CALLS] [{G}] ", "Yes.", [("g", "{}")]),
    ("mistral", '[TOOL_CALLS]f[ARGS]{"x": {"z":1}}[TOOL_CALLS]g[CALL_ID]a1B2[ARGS]{}', "", [
        ("f", '{"x": {"z":1}}'), ("g", "{}")]),
    ("mistral", "[TOOL_CALLS]not one." + "x" * 300, "[TOOL_CALLS]not one." + "x" * 300, []),
    ("llama", '{"name": "f", "parameters": {"x": 1}}', "", [("f", '{"x": 1}')]),
    ("llama", '<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}', "", [
        ("f", "{}"), ("g", "{}")]),
    ("llama", '{"type": "function", "name": "f", "parameters": {"x": 1}}', "", [("f", '{"x": 1}')]),
    ("llama", '{"name": "unknown", "parameters": {}} tail', '{"name": "unknown", "parameters": {}} tail', []),
    ("llama", '{"a": [1]}', '{"a": [1]}', []),
    ("llama", 'See {"name": "f", "parameters": {}}', 'See {"name": "f", "parameters": {}}', []),
    ("llama", "  ", "  ", []),
]  # fmt: skip


def read(reader: CallReader, pieces: Sequence[str]) -> list[Part]:
    return [*(part for piece in pieces for part in reader.push(piece)), *reader.finish()]


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(("style", "text", "content", "calls"), READ)
def test_an_answer_is_content_and_calls(style: Style, text: str, content: str, calls: Any, size: int) -> None:
    parts = read(CallReader(style, ["f", "g"]), [text[i : i + size] for i in range(0, len(text), size)])
    found, begun = whole_calls(parts)
    assert (found, [(call.name, arguments) for call, arguments in begun]) == (content, calls)
    assert len({call.id for call, _ in begun}) == len(calls)


def test_a_call_is_told_as_soon_as_it_has_a_name_and_its_arguments_as_they_come() -> None:
    reader = CallReader("hermes", ["f"])
    assert reader.push('<tool_call>{"name": "f", "arguments": ') == []
    begins, first = reader.push('{"x"')
    assert isinstance(begins, CallBegins) and begins.name == "f" and first == Arguments(0, '{"x"')
    assert reader.push(": 1}") == [Arguments(0, ": 1}")]
    assert reader.push("}</tool_call>") == reader.finish() == []


def test_where_one_call_is_allowed_the_others_are_dropped() -> None:
    parts = read(CallReader("hermes", ["f"], at_most=1), [f"<tool_call>{F}</tool_call><tool_call>{G}</tool_call>"])
    assert [call.name for call, _ in whole_calls(parts)[1]] == ["f"]


WORDS = ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", "[", "]", "{", "}", ",", ";", '"']
WORDS += ['{"name": "f", "arguments": ', '{"name": "f", "parameters": ', "\\", "{}", "f", " ", "\n", "é", "x"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(style=st.sampled_from(["hermes", "mistral", "llama"]), pieces=st.lists(st.sampled_from(WORDS), max_size=14))
def test_in_pieces_or_at_once_any_text_gives_the_same(style: Style, pieces: list[str]) -> None:
    slow, fast = read(CallReader(style, ["f"]), pieces), read(CallReader(style, ["f"]), ["".join(pieces)])
    read_slowly, read_at_once = (
        (text, [(c.name, a) for c, a in calls]) for text, calls in map(whole_calls, (slow, fast))
    )
    assert read_slowly == read_at_once
    if not any(isinstance(part, CallBegins) for part in fast):
        assert "".join(map(str, fast)) == "".join(pieces)  # nothing is lost of an answer without calls
