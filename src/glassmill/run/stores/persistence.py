"""Requests to a store, repeated while that can help: exponential pauses with jitter, bounded, then one clear line.

In: a request. Out: its answer. What a repetition cannot mend (no such file, no permission, no credentials) is said at
once. Source of the pauses: "Exponential backoff and jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from glassmill.errors import TransientError, UserError
from glassmill.printable import shown
from glassmill.run.stores.address import CREDENTIALS, masked

TRIES = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 20.0
PERMANENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, NotImplementedError)
WITHOUT_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ProfileNotFound"}
)
"""Exceptions of libraries that are imported only where their store is read."""

T = TypeVar("T")


def timeout_s() -> float:
    """Seconds without an answer after which a request is given up: `$GLASSMILL_STORE_TIMEOUT_S`, else 30."""
    try:
        return max(0.1, float(os.environ.get("GLASSMILL_STORE_TIMEOUT_S", "30")))
    except ValueError:
        return 30.0


def persistently(address: str, request: Callable[[], T]) -> T:
    """What `request` returns, tried up to `TRIES` times.

    Raises:
        UserError: it failed each time, or in a way that will stay.
    """
    jitter = random.Random()
    for failures in count(1):
        try:
            return request()
        except UserError:
            raise
        except Exception as error:
            cause = _cause(error)
            if why := _why_permanent(address, error):
                raise UserError(f"{_named(address)}: {why}") from None
            if failures >= TRIES:
                again = "run the same command again: finished work is kept"
                raise UserError(f"{_named(address)}: {cause}, {failures} times in a row; {again}") from None
            wish = error.pause_s if isinstance(error, TransientError) else 0.0
            pause = max(wish, FIRST_PAUSE_S * 2.0 ** (failures - 1))
            time.sleep(min(LONGEST_PAUSE_S, pause) * jitter.uniform(0.5, 1.0))
    raise AssertionError("unreachable")


def _why_permanent(address: str, error: Exception) -> str:
    """Why another try would give the same; empty where it may not."""
    scheme = address.partition("://")[0].lower()
    credentials = f"give credentials by {CREDENTIALS[scheme]}" if scheme in CREDENTIALS else "it needs a login"
    if type(error).__name__ in WITHOUT_CREDENTIALS:
        return f"no credentials; {credentials}"
    if isinstance(error, PermissionError):
        return f"access denied ({_cause(error)}); check the name, or {credentials}"
    if isinstance(error, FileNotFoundError):
        return "no such file or bucket; check the name"
    return _cause(error) if isinstance(error, PERMANENT) else ""


def _cause(error: Exception) -> str:
    text = masked(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, TimeoutError) or "timeout" in type(error).__name__.lower():
        return f"no answer within {timeout_s():g} s"
    return shown(text, 200)


def _named(address: str) -> str:
    return shown(masked(address), 200)
