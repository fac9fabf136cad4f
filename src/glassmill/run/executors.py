"""Maps a function over shards in supervised child processes, so that one bad item costs only itself.

Why not a process pool: killing one of its workers fails every future (`BrokenProcessPool`), and a hang is for ever.
Here a child that dies is replaced and its shard repeated; an item that kills its child is named in the task's `poison`
list, and the function must set it aside without touching it. Results come back in the order of the tasks, so the output
depends neither on the number of workers nor on failures.

Who killed it? The CPU limit names its item at once, a crash (SIGSEGV, an abort) at the second time. SIGKILL comes from
an operator, a scheduler or the kernel short of memory: the item is to blame when it was there eight times in a row.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from glassmill.errors import ShardError, UserError
from glassmill.run.files import disk_full
from glassmill.run.kinds import Event, from_json

Task = dict[str, Any]
Result = dict[str, Any]


class Limits(TypedDict):
    """What a worker may take: see `map_shards`."""

    cpu_limit_s: float
    wall_limit_s: float


CPU_LIMIT_SIGNAL = -getattr(signal, "SIGPROF", 27)
FROM_OUTSIDE = frozenset(-getattr(signal, name, 0) for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"))
CRASHES_AT_AN_ITEM, CRASHES_BEFORE_THE_FIRST = 2, 5
KILLS_AT_AN_ITEM, KILLS_BEFORE_THE_FIRST = 8, 50
"""So many deaths in a row at one place make an item poisonous; before the first item, they end the run."""
TIMES_SET_ASIDE = 2
"""How often an item may be set aside: for its work, and for being read; a third time nothing helps."""


@dataclass
class _Child:
    process: subprocess.Popen[str]
    index: int = -1
    position: int | None = None
    heard: float = field(default_factory=time.monotonic)
    silent: bool = False
    listener: threading.Thread | None = None

    def close(self) -> None:
        """Waits for the end of a child that died or was killed, and closes both pipes."""
        self.process.wait()
        if self.listener:
            self.listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):  # what a dead child did not read is lost with it
                    pipe.close()


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_shards(
    function: str,
    tasks: Sequence[Mapping[str, Any]],
    workers: int = 0,
    *,
    on_event: Callable[[Event], None] | None = None,
    on_result: Callable[[int, Result], None] | None = None,
    cpu_limit_s: float = 20.0,
    wall_limit_s: float = 900.0,
) -> list[Result]:
    """Runs `function(task, link)` (a name, `package.module:function`) on every task.

    Args:
        tasks: JSON values. A task repeated after a death carries `poison`: `[[position, cause], ...]`. A position
            stands there twice where not only its work, but already reading it ends the child.
        workers: Child processes; 0 is one a core.
        on_event: Called with every event that a child sends; in this process.
        on_result: Called with the task's index and result as they come.
        cpu_limit_s: CPU seconds from one `link.mark` to the next before the kernel ends the child.
        wall_limit_s: Seconds of silence after which a child is ended; far above any honest item.

    Returns:
        The results, in the order of the tasks.

    Raises:
        UserError: as the function raised it, or the disk is full.
        ShardError: the function raised anything else, or its child died repeatedly without touching an item.
    """
    return _Supervisor(function, tasks, on_event, on_result, cpu_limit_s, wall_limit_s).run(workers or cores())


class _Supervisor:
    def __init__(
        self,
        function: str,
        tasks: Sequence[Mapping[str, Any]],
        on_event: Callable[[Event], None] | None,
        on_result: Callable[[int, Result], None] | None,
        cpu_limit_s: float,
        wall_limit_s: float,
    ) -> None:
        self.command = [sys.executable, "-m", "glassmill.run.worker", function, str(cpu_limit_s)]
        self.tasks: list[Task] = [dict(task) for task in tasks]
        self.on_event = on_event or (lambda event: None)
        self.on_result = on_result or (lambda index, result: None)
        self.wall_limit_s = wall_limit_s
        self.waiting = deque(range(len(tasks)))
        self.results: dict[int, Result] = {}
        self.deaths: dict[int, tuple[int | None, int]] = {}  # task -> where its child died last, times in a row
        self.inbox: queue.Queue[tuple[_Child, dict[str, Any] | None]] = queue.Queue()
        self.children: list[_Child] = []

    def run(self, workers: int) -> list[Result]:
        try:
            for _ in range(min(workers, len(self.tasks))):
                self._start()
            while len(self.results) < len(self.tasks):
                self._step()
        finally:
            for child in self.children:
                child.process.kill()
            for child in self.children:
                child.close()
        return [self.results[index] for index in range(len(self.tasks))]

    def _start(self) -> None:
        environment = dict(os.environ)
        source = str(Path(__file__).resolve().parents[2])  # the child imports the very package that runs here
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [source, environment.get("PYTHONPATH")]))
        pipe = subprocess.PIPE
        process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8", env=environment)
        child = _Child(process)
        self.children.append(child)
        child.listener = threading.Thread(target=self._listen, args=(child,), daemon=True)
        child.listener.start()
        self._assign(child)

    def _listen(self, child: _Child) -> None:
        assert child.process.stdout
        for line in child.process.stdout:
            try:
                self.inbox.put((child, json.loads(line)))
            except json.JSONDecodeError:
                break  # cut off in the middle of a line: the child is dying
        child.process.wait()
        self.inbox.put((child, None))

    def _assign(self, child: _Child) -> None:
        if not self.waiting:
            child.index = -1
            return
        child.index, child.position, child.heard = self.waiting.popleft(), None, time.monotonic()
        assert child.process.stdin
        try:
            child.process.stdin.write(json.dumps(self.tasks[child.index]) + "\n")
            child.process.stdin.flush()
        except OSError:
            pass  # it died just now; the listener reports that and the task is given out again

    def _step(self) -> None:
        try:
            child, message = self.inbox.get(timeout=1.0)
        except queue.Empty:
            for silent in self.children:
                if silent.index >= 0 and time.monotonic() - silent.heard > self.wall_limit_s:
                    silent.silent = True
                    silent.process.kill()
            return
        child.heard = time.monotonic()
        if message is None:
            self._bury(child)
        elif "at" in message:
            child.position = message["at"]
        elif "event" in message:
            self.on_event(from_json(message["event"]))
        elif "done" in message:
            self.results[child.index] = message["done"]
            self.on_result(child.index, message["done"])
            self._assign(child)
        else:
            raise self._failure(child, message)

    def _failure(self, child: _Child, message: dict[str, Any]) -> Exception:
        if "user_error" in message:
            return UserError(message["user_error"])
        if message.get("os_error") in (errno.ENOSPC, errno.EDQUOT):
            return disk_full(Path(str(self.tasks[child.index].get("out", "a shard"))))
        return ShardError(f"shard {child.index}: {message['error']}\n{message.get('traceback', '')}")

    def _bury(self, child: _Child) -> None:
        """A child died: its shard goes back to the front of the queue, without the item that killed it."""
        self.children.remove(child)
        child.close()
        if child.index >= 0 and child.index not in self.results:
            self._blame(child)
            self.waiting.appendleft(child.index)
        if self.waiting:
            self._start()

    def _blame(self, child: _Child) -> None:
        code, position = child.process.returncode, child.position
        last, count = self.deaths.get(child.index, (None, 0))
        count = count + 1 if last == position else 1
        self.deaths[child.index] = position, count
        killed = code in FROM_OUTSIDE and not child.silent
        if position is None:
            if count >= (KILLS_BEFORE_THE_FIRST if killed else CRASHES_BEFORE_THE_FIRST):
                raise ShardError(f"shard {child.index}: its worker died {count} times before it began (exit {code})")
        elif code == CPU_LIMIT_SIGNAL:
            self._set_aside(child, "over the CPU limit")
        elif count >= (KILLS_AT_AN_ITEM if killed else CRASHES_AT_AN_ITEM):
            cause = f"silent for {self.wall_limit_s:g} s" if child.silent else f"killed its worker (exit {code})"
            self._set_aside(child, cause)

    def _set_aside(self, child: _Child, cause: str) -> None:
        poison = self.tasks[child.index].setdefault("poison", [])
        if sum(position == child.position for position, _ in poison) >= TIMES_SET_ASIDE:
            raise ShardError(f"shard {child.index}: item {child.position}, though set aside: {cause}")
        poison.append([child.position, cause])
