"""A small imitation of Common Crawl's bucket on loopback, which can misbehave on request."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Fault = str
"""`503`, `404`, `cut` (half of the bytes, then the line breaks), `longer` (says more than it has), `garbage` (other
bytes), `no-range` (the whole file, whatever was asked for), `slow` (a byte at a time, until the client is gone)."""


class Bucket:
    """Files by path, and the faults that the next requests for a path meet. Keeps what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, deque[Fault]] = {}
        self.asked: list[tuple[str, str]] = []
        self.sent = 0
        self.url = ""

    def add_crawl(self, crawl: str, files: dict[str, bytes]) -> list[str]:
        """Puts the files and their list in the bucket; their paths."""
        paths = {f"crawl-data/{crawl}/segments/1.0/warc/{name}": content for name, content in files.items()}
        self.files |= paths
        listing = "".join(f"{path}\n" for path in paths).encode()
        self.files[f"crawl-data/{crawl}/warc.paths.gz"] = gzip.compress(listing, mtime=0)
        return list(paths)

    def fail(self, path: str, *faults: Fault) -> None:
        self.faults.setdefault(path, deque()).extend(faults)


@contextmanager
def served(bucket: Bucket) -> Iterator[Bucket]:
    """The bucket, answering at `bucket.url` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            wanted = self.headers.get("Range", "")
            bucket.asked.append((path, wanted))
            waiting = bucket.faults.get(path)
            fault = waiting.popleft() if waiting else ""
            content = bucket.files.get(path)
            if content is None or fault in ("404", "503"):
                self._plain(int(fault) if fault else 404)
                return
            self._file(content, wanted, fault)

        def _plain(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 503:
                self.send_header("Retry-After", "0")
            self.end_headers()

        def _file(self, content: bytes, wanted: str, fault: str) -> None:
            etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
            changed = self.headers.get("If-Range", etag) != etag
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not changed else 0
            if fault == "no-range":
                begin, wanted = 0, ""
            if begin >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = content[begin:]
            self.send_response(206 if wanted and not changed else 200)
            if wanted and not changed:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(body) + (100 if fault == "longer" else 0)))
            self.end_headers()
            self._body(body, fault)

        def _body(self, body: bytes, fault: str) -> None:
            if fault == "garbage":
                body = bytes(len(body))
            try:
                if fault == "slow":
                    for place in range(0, len(body), 20_000):
                        self.wfile.write(body[place : place + 20_000])
                        bucket.sent += 20_000
                        stop.wait(0.05)
                    return
                self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
                self.wfile.flush()
            except OSError:
                pass  # the client is gone
            if fault in ("cut", "longer"):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    stop = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield bucket
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
