"""A supervised child: reads tasks as JSON lines, runs a named function on each, answers in JSON lines.

`glassmill.run.executors` starts it. A line `{"map": ...}` names the function, its limits, and what the machine must be
like (`resolved.Check`, or null); the lines `{"task": ...}` after it are its tasks, until another map begins. The
function has the form `function(task, link) -> result`. It is ordinary importable code, so it runs the same under any
other engine.
When the supervisor is gone, standard input ends, and the child ends with it: a shard has one worker.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TextIO, TypedDict

from glassmill.errors import UserError
from glassmill.run.kinds import Event, to_json
from glassmill.run.memory import limit_memory
from glassmill.run.resolved import check_machine

OUT_OF_MEMORY = 75
"""The exit code of a child whose item needed more memory than it may take; nothing else here exits with it."""

ShardFunction = Callable[[dict[str, Any], "Link"], dict[str, Any]]


class Answer(TypedDict, total=False):
    """One line of a child: where it is (`at`), an event, a result (`done`), or one of the three ways to fail."""

    at: int
    event: Mapping[str, object]
    done: dict[str, Any]
    user_error: str
    os_error: int | None
    error: str
    traceback: str


class Link:
    """How a shard function reports to its supervisor.

    Args:
        send: Takes one answer; None drops them (a plain call, without a supervisor).
        cpu_limit_s: CPU seconds that one item may take; 0: no limit. The kernel enforces it, so it also ends native
            code that never returns. A limit on wall time would make the output depend on the machine's load.
        memory_limit_mb: Megabytes that the items of a task may take beyond what the process has when the first one
            starts; 0: no limit.
    """

    def __init__(
        self, send: Callable[[Answer], None] | None = None, cpu_limit_s: float = 0, memory_limit_mb: int = 0
    ) -> None:
        self._send = send
        self._memory_limit_mb = memory_limit_mb
        self._started = False
        self._cpu_limit_s = cpu_limit_s if hasattr(signal, "setitimer") else 0

    def mark(self, position: int) -> None:
        """Item `position` of the task starts now; if the process dies, this item is to blame."""
        if self._memory_limit_mb and not self._started:
            limit_memory(self._memory_limit_mb << 20)
            self._started = True
        if self._send:
            self._send({"at": position})
        if self._cpu_limit_s:
            signal.setitimer(signal.ITIMER_PROF, self._cpu_limit_s)

    def rest(self) -> None:
        """No item is under way: no limits until the next one."""
        if self._started:
            limit_memory(0)
            self._started = False
        if self._cpu_limit_s:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def tell(self, event: Event) -> None:
        """Sends an event to the supervisor."""
        if self._send:
            self._send({"event": to_json(event)})


def load_function(name: str) -> ShardFunction:
    """The function behind `package.module:function`."""
    module, _, attribute = name.partition(":")
    function: ShardFunction = getattr(importlib.import_module(module), attribute)
    return function


def main() -> None:
    answers = _own_stdout()

    def send(answer: Answer) -> None:
        try:
            answers.write(json.dumps(answer, allow_nan=False) + "\n")
            answers.flush()
        except BrokenPipeError:
            os._exit(1)  # the supervisor is gone: stop at once, a rerun repeats this shard

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
    for line in _lines():
        given = json.loads(line)
        if "map" in given:
            work = given["map"]
            if work["check"] is not None and not _attempt(send, partial(check_machine, work["check"])):
                return
            function = load_function(work["function"])
            link = Link(send, work["cpu_limit_s"], work["memory_limit_mb"])
        else:
            _attempt(send, partial(_do, function, given["task"], link, send))
            link.rest()


def _do(function: ShardFunction, task: dict[str, Any], link: Link, send: Callable[[Answer], None]) -> None:
    send({"done": function(task, link)})


def _attempt(send: Callable[[Answer], None], work: Callable[[], None]) -> bool:
    """Does the work; whether it succeeded. What goes wrong is an answer, and ends the map."""
    try:
        work()
        return True
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # the supervisor names the item; what is held here goes with the process
    except UserError as error:
        send({"user_error": str(error)})
    except OSError as error:
        send({"os_error": error.errno, "error": str(error), "traceback": traceback.format_exc()})
    except Exception as error:
        send({"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})
    return False


def _lines() -> Iterator[str]:
    """The supervisor's lines. A thread reads them, so that their end is noticed in the middle of a task."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def _own_stdout() -> TextIO:
    """The pipe to the supervisor; whatever a library prints goes to standard error instead."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8")


if __name__ == "__main__":
    main()
