"""The client of the process that renders templates (`child.py`): started on first use, replaced when it fails.

A template is code from elsewhere. In a process of its own its time and memory are bounded by the system, whatever it
does, and from any thread.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from glassmill.errors import UserError

WALL_S = 20.0
"""How long to wait on a busy machine; the process bounds its own CPU time to about a second."""
START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "  # Ctrl-C in a chat stops the answer only
    "sys.path[:] = {path!r}; from glassmill.tokens.templates.child import main; main()"
)


class _Process:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.child: subprocess.Popen[bytes] | None = None
        self.owner = 0

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        line = json.dumps({**request, "size": len(json.dumps(request))}).encode() + b"\n"
        with self.lock:
            child = self._running()
            assert child.stdin is not None and child.stdout is not None
            try:
                child.stdin.write(line)
                child.stdin.flush()
                answer = child.stdout.readline() if _has_answer(child.stdout, WALL_S + len(line) / 1e5) else b""
            except OSError:
                answer = b""
            if not answer.endswith(b"\n"):
                self.close()
                raise UserError("the model's chat template failed: it takes too long or too much memory")
            told = dict(json.loads(answer))
            if told.get("last"):
                self.close()
        return told

    def _running(self) -> subprocess.Popen[bytes]:
        if self.child is not None and self.owner == os.getpid() and self.child.poll() is None:
            return self.child
        if self.owner == os.getpid():
            self.close()
        start = START.format(path=[str(Path(place).absolute()) for place in sys.path])
        self.child = subprocess.Popen(
            [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.owner = os.getpid()
        return self.child

    def close(self) -> None:
        """End the process, if this one started it."""
        child, self.child = self.child, None
        if child is None or self.owner != os.getpid():
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # of what was not yet written
                    pipe.close()
        child.wait()


def _has_answer(pipe: IO[bytes], seconds: float) -> bool:
    """Whether something comes within that time; where the system can't tell, whenever it comes."""
    return os.name != "posix" or bool(select.select([pipe], [], [], seconds)[0])


_process = _Process()
atexit.register(_process.close)


def ask(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of the process.

    Raises:
        UserError: the template fails, rejects the conversation (in its own words), or takes too much time or memory.
    """
    answer = _process.ask(request)
    if "error" in answer:
        raise UserError(str(answer["error"]))
    return answer
