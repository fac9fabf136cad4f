"""Every exception glassmill defines, as one tree. Imports nothing heavy: `glassmill --help` loads this module.

GlassmillError
├── UserError            the user can fix it: one line, exit code 2
├── Waiting              other processes have work to do first: one line, exit code 0
├── ShardError           a worker failed: a bug
├── QueueFull, ContextOverflow, EngineClosed     the inference engine refuses a request
├── ApiError             an HTTP error response
├── TransientError, TooLargeError                a download fails
├── DamagedError, BadRecord, BodyError           a frame, a record or a body of an archive cannot be read
├── UnreadableError, RefusedError                a document file cannot or must not be read
├── Misshapen            a row of the user's data has another shape
└── GgufError            a damaged GGUF file
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

FULL_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""The system's numbers of an error for a disk, a quota or a file that takes no more."""


class GlassmillError(Exception):
    """Base class of every exception that glassmill raises on purpose."""


class UserError(GlassmillError):
    """A mistake the user can fix. The message says what, the value, and what to do; exit code 2."""


class Waiting(GlassmillError):
    """Not a failure: other processes have to finish first, then the same command continues. Exit code 0."""


class ShardError(GlassmillError, RuntimeError):
    """A shard function failed because of a bug, not a user's mistake; holds the worker's traceback."""


class Spike(GlassmillError):
    """The loss of a step is a spike or no number, and the training is to go back; no weight has changed yet."""


class QueueFull(GlassmillError):
    """Too many requests are waiting; try again later."""


class ContextOverflow(GlassmillError, ValueError):
    """The prompt leaves no room for a completion in the model's context."""


class EngineClosed(GlassmillError, RuntimeError):
    """The engine has been shut down."""


class ApiError(GlassmillError):
    """An error response in OpenAI's form.

    Args:
        status: HTTP status.
        message: One sentence for people.
        param: The field at fault.
        code: A word for programs.
        headers: Sent with the response.
    """

    TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}  # noqa: RUF012

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.headers = status, message, param, code, headers

    @property
    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON body, also sent in the middle of a stream."""
        kind = self.TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class TransientError(GlassmillError):
    """A download failed but may succeed later. `pause_s` is how long the server asks to wait, or 0."""

    def __init__(self, cause: str, pause_s: float = 0.0) -> None:
        super().__init__(cause)
        self.pause_s = pause_s


class TooLargeError(GlassmillError):
    """A file exceeds what is left of the download budget."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size:,} bytes")
        self.size = size


class DamagedError(GlassmillError):
    """The rest of a compressed frame cannot be read; the message says why. `end` is where it ends, 0 if unknown."""

    def __init__(self, cause: str, end: int = 0) -> None:
        super().__init__(cause)
        self.end = end


class BadRecord(GlassmillError):
    """An archive record that cannot be read; with `stream`, nor can what follows it in the same frame.

    `length` is the length the record claims, if only that is wrong; `offset` is where the record starts.
    """

    def __init__(self, cause: str, url: str = "", stream: bool = False, length: int = 0) -> None:
        super().__init__(cause)
        self.cause, self.url, self.stream, self.length = cause, url, stream, length
        self.offset = 0


class BodyError(GlassmillError):
    """An HTTP body that is too large, damaged, or in an unsupported coding."""


class UnreadableError(GlassmillError, ValueError):
    """A document file that cannot be read: damaged, locked, or not what its name says."""


class RefusedError(GlassmillError, ValueError):
    """A document file that must not be read: it points outside its folder, or unpacks to more than the limit."""


class Misshapen(GlassmillError, ValueError):
    """Why a row of the user's data is not what it should be, and what to do, in one line."""


class GgufError(GlassmillError):
    """What is wrong with a GGUF file, in a few words."""
