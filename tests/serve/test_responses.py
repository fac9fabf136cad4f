"""`/v1/responses` by the official client: texts, streams, functions and schemas are those of the same chat."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from tests.serve.test_tools import ARGUMENTS, SCHEMA, WRITTEN, serve_style  # noqa: F401  (a fixture)

HELLO: Any = [{"role": "user", "content": "hello world"}]
FORM: Any = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}}
WEATHER: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}


def test_a_response_is_the_answer_of_the_same_chat(client: openai.OpenAI) -> None:
    chat = client.chat.completions.create(
        model="tiny", messages=[{"role": "system", "content": "s"}, *HELLO], temperature=0, max_tokens=12
    )
    ask: Any = {"model": "tiny", "instructions": "s", "temperature": 0, "max_output_tokens": 12}
    for given in ("hello world", HELLO, [{"role": "user", "content": [{"type": "input_text", "text": "hello world"}]}]):
        answer = client.responses.create(input=given, **ask)
        assert answer.output_text == chat.choices[0].message.content
        assert answer.usage and answer.usage.total_tokens == chat.usage.total_tokens  # type: ignore[union-attr]
    assert (answer.status == "incomplete") == (chat.choices[0].finish_reason == "length")


def test_a_stream_adds_up_to_the_response_at_its_end(client: openai.OpenAI) -> None:
    ask: Any = {"model": "tiny", "input": "hello", "temperature": 0, "max_output_tokens": 20}
    whole = client.responses.create(**ask)
    events = list(client.responses.create(stream=True, **ask))
    assert [one.sequence_number for one in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type in ("response.completed", "response.incomplete")
    assert "".join(one.delta for one in events if one.type == "response.output_text.delta") == whole.output_text
    complete: Any = ask | {"text": FORM, "max_output_tokens": 200}  # the client knows no other end of a stream
    with client.responses.stream(**complete) as stream:
        final = stream.get_final_response()
    assert final.output_text == client.responses.create(**complete).output_text


def test_functions_are_called_streamed_and_answered(serve_style: Any) -> None:  # noqa: F811
    served = serve_style("hermes")
    served.says("I look.\n" + WRITTEN["hermes"])
    ask: Any = {"model": "hermes", "input": "Weather in Ulm?", "tools": [WEATHER], "temperature": 0}
    message, call = served.client.responses.create(**ask).output
    assert message.content[0].text == "I look."
    assert (call.type, call.name, call.arguments, call.status) == ("function_call", "weather", ARGUMENTS, "completed")
    with served.client.responses.stream(**ask) as stream:
        deltas = [one.delta for one in stream if one.type == "response.function_call_arguments.delta"]
        assert "".join(deltas) == ARGUMENTS
        assert stream.get_final_response().output[1].arguments == ARGUMENTS
    served.says("Take a coat.")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    items: Any = [{"role": "user", "content": "Weather in Ulm?"}, message.model_dump(), call.model_dump(), result]
    assert served.client.responses.create(**ask | {"input": items}).output_text == "Take a coat."


def test_a_schema_is_kept(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="tiny", input="hello", text=FORM, max_output_tokens=200)
    assert set(json.loads(answer.output_text)) == {"city", "days"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": "a", "previous_response_id": "resp_1"}, "nothing is stored"),
        ({"input": [{"type": "input_image"}]}, "'input_image' is not supported"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "only parts of type text"),
        ({"input": []}, "input"),
        ({"input": "a", "text": {"format": {"type": "xml"}}}, "response_format"),
        ({"input": "a", "tools": [WEATHER]}, "only the built-in calculator"),
        ({"input": "a", "temperature": -1}, "temperature"),
    ],
)
def test_what_is_not_possible_is_refused(server: Any, body: Any, message: str) -> None:
    answer = httpx.post(f"{server.url}/v1/responses", json=body)
    assert answer.status_code == 400 and message in answer.json()["error"]["message"]
