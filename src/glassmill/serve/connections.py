"""Connections that give the server no request: closed in time, and bounded in number.

uvicorn waits for the headers of a request as long as a client likes. Here every request has to have its headers within
`ConnectionLimits.header_seconds`, or the answer is 408 and the connection is closed; so is one whose client stops
reading. A client that opens too many connections loses its oldest ones without a request first.
"""

from __future__ import annotations

import asyncio
import http
import ipaddress
from dataclasses import dataclass
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from glassmill.errors import ApiError
from glassmill.serve.errors import to_json


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on the connections of a server.

    Attributes:
        header_seconds: From the first moment of a connection, or the first byte of a later request, to the last header.
        write_seconds: How long a client may leave an answer unread once buffers are full.
        per_client: Open connections of one address (IPv6: one /64 network).
        in_all: Open connections.
    """

    header_seconds: float = 10.0
    write_seconds: float = 60.0
    per_client: int = 512
    in_all: int = 800


class Book:
    """The open connections of every client, and those of them without a request, oldest first.

    Where there are too many, the oldest without a request makes room: a client that sends its request at once is never
    shut out by connections that send none.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.number = 0
        self.open: dict[str, set[Connection]] = {}
        self.waiting: dict[str, dict[Connection, None]] = {}

    def admit(self, connection: Connection, client: str) -> bool:
        """Take in a new connection, if need be for an older one; False: there are too many with requests."""
        mine = self.open.setdefault(client, set())
        self.waiting.setdefault(client, {})
        crowded = client if len(mine) >= self.limits.per_client else None
        if crowded is None and self.number >= self.limits.in_all:
            crowded = max(self.open, key=lambda name: len(self.open[name]))
        if crowded is not None:
            oldest = next(iter(self.waiting[crowded]), None)
            if oldest is None:
                return False
            self.forget(oldest, crowded)
            oldest.give_up()
        self.open.setdefault(client, set()).add(connection)
        self.waiting.setdefault(client, {})[connection] = None
        self.number += 1
        return True

    def forget(self, connection: Connection, client: str) -> None:
        """A connection is closed."""
        mine = self.open.get(client, set())
        if connection in mine:
            mine.remove(connection)
            self.waiting[client].pop(connection, None)
            self.number -= 1
        if not mine:
            self.open.pop(client, None)
            self.waiting.pop(client, None)

    def set_waiting(self, connection: Connection, client: str, waits: bool) -> None:
        """Whether an admitted connection has no request in progress."""
        if connection in self.open.get(client, ()):
            self.waiting[client].pop(connection, None)
            if waits:
                self.waiting[client][connection] = None


class Connection(H11Protocol):
    """uvicorn's connection with these limits. A server makes its own subclass, see `connection_class`."""

    book: ClassVar[Book]
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client_key = _key(self.client)
        if self.book.admit(self, self.client_key):
            self._set_deadline()
        else:
            self._refuse(ApiError(429, "too many open connections", code="too_many_connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.book.forget(self, self.client_key)
        self._clear_deadline()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_busy and self._deadline is None:
            self._set_deadline()  # the first byte after an earlier answer
        super().data_received(data)
        self._note()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note()
        answered_early = self.conn.their_state is h11.SEND_BODY  # the rest of the body must end, too
        if answered_early or (not self._is_busy and self.conn.trailing_data[0]):
            self._set_deadline()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.book.limits.write_seconds, self.give_up)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def give_up(self) -> None:
        """Close at once."""
        self.transport.abort()

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _note(self) -> None:
        busy = self._is_busy
        if busy:
            self._clear_deadline()
        self.book.set_waiting(self, self.client_key, not busy)

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self.book.limits.header_seconds, self._too_slow)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self._is_busy or self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(ApiError(408, "the request's headers did not arrive in time", code="timeout"))
        else:
            self.transport.close()  # it never began a request

    def _refuse(self, error: ApiError) -> None:
        body = to_json(error.body)
        head = f"HTTP/1.1 {error.status} {http.HTTPStatus(error.status).phrase}\r\nContent-Type: application/json\r\n"
        rest = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.transport.write((head + rest).encode() + body)
        self.transport.close()


def connection_class(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """The class of one server's connections."""
    return type("LimitedConnection", (Connection,), {"book": Book(limits)})


def _key(client: tuple[str, int] | None) -> str:
    """What counts as one client."""
    host = client[0] if client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
