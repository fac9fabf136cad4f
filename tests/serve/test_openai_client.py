"""The official client chats, completes, streams and gets the error class that fits, over a real server."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from glassmill.infer.decoder import Answer, Piece
from glassmill.infer.generate import Model

pytestmark = pytest.mark.parametrize("loaded", ["torch", "numpy"], indirect=True)
"""Every test here is asked of two decoders behind the same server."""

HELLO: Any = [{"role": "user", "content": "hello world"}]


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**{"model": "tiny", "messages": HELLO, "max_tokens": 24} | options)


def test_a_chat_completion_has_text_and_counts_its_tokens(client: openai.OpenAI, loaded: Model) -> None:
    answer = ask(client, temperature=0)
    assert answer.object == "chat.completion" and answer.model == "tiny"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == loaded.chat(HELLO, max_tokens=24)
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.prompt_tokens == len(loaded.chat_ids(HELLO))
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_temperature_0_and_equal_seeds_repeat_themselves(client: openai.OpenAI) -> None:
    texts = [[ask(client, **o).choices[0].message.content for _ in range(2)] for o in ({"temperature": 0}, {"seed": 7})]
    assert all(first == second for first, second in texts)
    assert ask(client, seed=8).choices[0].message.content != texts[1][0]


def test_the_server_writes_what_the_reference_decoder_writes(client: openai.OpenAI, model_folder: Path) -> None:
    reference = Model.load(model_folder)
    assert ask(client, temperature=0, max_tokens=60).choices[0].message.content == reference.chat(HELLO, max_tokens=60)
    reference.close()


def test_n_choices_differ_and_repeat_under_a_seed(client: openai.OpenAI) -> None:
    first, second = (ask(client, n=3, seed=1) for _ in range(2))
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in first.choices}) == 3
    assert [c.message.content for c in first.choices] == [c.message.content for c in second.choices]
    assert first.choices[0].message.content == ask(client, seed=1).choices[0].message.content


@pytest.mark.parametrize("options", [{"temperature": 0}, {"seed": 3}, {"seed": 4, "stop": ["a", "e"]}])
def test_a_stream_adds_up_to_the_answer_at_once(client: openai.OpenAI, options: dict[str, Any]) -> None:
    whole = ask(client, logprobs=True, top_logprobs=1, **options).choices[0]
    chunks = list(ask(client, stream=True, logprobs=True, top_logprobs=1, **options))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.message.content
    assert chunks[-1].choices[0].finish_reason == whole.finish_reason
    streamed = [token for chunk in chunks if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
    assert [token.bytes for token in streamed] == [token.bytes for token in whole.logprobs.content]


def test_choices_of_one_stream_keep_apart(client: openai.OpenAI) -> None:
    whole = ask(client, n=3, seed=5).choices
    texts = ["", "", ""]
    for chunk in ask(client, n=3, seed=5, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == [choice.message.content for choice in whole]


def test_a_stream_ends_with_its_usage_if_asked(client: openai.OpenAI) -> None:
    chunks = list(ask(client, stream=True, temperature=0, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage == ask(client, temperature=0).usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_log_probabilities_come_with_bytes_and_the_likeliest_tokens(client: openai.OpenAI) -> None:
    choice = ask(client, temperature=0, logprobs=True, top_logprobs=3).choices[0]
    assert bytes(b for token in choice.logprobs.content for b in token.bytes).decode(errors="replace") == (
        choice.message.content
    )
    for token in choice.logprobs.content:
        assert len(token.top_logprobs) == 3 and token.top_logprobs[0].logprob == token.logprob
    assert ask(client, temperature=0).choices[0].logprobs is None


def test_stop_strings_end_the_text_before_them(client: openai.OpenAI) -> None:
    whole = ask(client, seed=11, max_tokens=60).choices[0].message.content
    stop = whole[5:7]
    cut = ask(client, seed=11, max_tokens=60, stop=stop).choices[0]
    assert cut.message.content == whole[: whole.index(stop)] and cut.finish_reason == "stop"


def test_extra_sampling_fields_work(client: openai.OpenAI) -> None:
    greedy = ask(client, temperature=0).choices[0].message.content
    assert ask(client, temperature=1, extra_body={"top_k": 1}).choices[0].message.content == greedy
    assert ask(client, temperature=1, extra_body={"min_p": 1.0}).choices[0].message.content == greedy
    assert ask(client, temperature=1, top_p=0).choices[0].message.content == greedy
    biased = ask(client, temperature=0, logit_bias={"65": 100}, max_tokens=5).choices[0].message.content
    assert biased == "AAAAA"
    assert ask(client, max_tokens=None, max_completion_tokens=2).usage.completion_tokens <= 2


def test_completions_take_text_lists_and_token_ids(client: openai.OpenAI, loaded: Model) -> None:
    def texts(prompt: Any) -> list[str]:
        answer = client.completions.create(model="tiny", prompt=prompt, max_tokens=8, temperature=0)
        assert [choice.index for choice in answer.choices] == list(range(len(answer.choices)))
        return [choice.text for choice in answer.choices]

    hello, ids = loaded.generate("hello", max_tokens=8, temperature=0), loaded.prompt_ids("hello")
    assert texts("hello") == texts(ids) == texts([ids]) == [hello]
    assert texts(["hello", "a"])[0] == texts([ids, [97]])[0] == hello
    assert len(texts(["a", "b", "c"])) == 3


def test_lm_evals_request_gets_the_log_probabilities_of_its_prompt(client: openai.OpenAI, loaded: Model) -> None:
    prompts = [loaded.prompt_ids("hello world"), loaded.prompt_ids("the old world")]
    answer = client.completions.create(
        model="tiny", prompt=prompts, max_tokens=1, logprobs=1, echo=True, temperature=0, seed=1234
    )
    for prompt, choice in zip(prompts, answer.choices, strict=True):
        scores = choice.logprobs
        assert len(scores.token_logprobs) == len(scores.tokens) == len(scores.top_logprobs) == len(prompt) + 1
        assert scores.token_logprobs[0] is None and scores.top_logprobs[0] is None
        logits = loaded.logits(prompt).astype(float)
        for place in range(1, len(prompt)):
            row = logits[place - 1] - logits[place - 1].max()
            expected = row[prompt[place]] - math.log(np.exp(row).sum())
            assert scores.token_logprobs[place] == pytest.approx(expected, abs=1e-4)
        assert choice.text.startswith(loaded.tokenizer.decode(prompt))


def test_an_echoed_stream_adds_up_to_the_answer_at_once(client: openai.OpenAI) -> None:
    options: Any = {"model": "tiny", "prompt": "hello", "echo": True, "logprobs": 0, "max_tokens": 9, "temperature": 0}
    whole = client.completions.create(**options).choices[0]
    chunks = list(client.completions.create(**options, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.text
    assert [t for c in chunks for t in c.choices[0].logprobs.token_logprobs] == whole.logprobs.token_logprobs
    assert [t for c in chunks for t in c.choices[0].logprobs.text_offset] == whole.logprobs.text_offset


def test_models_are_listed_and_looked_up(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError, match="unknown model 'gpt-4'; available: 'tiny'"):
        client.models.retrieve("gpt-4")


PICTURE: Any = [{"role": "user", "content": [{"type": "image_url"}]}]


@pytest.mark.parametrize(
    ("options", "message", "param", "code"),
    [
        ({"temperature": "hot"}, "temperature: input should be a valid number", "temperature", "invalid_value"),
        ({"temperature": -1}, "greater than or equal to 0", "temperature", "invalid_value"),
        ({"messages": []}, "at least 1 item", "messages", "invalid_value"),
        ({"n": 99}, "less than or equal to 16", "n", "invalid_value"),
        ({"stop": [""]}, "strings that are not empty", "stop", None),
        ({"logit_bias": {"9999": 1}}, "token id 9999 is out of range", None, None),
        ({"top_logprobs": 3}, "needs logprobs = true", "top_logprobs", None),
        ({"extra_body": {"temprature": 1}}, "did you mean temperature", "temprature", "unknown_field"),
        ({"tools": [{"type": "function"}]}, "tools is not supported", "tools", "unsupported_field"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "must be one of system", "messages.0.role", None),
        ({"messages": PICTURE}, "only parts of type text", "messages.0.content.0", None),
        ({"messages": [{"role": "user", "content": "x" * 400}]}, "256", "messages", "context_length_exceeded"),
    ],
)
def test_every_mistake_is_a_bad_request_that_names_the_field(
    client: openai.OpenAI, options: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match=message) as caught:
            ask(client, stream=stream, **options)
        assert (caught.value.param, caught.value.code) == (param, code)


def test_another_models_name_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="unknown model 'gpt-4'; available: 'tiny'") as caught:
        ask(client, model="gpt-4")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_fields_without_meaning_here_are_left_alone(client: openai.OpenAI) -> None:
    harmless = {
        "user": "me",
        "store": False,
        "metadata": {"a": "b"},
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }
    assert ask(client, temperature=0, **harmless, response_format={"type": "text"}).choices[0].message.content


def test_eight_clients_at_once_get_what_each_gets_alone(client: openai.OpenAI) -> None:
    alone = [ask(client, seed=i).choices[0].message.content for i in range(8)]
    with ThreadPoolExecutor(8) as threads:
        together = threads.map(lambda i: ask(client, seed=i).choices[0].message.content, range(8))
        assert list(together) == alone


def test_the_first_piece_of_a_stream_comes_before_the_last_is_made(
    client: openai.OpenAI, loaded: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, read_on, compute = count(), threading.Event(), loaded.decoder.forward

    def forward(pieces: Sequence[Piece]) -> list[Answer]:
        if next(steps) == 20:  # the rest of the answer is made when its beginning has been read
            assert read_on.wait(60)
        return compute(pieces)

    monkeypatch.setattr(loaded.decoder, "forward", forward)
    try:
        stream = iter(ask(client, stream=True, max_tokens=200, temperature=0, extra_body={"ignore_eos": True}))
        assert next(part for part in stream if part.choices and part.choices[0].delta.content)
        assert next(steps) < 23
    finally:
        read_on.set()
    assert len(list(stream)) > 1


def is_idle(model: Model, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not model.engine.stats().running and not model.engine.stats().waiting:
            return True
        time.sleep(0.01)
    return False


SLOW = {"messages": HELLO, "ignore_eos": True, "n": 16, "logprobs": True, "top_logprobs": 20}
"""As much work as one request may bring."""


def test_a_client_that_hangs_up_stops_the_engine_streaming_or_not(server: Any, loaded: Model) -> None:
    for stream in (True, False):
        before = loaded.engine.stats().new_tokens
        with httpx.Client() as impatient:
            url = f"{server.url}/v1/chat/completions"
            if stream:
                with impatient.stream("POST", url, json={**SLOW, "stream": True}) as response:
                    next(response.iter_lines())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    impatient.post(url, json=SLOW, timeout=0.1)
        assert is_idle(loaded)
        made = loaded.engine.stats().new_tokens - before
        assert made < 0.9 * 16 * 230, f"{made} tokens for nobody (stream = {stream})"


def test_a_hundred_disconnects_leave_nothing_running(server: Any, loaded: Model) -> None:
    threads_before = threading.active_count()
    address = server.listener.getsockname()
    for i in range(100):
        body = json.dumps({"messages": HELLO, "stream": i % 2 == 0, "ignore_eos": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(address) as connection:
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            if i % 4 < 2:
                time.sleep(0.01)
    assert is_idle(loaded)
    assert threading.active_count() < threads_before + 45  # the event loop's pool keeps up to 40
