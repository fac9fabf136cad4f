"""A real S3 server on loopback (moto's), and a proxy before it that misbehaves on request."""

from __future__ import annotations

import http.client
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from glassmill.run.stores.client import put_file

FAULTS = ("503", "500", "reset", "torn", "short", "silent", "lost")
"""`503` Slow Down, `500`, `reset` before an answer, `torn`: half of the body, then the line breaks, `short`: fewer
bytes than were asked for, and said so, `silent`: no answer, `lost`: the server does it, and nobody hears of it."""
needs_server = pytest.mark.skipif(
    not all(map(find_spec, ("s3fs", "moto", "flask"))), reason="no S3 here: pip install 'glassmill[s3,dev]'"
)
SECRET = "not-to-be-printed"
SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
SILENCE_S = 20.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def environment(url: str) -> dict[str, str]:
    """What a process needs to find the server."""
    return {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "GLASSMILL_STORE_TIMEOUT_S": "1.5",
    }  # fmt: skip


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of a server with the bucket `web`."""
    process, url = start_server("127.0.0.1", free_port())
    try:
        make_bucket(url)
        yield url
    finally:
        process.kill()
        process.wait()


def start_server(host: str, port: int, within: tuple[str, ...] = ()) -> tuple[subprocess.Popen[bytes], str]:
    """A server that is starting, and its URL. `within`: a command that runs it, as in another network namespace."""
    command = [*within, sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), f"http://{host}:{port}"


def make_bucket(url: str) -> None:
    """Waits for the server, and makes the bucket `web`."""
    host, _, port = url.removeprefix("http://").partition(":")
    for _ in range(600):
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            break
        time.sleep(0.1)
    line = http.client.HTTPConnection(host, int(port), timeout=30)
    line.request("PUT", "/web", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=tester/x/us-east-1/s3/x"})
    assert line.getresponse().status == 200
    line.close()


def upload(folder: Path, to: str) -> None:
    """Every file of a folder, under its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            put_file(path, f"{to}/{path.relative_to(folder).as_posix()}")


class Proxy:
    """Passes requests on; some meet a fault.

    Args:
        faults: How many requests in all meet one.
        share: Of how many requests, on average.
    """

    def __init__(self, to: str, faults: int = 0, share: float = 0.3, kinds: tuple[str, ...] = FAULTS) -> None:
        self.to = to.removeprefix("http://")
        self.left, self.share, self.kinds = faults, share, kinds
        self.met: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.bytes = 0
        self.chance = random.Random(7)
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.url = ""

    def fault(self) -> str:
        with self.lock:
            if self.left <= 0 or self.chance.random() > self.share:
                return ""
            self.left -= 1
            kind = self.kinds[self.left % len(self.kinds)]
            self.met[kind] += 1
            return kind


@contextmanager
def proxied(proxy: Proxy) -> Iterator[Proxy]:
    """The proxy, answering at `proxy.url` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            fault, length = proxy.fault(), int(self.headers.get("Content-Length", 0))
            if fault == "torn" and length:  # an upload that breaks off
                self.rfile.read(length // 2)
                return self._reset()
            body = self.rfile.read(length)
            proxy.asked[self.command] += 1
            if fault in ("503", "500"):
                return self._answer(int(fault), {}, SLOW_DOWN if fault == "503" else b"")
            if fault == "reset":
                return self._reset()
            if fault == "silent":
                proxy.stop.wait(SILENCE_S)
                return self._reset()
            line = http.client.HTTPConnection(proxy.to, timeout=60)
            line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                line.putheader(name, value)
            line.endheaders(body)
            answer = line.getresponse()
            data = answer.read()
            line.close()
            if fault == "lost":
                return self._reset()
            self._answer(answer.status, dict(answer.getheaders()), data, fault)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

        def _answer(self, status: int, headers: dict[str, str], data: bytes, fault: str = "") -> None:
            if fault == "short":
                data = data[: len(data) // 2]
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command == "HEAD":
                return
            proxy.bytes += len(data)
            self.wfile.write(data[: len(data) // 2] if fault == "torn" else data)
            if fault == "torn":
                self._reset()

        def _reset(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.shutdown(socket.SHUT_RDWR)

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        proxy.stop.set()
        server.shutdown()
        server.server_close()


def with_environment(url: str) -> dict[str, str]:
    """This process's environment with the server in it."""
    return os.environ | environment(url)


if __name__ == "__main__":  # python -m tests.s3 URL FOLDER ADDRESS, in the server's network namespace
    make_bucket(sys.argv[1])
    upload(Path(sys.argv[2]), sys.argv[3])
