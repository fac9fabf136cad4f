"""Nobody gets in from elsewhere, without the key, or with too much; and a refusal has the form of every other error."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI

from glassmill.errors import UserError
from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.serve.guard import Limits
from glassmill.serve.server import allowed_hosts, bind

KEY = "a-key-of-the-tests"
Open = Callable[[FastAPI], AbstractContextManager[httpx.Client]]


@pytest.fixture
def open_app(start_server: Any) -> Open:
    @contextmanager
    def opened(app: FastAPI) -> Iterator[httpx.Client]:
        server = start_server(app)
        with httpx.Client(base_url=server.url) as client:
            yield client
        server.stop()

    return opened


@pytest.fixture(scope="module")
def plain(server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def official(client: httpx.Client, api_key: str = "x") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{client.base_url}/v1", api_key=api_key, max_retries=0, http_client=client)


def error_of(response: httpx.Response) -> dict[str, Any]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return error


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1234"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost@evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "["}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_hosts_and_other_pages_are_turned_away(plain: httpx.Client, headers: dict[str, str], status: int) -> None:
    response = plain.get("/v1/models", headers=headers)
    assert response.status_code == status
    if status != 200:
        assert error_of(response)["type"] == "permission_error"


def test_every_route_but_the_public_ones_needs_the_key(loaded: Model, open_app: Open) -> None:
    app = create_api(lambda: loaded, api_key=KEY, public_paths=frozenset({"/health", "/", "/static/"}))
    routes = [(method, route.path) for route in app.routes for method in getattr(route, "methods", ())]
    assert len(routes) >= 9
    with open_app(app) as client:
        for method, path in routes:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}, {"Authorization": ""}):
                answer = client.request(method, path.replace("{name:path}", "tiny"), headers=headers)
                assert answer.status_code == (200 if path == "/health" else 401), (method, path, headers)
        assert client.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        assert client.get("/").status_code == 404 == client.get("/static/app.js").status_code
        assert client.get("/static/../v1/models").status_code == 401
        with pytest.raises(openai.AuthenticationError, match="wrong API key"):
            official(client, "wrong").models.list()


def test_a_body_that_is_too_large_or_too_slow_is_refused(loaded: Model, open_app: Open) -> None:
    with open_app(create_api(lambda: loaded, limits=Limits(body_bytes=1000, body_seconds=0.2))) as client:
        large = {"messages": [{"role": "user", "content": "x" * 2000}]}
        assert error_of(client.post("/v1/chat/completions", json=large))["code"] == "too_large"
        answer = client.post("/v1/chat/completions", content=iter([b"x" * 600] * 3))  # in chunks, with no length
        assert answer.status_code == 413
        with socket.create_connection((client.base_url.host, client.base_url.port)) as slow:
            slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            start = time.monotonic()
            assert b"408" in slow.recv(100)
            assert time.monotonic() - start < 5
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"", 400),
        ("POST", "/v1/chat/completions", b"[]", 400),
        ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "temperature": NaN}', 400),
        ("POST", "/v1/chat/completions", b'{"messages": [{"role": "\\ud800", "content": "a"}]}', 400),
        ("POST", "/v1/chat/completions", b"\xff\xfe", 400),
        ("POST", "/v1/completions", b'{"prompt": []}', 400),
        ("POST", "/v1/completions", b'{"prompt": [[]]}', 400),
        ("POST", "/v1/completions", b'{"prompt": [1, "a"]}', 400),
        ("POST", "/v1/completions", b'{"prompt": "a", "suffix": "b"}', 400),
        ("POST", "/v1/completions", b'{"prompt": [99999999999999999999]}', 400),
        ("GET", "/v1/chat/completions", b"", 405),
        ("GET", "/v1/nothing", b"", 404),
        ("POST", "/detokenize", b'{"tokens": [-1]}', 400),
        ("POST", "/tokenize", b"{}", 400),
    ],
)
def test_nonsense_is_an_error_in_the_same_form(
    plain: httpx.Client, method: str, path: str, content: bytes, status: int
) -> None:
    answer = plain.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    error_of(answer)


def test_half_surrogates_in_text_are_repaired(plain: httpx.Client) -> None:
    body = b'{"prompt": "a\\ud800b", "max_tokens": 1, "echo": true}'
    answer = plain.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["choices"][0]["text"].startswith("a\ufffdb")


def test_without_a_model_every_question_is_answered_with_patience(open_app: Open) -> None:
    with open_app(create_api(lambda: None)) as client:
        answer = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code == 503 and error_of(answer)["message"] == "the model is still being trained"
        assert client.get("/v1/models").json() == {"object": "list", "data": []}
        assert client.get("/health").status_code == 503
        with pytest.raises(openai.InternalServerError, match="still being trained"):
            official(client).completions.create(model="any", prompt="hi")


def test_a_full_queue_is_a_rate_limit(model_folder: Any, open_app: Open) -> None:
    model = Model.load(model_folder, max_batch=1)
    model.engine.max_waiting = 2
    with open_app(create_api(lambda: model)) as client, pytest.raises(openai.RateLimitError, match="try again later"):
        official(client).completions.create(model="tiny", prompt=["a"] * 5)
    model.close()


def test_text_becomes_tokens_and_tokens_text(plain: httpx.Client, loaded: Model) -> None:
    answer = plain.post("/tokenize", json={"prompt": "hello world", "with_pieces": True}).json()
    assert answer["tokens"] == loaded.prompt_ids("hello world") and answer["count"] == len(answer["tokens"])
    assert "".join(answer["pieces"]) == "hello world"
    assert plain.post("/tokenize", json={"content": "hello world"}).json()["tokens"] == answer["tokens"]
    assert plain.post("/detokenize", json={"tokens": answer["tokens"]}).json()["prompt"] == "hello world"
    messages = [{"role": "user", "content": "hi"}]
    shown = plain.post("/apply-template", json={"messages": messages}).json()
    assert shown["prompt"] == "<|user|>hi<|assistant|>"
    assert shown["tokens"] == plain.post("/tokenize", json={"messages": messages}).json()["tokens"]


def test_metrics_count_what_the_engine_did(plain: httpx.Client) -> None:
    lines = plain.get("/metrics").text.splitlines()
    names = {line.partition("{")[0] for line in lines}
    assert names >= {"glassmill_running", "glassmill_waiting", "glassmill_new_tokens"}


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("0.0.0.0", 0, "--host 0.0.0.0 lets other machines connect; give --api-key"),
        ("::", 0, "--host :: lets other machines connect"),
        ("example.com", 0, "lets other machines connect"),
        ("127.0.0.1", 70000, "--port 70000: must be from 0 to 65535"),
    ],
)
def test_an_open_address_needs_a_key(host: str, port: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        bind(host, port)


def test_a_port_in_use_is_one_clear_line() -> None:
    with closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use on 127.0.0.1; choose another with --port") as error:
            bind("127.0.0.1", port)
        assert "\n" not in str(error.value)


def test_with_a_key_an_open_address_is_allowed() -> None:
    with closing(bind("0.0.0.0", 0, api_key=KEY)) as listener:
        assert listener.getsockname()[1] > 0
    assert allowed_hosts("0.0.0.0") is None
    assert "127.0.0.1" in (allowed_hosts("localhost") or ())


def test_a_model_that_fails_is_a_server_error_without_its_inner_life(model_folder: Any, open_app: Open) -> None:
    model = Model.load(model_folder)
    model.decoder.forward = lambda pieces: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with open_app(create_api(lambda: model)) as client:
        for stream in (False, True):
            body = {"messages": [{"role": "user", "content": "hi"}], "stream": stream}
            answer = client.post("/v1/chat/completions", json=body)
            assert "the model failed on this request" in answer.text and "division" not in answer.text
            assert answer.status_code == (200 if stream else 500)
        assert client.get("/health").status_code == 200
    model.close()
