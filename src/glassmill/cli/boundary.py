"""How every command ends: no exception leaves the program as a traceback.

A mistake of the user, a file that cannot be read, or memory that runs out is one line and exit code 2; Ctrl-C is 130.
Anything else is a bug: one line, exit code 1, and the traceback in a file that can be sent with a report.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from glassmill.errors import FULL_DISK, GlassmillError, UserError, Waiting
from glassmill.printable import printable, shown

DEBUG = "GLASSMILL_DEBUG"
MAX_LINE = 2000


def guarded(command: Callable[[], object]) -> None:
    """Runs a command; ends the process with its exit code if it fails.

    With `GLASSMILL_DEBUG` set, exceptions pass: for a debugger.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal without Unicode, a name that is not UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if os.environ.get(DEBUG):
        command()
        return
    try:
        command()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor does Python's last flush complain
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nglassmill: stopped; run the same command again to continue\n")
        raise SystemExit(130) from None
    except Exception as error:
        code, message = end_of(error)
        sys.stderr.write(f"glassmill: {message}\n")
        raise SystemExit(code) from None


def end_of(error: Exception) -> tuple[int, str]:
    """The exit code and the message of a command that ends with `error`."""
    if isinstance(error, Waiting):
        return 0, _message(error)
    if isinstance(error, UserError):
        return 2, _message(error)
    if isinstance(error, OSError) and error.errno is not None:
        return 2, _of_system(error)
    if isinstance(error, MemoryError):
        return 2, "not enough memory for this; give smaller inputs or fewer workers (corpus.workers=1)"
    return 1, _of_bug(error)


def _message(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return "\n".join(shown(line, MAX_LINE) for line in lines)


def _of_system(error: OSError) -> str:
    from glassmill.run.files import disk_full

    if error.errno in FULL_DISK:
        return _message(disk_full(Path(_name(error) or "the run folder")))
    name = _name(error)
    return f"{shown(name) + ': ' if name else ''}{printable(error.strerror or str(error))}"


def _name(error: OSError) -> str:
    name = error.filename
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else ""


def _of_bug(error: Exception) -> str:
    what = f"{type(error).__name__}: {_message(error)}" if not isinstance(error, GlassmillError) else _message(error)
    with tempfile.NamedTemporaryFile(
        "w", prefix="glassmill-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return f"a bug in glassmill, not your mistake: {what[:1000]}\nThe traceback is in {file.name}; please report it."
