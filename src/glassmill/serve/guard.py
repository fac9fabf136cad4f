"""Access control in front of all routes: allowed hosts and origins, the API key, limits on bodies.

The outermost ASGI layer, so it covers every route that is added later:

- while the server is stopping, nothing new is begun;
- `Host` must be a known name (against DNS rebinding), and so must `Origin`, if present (against other web pages);
  pages of allowed origins get the headers with which browsers let them read the answer, never credentials;
- with an API key, every path that is not public needs `Authorization: Bearer KEY`;
- the request body is read here, with a limit on its size and a timeout.

What clients do differently is made one here, too: slashes too many in a path, and HEAD for GET.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glassmill.errors import ApiError
from glassmill.serve.drain import Drain
from glassmill.serve.errors import error_response

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PREFLIGHT_SECONDS = 600
ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on request bodies: of one, and of all that are in memory at once."""

    body_bytes: int = 2_000_000
    body_seconds: float = 30.0
    all_bodies_bytes: int = 100_000_000


class Guard:
    """The ASGI layer.

    Args:
        app: The application it protects.
        api_key: Required for every path that is not public; None: no key.
        allowed_hosts: Names allowed in `Host` and `Origin`; None: any `Host`, and an `Origin` equal to it.
        allowed_origins: Web pages that may read answers, such as `https://app.example`; `*`: all.
        public_paths: Paths that need no key; one that ends in "/" covers everything below it, "/" only itself.
        limits: Size and timeout of bodies.
        drain: Whether the server is stopping.
    """

    def __init__(
        self,
        app: ASGIApp,
        api_key: str | None,
        allowed_hosts: frozenset[str] | None,
        allowed_origins: frozenset[str],
        public_paths: frozenset[str],
        limits: Limits,
        drain: Drain,
    ) -> None:
        self.app, self.api_key, self.public_paths = app, api_key, public_paths
        self.allowed_hosts, self.allowed_origins = allowed_hosts, allowed_origins
        self.limits, self.drain = limits, drain
        self.buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        scope = _tidied(scope)
        headers = Headers(scope=scope)
        if self.may_read(origin := headers.get("origin")):
            send = _with_headers(send, self.reading_headers(origin or ""))
        body = b""
        try:
            self.drain.refuse_if_begun()
            self.check_origin(headers)
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await self.preflight(headers)(scope, receive, send)
                return
            self.check_key(scope["path"], headers)
            body = await self.read_body(headers, receive)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        self.buffered += len(body)
        try:
            if scope["method"] == "HEAD":
                scope, send = {**scope, "method": "GET"}, _without_body(send)
            await self.app(scope, _replay(body, receive), send)
        finally:
            self.buffered -= len(body)

    def may_read(self, origin: str | None) -> bool:
        """Whether pages of `origin` may read answers."""
        return origin is not None and (origin.lower() in self.allowed_origins or ANY_ORIGIN in self.allowed_origins)

    def reading_headers(self, origin: str) -> dict[str, str]:
        """What lets a page of `origin` read an answer."""
        if ANY_ORIGIN in self.allowed_origins:
            return {"Access-Control-Allow-Origin": ANY_ORIGIN}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def preflight(self, headers: Headers) -> Response:
        """The answer to a browser that asks whether a page may send its request.

        Raises:
            ApiError: The page may not.
        """
        origin = headers.get("origin", "")
        if not self.may_read(origin):
            raise _unknown_origin(origin)
        wanted = headers.get("access-control-request-headers", "authorization, content-type")
        allowed = {
            "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
            "Access-Control-Allow-Headers": re.sub(r"[^\w ,-]", "", wanted[:1000], flags=re.ASCII),
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        if "access-control-request-private-network" in headers:
            allowed["Access-Control-Allow-Private-Network"] = "true"
        return Response(status_code=204, headers=allowed)

    def check_origin(self, headers: Headers) -> None:
        """Reject unknown host names and cross-origin requests."""
        host, origin, hosts = headers.get("host", ""), headers.get("origin"), self.allowed_hosts
        if hosts is not None and _hostname(f"//{host}") not in hosts:
            known = "use 127.0.0.1 or localhost, or start the server with --allow-host"
            raise ApiError(403, f"unknown host {host!r}; {known}", code="unknown_host")
        if origin is None or self.may_read(origin):
            return
        if _hostname(origin) not in ({_hostname(f"//{host}")} if hosts is None else hosts):
            raise _unknown_origin(origin)

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
                    if self.buffered + len(body) > self.limits.all_bodies_bytes:
                        raise ApiError(429, "too many large requests; try again later", code="too_many_bodies")
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise ApiError(408, "the body did not arrive in time", headers={"Connection": "close"}) from None


def _unknown_origin(origin: str) -> ApiError:
    allow = "the server can be started with --allow-origin"
    return ApiError(403, f"cross-origin requests from {origin!r} are not allowed; {allow}", code="unknown_origin")


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body is larger than {limit} bytes", code="too_large", headers={"Connection": "close"})


def _tidied(scope: Scope) -> Scope:
    """The request with one slash where clients join addresses with two, and none at the end."""
    path = re.sub("//+", "/", scope["path"]).rstrip("/") or "/"
    bare = path == scope["path"] or (path + "/").startswith("/static/")
    return scope if bare else {**scope, "path": path, "raw_path": quote(path).encode()}


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sent


def _without_body(send: Send) -> Send:
    """Sends the head of a response and ends it there, even if its body never would."""
    ended = False

    async def sent(message: Message) -> None:
        nonlocal ended
        if ended:
            return
        await send(message)
        ended = message["type"] == "http.response.start"
        if ended:
            await send({"type": "http.response.body", "body": b""})

    return sent


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
