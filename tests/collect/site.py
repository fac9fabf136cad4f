"""A small site on loopback for the crawler: pages, robots.txt, a sitemap, and a count of who asked for what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], str]


class Site:
    """Answers by path; `asked` tells which paths were asked for, in order, and `connections` counts every one."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.asked: list[str] = []
        self.connections = 0
        self.port = 0

    def page(self, path: str, *links: str, text: str = "") -> None:
        anchors = "".join(f'<a href="{link}">{link}</a> ' for link in links)
        html = f"<html><head><title>{path}</title></head><body><p>Page {path}. {text}</p>{anchors}</body></html>"
        self.answers[path] = (200, {"Content-Type": "text/html; charset=utf-8"}, html)

    def redirect(self, path: str, to: str) -> None:
        self.answers[path] = (302, {"Location": to}, "")

    def text(self, path: str, content: str, media_type: str = "text/plain") -> None:
        self.answers[path] = (200, {"Content-Type": media_type}, content)

    @property
    def pages_asked(self) -> set[str]:
        return set(self.asked) - {"/robots.txt", "/sitemap.xml"}


@contextmanager
def serving(site: Site, host: str = "127.0.0.1", port: int = 0) -> Iterator[Site]:
    """The site, answering until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            site.connections += 1
            super().setup()

        def do_GET(self) -> None:
            site.asked.append(self.path)
            answer = site.answers.get(self.path, (404, {"Content-Type": "text/html"}, "not here"))
            status, headers, body = answer() if callable(answer) else answer
            content = body.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    site.port = server.server_port
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
