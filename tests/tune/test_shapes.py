"""Every common shape of a conversation is read, or refused in one line that says what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from glassmill.errors import Misshapen
from glassmill.tune.shapes import conversation_of

ASKED = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Yes."}]
TURNS = [("user", "Hello?"), ("assistant", "Yes.")]
CALL = {"id": "c", "type": "function", "function": {"name": "calculator", "arguments": '{"expression": "6*7"}'}}


def said(row: Any) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in conversation_of(row).messages]


READ: list[tuple[str, Any, list[tuple[str, Any]]]] = [
    ("messages", {"messages": ASKED}, TURNS),
    ("a bare list", ASKED, TURNS),
    ("messages as a text, a column of a table", {"messages": json.dumps(ASKED)}, TURNS),
    (
        "text parts",
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo?"}]},
                ASKED[1],
            ]
        },
        TURNS,
    ),
    ("parts that are texts", {"messages": [{"role": "user", "content": ["Hello?"]}, ASKED[1]]}, TURNS),
    (
        "a developer is the system",
        {"messages": [{"role": "developer", "content": "Be short."}, *ASKED]},
        [("system", "Be short."), *TURNS],
    ),
    (
        "Gemini",
        {"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}, {"role": "model", "parts": [{"text": "Yes."}]}]},
        TURNS,
    ),
    ("text for content", {"messages": [{"role": "User", "text": "Hello?"}, {"role": "Bot", "text": "Yes."}]}, TURNS),
    ("lists in a pair", {"prompt": [ASKED[0]], "completion": [ASKED[1]]}, TURNS),
    (
        "parts of an answer",
        {"messages": [ASKED[0], {"role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}]},
        TURNS,
    ),
    ("names and unknown keys", {"messages": [{**ASKED[0], "name": "Ada"}, ASKED[1]], "source": "x"}, TURNS),
    ("ShareGPT", {"conversations": [{"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Yes."}]}, TURNS),
    (
        "ShareGPT with system",
        {
            "system": "Be short.",
            "conversations": [{"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Yes."}],
        },
        [("system", "Be short."), *TURNS],
    ),
    (
        "ShareGPT with other names",
        {
            "conversations": [
                {"from": "system", "value": "Be short."},
                {"from": "user", "value": "Hello?"},
                {"from": "chatgpt", "value": "Yes."},
            ]
        },
        [("system", "Be short."), *TURNS],
    ),
    ("conversations with roles", {"conversations": ASKED}, TURNS),
    (
        "messages with from",
        {"messages": [{"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Yes."}]},
        TURNS,
    ),
    ("Alpaca", {"instruction": "Hello?", "input": "", "output": "Yes."}, TURNS),
    ("Alpaca without input", {"instruction": "Hello?", "output": "Yes."}, TURNS),
    (
        "Alpaca with input",
        {"instruction": "Add.", "input": "1 and 2", "output": "3"},
        [("user", "Add.\n\n1 and 2"), ("assistant", "3")],
    ),
    (
        "Alpaca with system and history",
        {"instruction": "And?", "output": "So.", "system": "S", "history": [["Hello?", "Yes."]]},
        [("system", "S"), *TURNS, ("user", "And?"), ("assistant", "So.")],
    ),
    (
        "Dolly",
        {"instruction": "Who?", "context": "Ada is here.", "response": "Ada.", "category": "qa"},
        [("user", "Who?\n\nAda is here."), ("assistant", "Ada.")],
    ),
    ("prompt and completion", {"prompt": "Hello?", "completion": "Yes."}, TURNS),
    ("prompt and response", {"prompt": "Hello?", "response": "Yes."}, TURNS),
    ("lists of messages as prompt and completion", {"prompt": ASKED[:1], "completion": ASKED[1:]}, TURNS),
    ("question and answer", {"question": "Hello?", "answer": "Yes."}, TURNS),
    ("query and response", {"query": "Hello?", "response": "Yes."}, TURNS),
    ("input and output", {"input": "Hello?", "output": "Yes."}, TURNS),
    ("text beside a pair", {"instruction": "Hello?", "output": "Yes.", "text": "### Hello? ### Yes."}, TURNS),
    ("nothing said", {"messages": []}, []),
    (
        "halves of surrogate pairs",
        {"question": "half \ud83d here", "answer": "whole \ud83d\ude00"},
        [("user", "half \ufffd here"), ("assistant", "whole 😀")],
    ),
    (
        "a calculation as OpenAI has it",
        {
            "messages": [
                ASKED[0],
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c", "content": "42"},
                {"role": "assistant", "content": "42."},
            ]
        },
        [
            ("user", "Hello?"),
            (
                "assistant",
                [
                    {"type": "tool_call", "expression": "6*7"},
                    {"type": "tool_result", "text": "42"},
                    {"type": "text", "text": "42."},
                ],
            ),
        ],
    ),
    (
        "a calculation as parts",
        {
            "messages": [
                ASKED[0],
                {
                    "role": "assistant",
                    "content": [{"type": "tool_call", "expression": "6*7"}, {"type": "tool_result", "text": "42"}],
                },
            ]
        },
        [
            ("user", "Hello?"),
            ("assistant", [{"type": "tool_call", "expression": "6*7"}, {"type": "tool_result", "text": "42"}]),
        ],
    ),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("text alone", {"text": "Once upon a time"}, '"text" without roles; .*corpus.inputs'),
    ("a preference", {"prompt": "q", "chosen": "a", "rejected": "b"}, "preference training; .*completion"),
    ("a preference in ShareGPT's form", {"conversations": [], "chosen": {}, "rejected": {}}, "preference training"),
    ("a judged completion", {"prompt": "q", "completion": "a", "label": False}, "keep the wanted ones"),
    ("several instances", {"instruction": "q", "instances": [{"input": "", "output": "a"}]}, "one row"),
    ("no known keys", {"foo": 1, "bar": 2}, "its keys are 'foo', 'bar'"),
    ("an empty object", {}, "its keys are none"),
    ("a part without text", {"messages": [{"role": "user", "content": [{"image": "x"}]}]}, "only text can be learned"),
    ("a tool's own result", {"messages": [ASKED[0], {"role": "function", "name": "f", "content": "5"}]}, "remove it"),
    ("Capitals", {"Prompt": "a", "Completion": "b"}, "its keys are 'Prompt', 'Completion'"),
    (
        "a content that is an object",
        {"messages": [{"role": "user", "content": {"text": "x"}}]},
        "an object, not a text",
    ),
    ("a list of texts", [["Hi", "Yo"]], "message 1 is a list"),
    ("nan", {"messages": [ASKED[0], {**ASKED[1], "weight": float("nan")}]}, "weight 'nan'"),
    ("a question alone", {"prompt": "q"}, "its keys are 'prompt'"),
    ("a text", "hello", "a text, not an object"),
    ("a number", 7, "a number, not an object"),
    ("null", None, "null, not an object"),
    ("messages that are none", {"messages": "hello"}, "a text, not a list"),
    ("messages as an object", {"messages": {"role": "user"}}, "an object, not a list"),
    ("a message that is none", {"messages": ["hello"]}, "message 1 is a text"),
    ("no role", {"messages": [{"content": "x"}]}, 'message 1 has no "role"'),
    ("an unknown role", {"messages": [{"role": "wizard", "content": "x"}]}, "unknown role 'wizard'"),
    ("a role that is no text", {"messages": [{"role": 3, "content": "x"}]}, "unknown role '3'"),
    ("no content", {"messages": [{"role": "user"}]}, "message 1 has no content"),
    ("null", {"messages": [ASKED[0], {"role": "assistant", "content": None}]}, "message 2 has no content.*tool_calls"),
    ("a number as content", {"messages": [{"role": "user", "content": 3}]}, "its content is a number"),
    ("an object as content", {"messages": [{"role": "user", "content": {"a": 1}}]}, "its content is an object"),
    (
        "an image",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "'image_url'; only text",
    ),
    (
        "a user's calculation",
        {"messages": [{"role": "user", "content": [{"type": "tool_call", "expression": "1"}]}]},
        "only text",
    ),
    ("half a weight", {"messages": [ASKED[0], {**ASKED[1], "weight": 0.5}]}, "weight '0.5'; it must be 0"),
    ("a weight that is a text", {"messages": [ASKED[0], {**ASKED[1], "weight": "0"}]}, "weight '0'"),
    (
        "a tool's call",
        {
            "messages": [
                ASKED[0],
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"function": {"name": "search", "arguments": "{}"}}],
                },
            ]
        },
        "calls the tool 'search'; only calls of the calculator",
    ),
    (
        "a call without arguments",
        {
            "messages": [
                ASKED[0],
                {"role": "assistant", "tool_calls": [{"function": {"name": "calculator", "arguments": "6*7"}}]},
            ]
        },
        "calls the tool 'calculator'",
    ),
    ("calls that are none", {"messages": [ASKED[0], {"role": "assistant", "tool_calls": 3}]}, "calls the tool 'None'"),
    (
        "a call without its result",
        {"messages": [ASKED[0], {"role": "assistant", "tool_calls": [CALL]}]},
        "not followed by its result",
    ),
    ("a result without a call", {"messages": [ASKED[0], {"role": "tool", "content": "x"}]}, "calls no calculator"),
    ("a result first", {"messages": [{"role": "tool", "content": "x"}]}, "calls no calculator"),
    (
        "ShareGPT's call",
        {"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": "{}"}]},
        "unknown role 'function_call'",
    ),
    ("a history that is none", {"instruction": "q", "output": "a", "history": ["x"]}, "history"),
    ("a history that is a number", {"instruction": "q", "output": "a", "history": 3}, "history"),
    ("a type that is a list", {"messages": [{"role": "user", "content": [{"type": ["text"], "text": "x"}]}]}, "type"),
]


@pytest.mark.parametrize(("row", "expected"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_a_common_shape_is_read(row: Any, expected: list[tuple[str, Any]]) -> None:
    assert said(row) == expected


@pytest.mark.parametrize(("row", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_another_shape_is_refused_with_what_to_do(row: Any, message: str) -> None:
    with pytest.raises(Misshapen, match=message) as caught:
        conversation_of(row)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 320


@pytest.mark.parametrize(("weight", "learned"), [(0, False), (1, True), (None, True), (0.0, False), (True, True)])
def test_an_answer_of_weight_0_is_not_learned(weight: Any, learned: bool) -> None:
    assert conversation_of({"messages": [ASKED[0], {**ASKED[1], "weight": weight}]}).learned == [False, learned]


@pytest.mark.parametrize("name", ["train", "loss"])
def test_other_names_of_the_weight_count_too(name: str) -> None:
    for value in (True, False):
        assert conversation_of({"messages": [{**ASKED[0], name: False}, {**ASKED[1], name: value}]}).learned[1] is value


@pytest.mark.parametrize("arguments", ['{"expression": "6*7"}', {"expression": "6*7"}])
def test_the_arguments_of_a_call_may_be_text_or_an_object(arguments: Any) -> None:
    call = {**CALL, "function": {"name": "calculator", "arguments": arguments}}
    turns = [ASKED[0], {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "42"}]
    assert said({"messages": turns})[1][1][0] == {"type": "tool_call", "expression": "6*7"}


def test_what_has_no_meaning_is_named() -> None:
    row = {"messages": [{**ASKED[0], "name": "Ada"}, ASKED[1]], "tools": [], "id": 3, "kind": "k"}
    assert conversation_of(row).ignored == ("name", "tools") and conversation_of(row).kind == "k"
