"""What other programs send, as they send it: Open WebUI, LangChain, the llm command, LlamaIndex, lm-eval, aider.

Tables of bodies, written down from the programs' sources and from what they sent to a server that printed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.tokens.tokenizer import Tokenizer
from tests.serve.tool_models import Script, tool_folder

CHAT, PLAIN, EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
HI = {"role": "user", "content": "hi"}
SCHEMA = {"title": "A", "type": "object", "properties": {"x": {"type": "integer", "maximum": 9, "minimum": 0}}}
SCHEMA |= {"required": ["x"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
CALL = {"type": "function", "id": "call_1", "function": {"name": "f", "arguments": '{"x": 1}'}}
CALLED = {"content": None, "role": "assistant", "tool_calls": [CALL]}
RESULT = {"content": "7", "role": "tool", "tool_call_id": "call_1"}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Open WebUI: a chat": (CHAT, {"messages": [{"role": "system", "content": "s"}, HI], **USAGE}),
    "Open WebUI: settings": (CHAT, {"messages": [HI], "temperature": 0.8, "top_p": 0.9, "frequency_penalty": 0,
        "presence_penalty": 0.1, "seed": 7, "stop": ["END"], "max_tokens": 5, "logit_bias": {"9": -100}, **USAGE}),
    "Open WebUI: a title": (CHAT, {"messages": [HI], "stream": False, "max_completion_tokens": 5}),
    "Open WebUI: parts": (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], **USAGE}),
    "Open WebUI: its own fields": (CHAT, {"messages": [HI], "chat_id": "1", "session_id": "2", "features": {},
        "background_tasks": {"title_generation": True}, "max_tokens": 5}),
    "Open WebUI: native tools": (CHAT, {"messages": [HI, CALLED, RESULT], "tools": [TOOL], **USAGE}),
    "LangChain: invoke": (CHAT, {"messages": [{"content": "hi", "role": "user"}], "n": 1, "stream": False}),
    "LangChain: stream": (CHAT, {"messages": [HI], "temperature": 0.0, **USAGE}),
    "LangChain: tools": (CHAT, {"messages": [HI], "tools": [TOOL], "parallel_tool_calls": False}),
    "LangChain: a named tool": (CHAT, {"messages": [HI], "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "f"}}}),
    "LangChain: any tool": (CHAT, {"messages": [HI], "tools": [TOOL], "tool_choice": "required"}),
    "LangChain: results": (CHAT, {"messages": [HI, CALLED, RESULT], "tools": [TOOL], "tool_choice": "auto"}),
    "LangChain: a schema": (CHAT, {"messages": [HI], "response_format": {"type": "json_schema", "json_schema": {
        "name": "A", "schema": SCHEMA, "strict": True}}}),
    "LangChain: JSON": (CHAT, {"messages": [HI], "response_format": {"type": "json_object"}, "max_tokens": 9}),
    "LangChain: a text model": (PLAIN, {"prompt": ["hi"], "max_tokens": 5, "temperature": 0.7, "top_p": 1, "n": 1,
        "best_of": 1, "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}}),
    "LangChain: embeddings": (EMBED, {"input": [[1, 2], [3]], "encoding_format": "base64"}),
    "LlamaIndex: embeddings": (EMBED, {"input": ["a", "b"], "encoding_format": "base64"}),
    "llm: a prompt": (CHAT, {"messages": [{"role": "user", "content": "hi"}], **USAGE}),
    "llm: a schema": (CHAT, {"messages": [HI], "stream": False, "response_format": {"type": "json_schema",
        "json_schema": {"name": "output", "schema": SCHEMA}}}),
    "aider": (CHAT, {"messages": [HI, {"role": "assistant", "content": "ok"}, HI], "temperature": 0, "stream": True}),
    "LiteLLM: ping": (CHAT, {"messages": [{"role": "user", "content": "hi", "name": None}], "max_tokens": 5,
        "stream_options": None, "tools": None, "tool_choice": None, "response_format": None, "user": None}),
    "lm-eval: likelihoods": (PLAIN, {"prompt": [[1, 2, 3], [4, 5]], "max_tokens": 1, "logprobs": 1, "echo": True,
        "temperature": 0, "seed": 1234}),
    "lm-eval: completions": (PLAIN, {"prompt": ["Q: 1+1\nA:"], "max_tokens": 5, "temperature": 0, "stop": ["\n\n"],
        "seed": 1234}),
    "lm-eval: chats": (CHAT, {"messages": [{"role": "user", "content": "Q: 1+1", "type": "text"}], "max_tokens": 5,
        "temperature": 0, "stop": ["Q:"], "seed": 1234}),
}  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: Any, tiny_tokenizer: Tokenizer, start_server: Any) -> Iterator[str]:
    folder: Path = tool_folder(tmp_path_factory.mktemp("clients") / "m", tiny_tokenizer, "hermes")
    model = Model.load(folder)
    server = start_server(create_api(lambda: model))
    yield server.url
    server.stop()
    model.close()


@pytest.mark.parametrize("name", BODIES)
def test_programs_get_what_they_expect(url: str, name: str) -> None:
    path, body = BODIES[name]
    limit = {} if path == EMBED or "max_completion_tokens" in body else {"max_tokens": 60}
    answer = httpx.post(url + path, json={"model": "m", **limit, **body}, headers={"Authorization": "Bearer sk-x"})
    assert answer.status_code == 200, answer.text
    if body.get("stream"):
        assert answer.headers["content-type"].startswith("text/event-stream") and answer.text.endswith("[DONE]\n\n")
        assert ("usage" in answer.text) == bool(body.get("stream_options"))
        return
    value = answer.json()
    assert value["model"] == "m" and value["usage"]["total_tokens"] > 0
    choices = value["data"] if path == EMBED else value["choices"]
    assert choices and all(one.get("finish_reason") in (None, "stop", "length", "tool_calls") for one in choices)
    if body.get("tool_choice") not in (None, "auto"):
        assert choices[0]["message"]["tool_calls"][0]["function"]["name"] == "f"


def test_the_decoder_for_scripts_is_a_decoder(tmp_path: Path, tiny_tokenizer: Tokenizer) -> None:
    """What the tests of tools stand on: it repeats its script from wherever a row leaves off."""
    decoder = Script(tool_folder(tmp_path / "m", tiny_tokenizer, "llama"), 2)
    decoder.script = (5, 6, 7)
    model = Model(decoder, tmp_path / "m")
    try:
        assert [record.token for record in model.complete([1, 2], max_tokens=3, temperature=0).tokens] == [5, 6, 7]
        assert [record.token for record in model.complete([1, 5], max_tokens=2, temperature=0).tokens] == [6, 7]
    finally:
        model.close()
