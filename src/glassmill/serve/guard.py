"""What stands between the network and the routes: who may ask, from where, and how much.

One ASGI layer, outermost, so that it covers every route that is added later:

- `Host` must be a known name (against DNS rebinding), and `Origin`, if there is one, too (against other web pages);
- with an API key, every path that is not declared public needs `Authorization: Bearer KEY`;
- a request's body is read here, up to a size and within a time.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glassmill.errors import ApiError
from glassmill.serve.errors import error_response

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one request may bring."""

    body_bytes: int = 2_000_000
    body_seconds: float = 30.0


class Guard:
    """The layer.

    Args:
        app: What it guards.
        api_key: Needed for every path that is not public; `None`: no key.
        allowed_hosts: Names in `Host` and `Origin`; `None`: any `Host`, and an `Origin` equal to it.
        public_paths: Paths that need no key; one that ends in "/" stands for all below it, "/" for itself alone.
        limits: Size and time of bodies.
    """

    def __init__(
        self,
        app: ASGIApp,
        api_key: str | None = None,
        allowed_hosts: frozenset[str] | None = LOOPBACK,
        public_paths: frozenset[str] = frozenset({"/health"}),
        limits: Limits | None = None,
    ) -> None:
        self.app, self.api_key = app, api_key
        self.allowed_hosts, self.public_paths = allowed_hosts, public_paths
        self.limits = limits or Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise ApiError(400, "only HTTP is spoken here")
            headers = Headers(scope=scope)
            self.check_origin(headers)
            self.check_key(scope["path"], headers)
            body = await self.read_body(headers, receive)
        except ApiError as error:
            if scope["type"] == "http":
                await error_response(error)(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)

    def check_origin(self, headers: Headers) -> None:
        """Refuse a host name that is not ours, and pages from elsewhere."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.allowed_hosts is not None and _hostname(f"//{host}") not in self.allowed_hosts:
            raise ApiError(403, f"host {host!r} is not served here; use 127.0.0.1 or localhost", code="unknown_host")
        if origin is None:
            return
        known = {_hostname(f"//{host}")} if self.allowed_hosts is None else self.allowed_hosts
        if _hostname(origin) not in known:
            raise ApiError(403, f"pages from {origin!r} may not ask here", code="unknown_origin")

    def check_key(self, path: str, headers: Headers) -> None:
        """Refuse a request without the key."""
        if self.api_key is None or self._is_public(path):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.api_key.encode()):
            told = "wrong API key" if given else "an API key is needed: Authorization: Bearer KEY"
            raise ApiError(401, told, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})

    def _is_public(self, path: str) -> bool:
        return any(
            path == public or (len(public) > 1 and public.endswith("/") and path.startswith(public))
            for public in self.public_paths
        )

    async def read_body(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            ApiError: It is too large or comes too slowly.
        """
        limit = self.limits.body_bytes
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise _too_large(limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise _too_large(limit)
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise ApiError(408, "the body did not arrive in time", headers={"Connection": "close"}) from None


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body is larger than {limit} bytes", code="too_large", headers={"Connection": "close"})


def _hostname(address: str) -> str | None:
    """The name in `//host:port` or an origin, in lower case; `None` if there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once and then whatever follows (a disconnect)."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
