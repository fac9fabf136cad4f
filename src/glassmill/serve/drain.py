"""How a server stops: new requests are refused, running answers get some seconds to end, the rest end with an error."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from glassmill.errors import ApiError

if TYPE_CHECKING:
    from glassmill.serve.work import Work

DRAIN_SECONDS = 8.0
"""After SIGTERM; service managers kill ten seconds after it, or later."""
DRAIN_SECONDS_INTERRUPTED = 2.0
"""After Ctrl-C; a second one ends at once."""


class Drain:
    """Whether the server is stopping, and the answers that are still being made.

    Attributes:
        begun: New requests are refused.
        works: Running answers.
    """

    def __init__(self) -> None:
        self.begun = False
        self.works: set[Work] = set()

    def refuse_if_begun(self) -> None:
        """Refuse a new request.

        Raises:
            ApiError: 503 while the server is stopping.
        """
        if self.begun:
            headers = {"Retry-After": "10", "Connection": "close"}
            raise ApiError(503, "the server is shutting down", code="shutting_down", headers=headers)

    def end_rest(self) -> None:
        """End what is still running with an error."""
        for work in list(self.works):
            work.fail(ApiError(503, "the server shut down before the answer was complete", code="shutting_down"))


class Server(uvicorn.Server):
    """uvicorn's server, which drains before it exits.

    Args:
        config: Of uvicorn.
        drain: The one that the application looks at.
        seconds: How long running answers may take after SIGTERM.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, seconds: float = DRAIN_SECONDS) -> None:
        super().__init__(config)
        self.drain, self.seconds = drain, seconds
        self._signal: int | None = None
        self._deadline = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal starts draining, the second ends it."""
        if self.drain.begun:
            super().handle_exit(sig, frame)
            return
        self._signal = sig
        interrupted = sig == signal.SIGINT
        self.begin_drain(min(self.seconds, DRAIN_SECONDS_INTERRUPTED) if interrupted else self.seconds)

    def begin_drain(self, seconds: float) -> None:
        """Refuse new requests, and exit when the running ones have ended, after `seconds` at most."""
        self._deadline = time.monotonic() + seconds
        self.drain.begun = True

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second: whether to exit."""
        if self.drain.begun and not self.should_exit:
            late = time.monotonic() > self._deadline
            if late or not self.server_state.tasks:
                self.drain.end_rest()
                if self._signal is None:
                    self.should_exit = True
                else:
                    super().handle_exit(self._signal, None)
        return await super().on_tick(counter)
