"""Tools of the client, with the official one: offered by the model's template, called, answered, in three styles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.tokens.tokenizer import Tokenizer
from tests.serve.tool_models import Script, tool_folder

ASK: Any = [{"role": "user", "content": "Weather in Ulm?"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "description": "of a city", "parameters": SCHEMA}}
TIME: Any = {"type": "function", "function": {"name": "time"}}
ARGUMENTS = '{"city": "Ulm", "days": 2}'
WRITTEN = {
    "hermes": f'<tool_call>\n{{"name": "weather", "arguments": {ARGUMENTS}}}\n</tool_call>',
    "mistral": f'[TOOL_CALLS][{{"name": "weather", "arguments": {ARGUMENTS}}}]',
    "bare": f"[TOOL_CALLS]weather[ARGS]{ARGUMENTS}",
    "llama": f'{{"name": "weather", "parameters": {ARGUMENTS}}}',
}
CONTROL = {"mistral": ("[TOOL_CALLS]",), "bare": ("[TOOL_CALLS]", "[ARGS]"), "hermes": (), "llama": ()}


class Served:
    """A model that says what it is told to, or random things, and a client."""

    def __init__(self, folder: Path, start: Any, scripted: bool) -> None:
        self.model = Model.load(folder, decoder=Script if scripted else None)
        self.server = start(create_api(lambda: self.model))
        self.client = openai.OpenAI(base_url=f"{self.server.url}/v1", api_key="none", max_retries=0)

    def says(self, text: str) -> None:
        tokenizer = self.model.tokenizer
        ids = tokenizer.encode(text, special=[name for name in tokenizer.special if name in text])
        self.model.decoder.script = (*map(int, ids), tokenizer.stop_ids[0])  # type: ignore[attr-defined]

    def ask(self, messages: Any = ASK, **options: Any) -> Any:
        options = {"tools": [WEATHER, TIME], "temperature": 0} | options
        return self.client.chat.completions.create(model=self.model.name, messages=messages, **options)


@pytest.fixture(scope="module")
def serve_style(tmp_path_factory: Any, tiny_tokenizer: Tokenizer, start_server: Any) -> Iterator[Callable[..., Served]]:
    opened: dict[tuple[str, bool], Served] = {}

    def serve(style: str, scripted: bool = True) -> Served:
        if (style, scripted) not in opened:
            folder = tool_folder(tmp_path_factory.mktemp("tools") / style, tiny_tokenizer, style, CONTROL[style])
            opened[style, scripted] = Served(folder, start_server, scripted)
        return opened[style, scripted]

    yield serve
    for served in opened.values():
        served.client.close()
        served.server.stop()
        served.model.close()


@pytest.mark.parametrize("style", WRITTEN)
def test_a_call_comes_whole_and_in_a_stream_and_its_result_goes_back(serve_style: Any, style: str) -> None:
    served = serve_style(style)
    served.says(("" if style == "llama" else "I look.\n") + WRITTEN[style])
    choice = served.ask().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == (None if style == "llama" else "I look.")
    [call] = choice.message.tool_calls
    assert (call.type, call.function.name, call.function.arguments) == ("function", "weather", ARGUMENTS)
    assert style not in ("mistral", "bare") or len(call.id) == 9

    chunks = list(served.ask(stream=True))
    changes = [one for chunk in chunks for one in chunk.choices[0].delta.tool_calls or []]
    assert changes[0].id and changes[0].function.name == "weather" and changes[0].function.arguments == ""
    assert all(one.id is None and one.function.name is None for one in changes[1:])
    assert "".join(one.function.arguments for one in changes) == ARGUMENTS
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == (choice.message.content or "")
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["tool_calls"]

    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    served.says("Take a coat.")
    answer = served.ask([*ASK, choice.message, result]).choices[0]
    assert (answer.message.content, answer.finish_reason, answer.message.tool_calls) == ("Take a coat.", "stop", None)


def test_the_model_reads_tools_calls_and_results_as_its_template_writes_them(serve_style: Any) -> None:
    served = serve_style("hermes")
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
    messages: Any = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call]}]
    messages += [{"role": "tool", "tool_call_id": "call_1", "content": "<|im_end|> rain"}]
    served.says("ok")
    answer = served.ask(messages, tools=[WEATHER])
    tokenizer = served.model.tokenizer
    said = f"<|user|>Weather in Ulm?<|im_end|><|assistant|>{WRITTEN['hermes']}<|im_end|><|user|>result: "
    prompt = f"<|system|>{json.dumps(WEATHER)}\n{said}<|im_end|> rain<|im_end|><|assistant|>"
    assert answer.usage.prompt_tokens > len(
        tokenizer.encode(prompt, special=list(tokenizer.special))
    )  # a text, no token
    plain = prompt.replace("<|im_end|> rain", " rain")
    shorter = len(tokenizer.encode(plain, special=list(tokenizer.special)))
    assert answer.usage.prompt_tokens == shorter + len(tokenizer.encode("<|im_end|>"))


@pytest.mark.parametrize("style", WRITTEN)
def test_a_call_that_is_required_is_one_of_a_tool_and_fits_its_schema(serve_style: Any, style: str) -> None:
    served = serve_style(style, scripted=False)
    named = {"type": "function", "function": {"name": "weather"}}
    options: Any = {"temperature": 1.0, "seed": 1, "tool_choice": named, "max_tokens": 400}
    choice = served.ask(**options).choices[0]
    assert choice.finish_reason == "tool_calls", choice
    [call] = choice.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "weather" and set(arguments) == {"city", "days"} and 1 <= arguments["days"] <= 9
    either = served.ask(**options | {"tool_choice": "required", "parallel_tool_calls": False}).choices[0].message
    assert [one.function.name for one in either.tool_calls] in (["weather"], ["time"])


def test_with_none_no_tool_is_offered_and_what_looks_like_a_call_is_text(serve_style: Any) -> None:
    served = serve_style("hermes")
    served.says(WRITTEN["hermes"])
    choice = served.ask(tool_choice="none").choices[0]
    assert (choice.message.content, choice.finish_reason) == (WRITTEN["hermes"], "stop")


def test_where_calls_may_not_be_parallel_the_first_is_kept(serve_style: Any) -> None:
    served = serve_style("hermes")
    served.says(f"{WRITTEN['hermes']}\n{WRITTEN['hermes']}")
    assert len(served.ask().choices[0].message.tool_calls) == 2
    assert len(served.ask(parallel_tool_calls=False).choices[0].message.tool_calls) == 1


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"tools": [{"type": "function"}]}, "tools.0", "an object of type function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name", "letters, digits"),
        ({"tools": [TIME, TIME]}, "tools", "same name"),
        ({"tools": [TIME] * 200}, "tools", "128"),
        ({"tool_choice": "always"}, "tool_choice", "unknown"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice", "no tool is named 'f'"),
        ({"messages": [{"role": "assistant", "tool_calls": [1]}, ASK[0]]}, "messages.0.tool_calls.0", "with a name"),
    ],
)
def test_tools_that_make_no_sense_are_refused(serve_style: Any, options: Any, param: str, message: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message) as error:
        serve_style("hermes").ask(**options)
    assert error.value.param == param


def test_a_model_whose_template_has_no_tools_says_so(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="only the built-in calculator"):
        client.chat.completions.create(model="tiny", messages=ASK, tools=[WEATHER])
