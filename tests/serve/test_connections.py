"""Clients that are slow, many or silent are closed in time, and cost the others nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.serve.connections import Book, ConnectionLimits, _key
from glassmill.serve.guard import Limits
from glassmill.serve.server import make_server

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
LIMITS = ConnectionLimits(header_seconds=0.4, per_client=12)


@pytest.fixture(scope="module")
def strict(loaded: Model, start_server: Any) -> Iterator[Any]:
    """A server that waits briefly for headers and takes few connections."""
    app = create_api(lambda: loaded, limits=Limits(body_seconds=0.4))
    running = start_server(app, lambda app: make_server(app, LIMITS))
    yield running
    running.stop()


def connect(server: Any) -> socket.socket:
    connection = socket.create_connection(server.listener.getsockname())
    connection.settimeout(20)
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def said(stream: str) -> str:
    """The text of a whole stream."""
    *chunks, done = [line[6:] for line in stream.splitlines() if line]
    assert done == "[DONE]"
    return "".join(json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"G", b"408"),
        (HEAD, b"408"),
        (HEAD + b"X-Slow: ", b"408"),
        (HEAD + b"\r\n" + HEAD, b"200"),  # the second request of a connection
        (HEAD + b"Authorization: x\r\nContent-Length: 9\r\nConnection: keep-alive\r\n\r\n", b"408"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000, b"400"),
    ],
    ids=["silent", "a letter", "no end", "in a header", "second request", "no body", "no HTTP", "too long"],
)
def test_a_request_that_never_comes_is_closed(strict: Any, sent: bytes, status: bytes) -> None:
    with connect(strict) as connection:
        connection.sendall(sent)
        assert rest(connection).split(b" ")[1:2] == ([status] if status else [])


def test_headers_a_byte_at_a_time_have_one_deadline(strict: Any) -> None:
    with connect(strict) as connection:
        connection.settimeout(0.05)
        answer, sent = b"", 0
        for byte in HEAD * 20:
            try:
                connection.sendall(bytes([byte]))
                sent += 1
                answer += connection.recv(1000)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
            if answer:
                break
        assert b"408" in answer.split(b"\r\n")[0] and sent < len(HEAD)
        assert json.loads(answer.split(b"\r\n\r\n")[1])["error"]["code"] == "timeout"


def test_a_body_that_goes_on_after_a_refusal_is_not_read_forever(strict: Any) -> None:
    with connect(strict) as connection:
        connection.sendall(b"POST /tokenize HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 999\r\n\r\n{")
        assert b"403" in connection.recv(1000)
        assert rest(connection) is not None


def test_a_client_with_too_many_silent_connections_loses_the_oldest(strict: Any) -> None:
    with ExitStack() as opened:
        silent = [opened.enter_context(connect(strict)) for _ in range(30)]
        with httpx.Client(base_url=strict.url) as client:
            assert client.get("/health").status_code == 200
        assert rest(silent[0]) == b"" == rest(silent[5])


def test_connections_with_requests_are_kept_and_more_than_allowed_refused(strict: Any) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "a"}], "stream": True, "ignore_eos": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 1}\r\n"
    with ExitStack() as opened:
        busy = []
        for _ in range(LIMITS.per_client):
            busy.append(opened.enter_context(connect(strict)))
            busy[-1].sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)  # a byte is missing
        time.sleep(0.1)
        with connect(strict) as last:
            assert b"429" in rest(last)
        for connection in busy:
            connection.sendall(b" ")
        assert all(b"200 OK" in connection.recv(1000) for connection in busy)


class Silent:
    """A connection that the book knows."""

    closed = False

    def give_up(self) -> None:
        self.closed = True


def test_the_oldest_silent_connection_of_the_greediest_client_makes_room() -> None:
    book = Book(ConnectionLimits(per_client=3, in_all=5))
    greedy: list[Any] = [Silent() for _ in range(4)]
    assert all(book.admit(one, "greedy") for one in greedy)
    assert [one.closed for one in greedy] == [True, False, False, False]
    modest: list[Any] = [Silent() for _ in range(3)]
    assert all(book.admit(one, "modest") for one in modest[:2])
    book.set_waiting(greedy[1], "greedy", False)  # it has a request
    assert book.admit(modest[2], "modest") and [one.closed for one in greedy] == [True, False, True, False]
    for one in (*greedy, *modest):
        book.set_waiting(one, "greedy" if one in greedy else "modest", False)
    late: Any = Silent()
    assert not book.admit(late, "other")
    book.forget(late, "other")
    for one in (*greedy, *modest):
        book.forget(one, "greedy" if one in greedy else "modest")
        book.forget(one, "nobody")
    assert book.number == 0 and not book.open and not book.waiting


def test_a_network_of_ipv6_addresses_is_one_client() -> None:
    assert _key(("2001:db8::1", 1)) == _key(("2001:db8::ffff:1", 2)) != _key(("2001:db8:0:1::1", 1))
    assert _key(("127.0.0.1", 1)) != _key(("127.0.0.2", 1)) and _key(None) == ""


@pytest.mark.slow
def test_streams_end_right_beside_two_hundred_slow_headers(loaded: Model, start_server: Any) -> None:
    limits = ConnectionLimits(header_seconds=3.0)
    server = start_server(create_api(lambda: loaded), lambda app: make_server(app, limits))
    body = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0, "max_tokens": 60, "stream": True}
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client, ExitStack() as opened:
            alone = client.post("/v1/chat/completions", json=body).text
            slow = [opened.enter_context(connect(server)) for _ in range(200)]
            for connection in slow:
                connection.sendall(HEAD)
            beside = [client.post("/v1/chat/completions", json=body).text for _ in range(10)]
            assert said(alone) and all(said(other) == said(alone) for other in beside)
            answers = [rest(connection) for connection in slow]
        assert all(b"408" in answer for answer in answers)
    finally:
        server.stop()
