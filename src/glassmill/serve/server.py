"""Listen on an address and run an application there.

Only this machine may connect, unless the user gives both another address and an API key.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from glassmill.errors import UserError
from glassmill.serve.connections import ConnectionLimits, connection_class
from glassmill.serve.drain import Server
from glassmill.serve.guard import ANY_ORIGIN, LOOPBACK

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

MAX_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 1024


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str, more: Sequence[str] = ()) -> frozenset[str] | None:
    """Host names to accept on a server at `host`: this machine's, and `more` of the user's.

    On an open address any (None), unless the user gives some: the key protects it.

    Raises:
        UserError: One of `more` is no name.
    """
    named = {name.strip().strip("[]").lower() for name in more}
    for name in named:
        if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", name):
            raise UserError(f"--allow-host {name!r}: give a name such as mill.example, without a scheme or a port")
    if is_loopback(host):
        return LOOPBACK | {host.lower()} | named
    return LOOPBACK | named if named else None


def allowed_origins(origins: Sequence[str], api_key: str | None) -> frozenset[str]:
    """Web pages that may read answers: `https://app.example`, with the port if there is one, or `*`.

    Raises:
        UserError: One of them is no origin, or any page could use the server without a key.
    """
    named = {origin.strip().rstrip("/").lower() for origin in origins}
    for origin in named - {ANY_ORIGIN}:
        if not re.fullmatch(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", origin):
            raise UserError(f"--allow-origin {origin!r}: give scheme and host of a page, such as https://app.example")
    if ANY_ORIGIN in named and api_key is None:
        raise UserError("--allow-origin *: any web page that somebody opens could use this server; give --api-key too")
    return frozenset(named)


def check_key(api_key: str | None) -> None:
    """Refuse an API key that no header can hold.

    Raises:
        UserError: It is empty, or has other characters than visible ASCII.
    """
    if api_key is not None and not re.fullmatch("[!-~]+", api_key):
        why = (
            "it is empty" if not api_key.strip() else "only ASCII letters, digits and signs are possible, and no blanks"
        )
        raise UserError(f"--api-key: {why}; for example {secrets.token_urlsafe(16)}")


def bind(host: str, port: int, api_key: str | None = None) -> socket.socket:
    """A socket listening on `host:port`; port 0 picks a free one.

    Raises:
        UserError: An open address without a key, an impossible key, a port that is in use or not allowed, or an unknown
            address.
    """
    check_key(api_key)
    if not is_loopback(host) and not api_key:
        raise UserError(
            f"--host {host} lets other machines connect; give --api-key KEY too, for example "
            f"{secrets.token_urlsafe(16)}, or stay on 127.0.0.1"
        )
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: must be from 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise UserError(_why_not(host, port, error)) from None
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use on {host}; choose another with --port, or --port 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs more privileges; choose one above 1023 with --port"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


def address_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: FastAPI, limits: ConnectionLimits | None = None) -> Server:
    """A server for an application of `create_api`: `server.run(sockets=[listener])` starts it.

    SIGTERM, Ctrl-C and `server.begin_drain(seconds)` stop it after the running answers; `server.should_exit = True` at
    once.
    """
    config = uvicorn.Config(
        app,
        http=connection_class(limits or ConnectionLimits()),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    return Server(config, app.state.drain)


def serve(
    model: Model,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the API for `model` until interrupted. `on_ready` gets the URL once the socket is listening.

    Raises:
        UserError: See `bind`.
    """
    from glassmill.serve.api import create_api

    listener = bind(host, port, api_key)
    app = create_api(lambda: model, api_key, allowed_hosts(host))
    on_ready(address_of(listener))
    try:
        make_server(app).run(sockets=[listener])
    finally:
        listener.close()
        model.close()
