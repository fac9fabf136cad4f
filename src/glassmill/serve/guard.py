"""Access control in front of all routes: allowed hosts and origins, the API key, limits on bodies.

The outermost ASGI layer, so it covers every route that is added later:

- `Host` must be a known name (against DNS rebinding), and so must `Origin`, if present (against other web pages);
- with an API key, every path that is not public needs `Authorization: Bearer KEY`;
- the request body is read here, with a limit on its size and a timeout.
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
    """Limits on one request's body."""

    body_bytes: int = 2_000_000
    body_seconds: float = 30.0


class Guard:
    """The ASGI layer.

    Args:
        app: The application it protects.
        api_key: Required for every path that is not public; `None`: no key.
        allowed_hosts: Names allowed in `Host` and `Origin`; `None`: any `Host`, and an `Origin` equal to it.
        public_paths: Paths that need no key; one that ends in "/" covers everything below it, "/" only itself.
        limits: Size and timeout of bodies.
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
                raise ApiError(400, "only HTTP is supported")
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
        """Reject unknown host names and cross-origin requests."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.allowed_hosts is not None and _hostname(f"//{host}") not in self.allowed_hosts:
            raise ApiError(403, f"unknown host {host!r}; use 127.0.0.1 or localhost", code="unknown_host")
        if origin is None:
            return
        known = {_hostname(f"//{host}")} if self.allowed_hosts is None else self.allowed_hosts
        if _hostname(origin) not in known:
            raise ApiError(403, f"cross-origin requests from {origin!r} are not allowed", code="unknown_origin")

    def check_key(self, path: str, headers: Headers) -> None:
        """Reject a request without the key."""
        if self.api_key is None or self._is_public(path):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.api_key.encode()):
            told = "wrong API key" if given else "an API key is required: Authorization: Bearer KEY"
            raise ApiError(401, told, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})

    def _is_public(self, path: str) -> bool:
        return any(
            path == public or (len(public) > 1 and public.endswith("/") and path.startswith(public))
            for public in self.public_paths
        )

    async def read_body(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            ApiError: It is too large or too slow.
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
    """The host name in `//host:port` or an origin, in lower case; `None` if there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body once, then whatever follows (a disconnect)."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
