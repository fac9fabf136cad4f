"""Listen on an address and run an application there.

Only this machine may connect, unless the user gives both another address and an API key.
"""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from glassmill.errors import UserError
from glassmill.serve.guard import LOOPBACK

if TYPE_CHECKING:
    from glassmill.infer.generate import Model


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Host names to accept on a server at `host`; `None` (any) on an open address, which the key protects."""
    return LOOPBACK | {host.lower()} if is_loopback(host) else None


def bind(host: str, port: int, api_key: str | None = None) -> socket.socket:
    """A socket listening on `host:port`; port 0 picks a free one.

    Raises:
        UserError: An open address without a key, a port that is in use or not allowed, or an unknown address.
    """
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


def make_server(app: ASGIApp) -> uvicorn.Server:
    """A server for one application: `server.run(sockets=[listener])` starts, `server.should_exit = True` stops it."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=1024,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


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
