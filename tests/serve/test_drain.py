"""A server that stops lets running answers end, or says that they did not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from glassmill.infer.generate import Model
from glassmill.serve.api import create_api

ASK = {"messages": [{"role": "user", "content": "hello"}], "stream": True, "temperature": 0, "ignore_eos": True}


@pytest.fixture
def model(model_folder: Any) -> Iterator[Model]:
    opened = Model.load(model_folder)
    yield opened
    opened.close()


@pytest.fixture
def gate(model: Model) -> threading.Event:
    """Nothing is computed until it is set, from the tenth step on."""
    compute, go_on, steps = model.decoder.forward, threading.Event(), [0]

    def forward(pieces: Any) -> Any:
        steps[0] += 1
        if steps[0] > 10:
            go_on.wait(60)
        return compute(pieces)

    model.decoder.forward = forward  # type: ignore[method-assign]
    return go_on


def events(lines: Iterator[str]) -> list[Any]:
    return [line[6:] for line in lines if line.startswith("data: ")]


def test_running_answers_end_and_new_requests_are_refused(
    model: Model, gate: threading.Event, start_server: Any
) -> None:
    server = start_server(create_api(lambda: model))
    chat = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", chat, json=ASK, timeout=60) as response:
        lines = response.iter_lines()
        next(lines)
        server.server.begin_drain(60)
        refused = httpx.post(chat, json=ASK)
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "shutting_down"
        assert httpx.get(f"{server.url}/health").status_code == 503
        gate.set()
        assert events(lines)[-1] == "[DONE]"
    server.thread.join(20)
    assert not server.thread.is_alive()
    server.listener.close()


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_takes_too_long_ends_with_an_error(
    model: Model, gate: threading.Event, start_server: Any, stream: bool
) -> None:
    server = start_server(create_api(lambda: model))
    if not stream:
        threading.Timer(0.5, server.server.begin_drain, (0.2,)).start()
    chat = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", chat, json={**ASK, "stream": stream}, timeout=60) as response:
        if stream:
            lines = response.iter_lines()
            next(lines)
            server.server.begin_drain(0.2)
            error = json.loads(events(lines)[-1])["error"]
        else:
            error = json.loads(response.read())["error"]
            assert response.status_code == 503
    assert error["code"] == "shutting_down" and "before the answer was complete" in error["message"]
    gate.set()
    server.thread.join(20)
    assert not server.thread.is_alive()
    server.listener.close()


def test_a_server_without_work_stops_at_once(loaded: Model, start_server: Any) -> None:
    server = start_server(create_api(lambda: loaded))
    httpx.get(f"{server.url}/health")
    server.server.begin_drain(3600)
    server.thread.join(20)
    assert not server.thread.is_alive()
    server.listener.close()
