"""Maps a function over shards in supervised child processes, so that one bad item costs only itself.

Why not a process pool: killing one of its workers fails every future (`BrokenProcessPool`), and a hang never ends.
Here a child that dies is replaced and its shard repeated. An item that kills its child is named in the task's `skip`
list, and the function must leave it out without touching it. Results come back in the order of the tasks, so the output
depends neither on the number of workers nor on failures.

Which item is to blame? One that exceeds the CPU or the memory limit is named at once, and so is one at which the kernel
killed the child for want of memory; one at which a child crashes (SIGSEGV, an abort) the second time. Any other SIGKILL
comes from an operator or a scheduler: the item is named after eight kills in a row.
"""

from __future__ import annotations

import contextlib
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
from typing import Any, NotRequired, TypedDict

from glassmill.errors import FULL_DISK, ShardError, UserError
from glassmill.run.files import disk_full
from glassmill.run.kinds import Event, from_json
from glassmill.run.memory import system_kills
from glassmill.run.resolved import Check
from glassmill.run.worker import OUT_OF_MEMORY, Answer

Task = Mapping[str, object]
"""What a shard function is to do, as JSON."""
Result = dict[str, Any]
"""What a shard function returns, as JSON; only the function and its caller know the keys."""
OnEvent = Callable[[Event], None]
OnResult = Callable[[int, Result], None]


class Map(TypedDict):
    """What a child is told before the tasks of a map."""

    function: str
    cpu_limit_s: float
    memory_limit_mb: int
    check: Check | None


class Limits(TypedDict):
    """What a worker may take: see `map_shards`."""

    cpu_limit_s: float
    worker_timeout_s: float
    memory_limit_mb: NotRequired[int]


MEMORY_LIMIT_MB = 800
CPU_LIMIT_SIGNAL = -getattr(signal, "SIGPROF", 27)
FROM_OUTSIDE = frozenset(-getattr(signal, name, 0) for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"))
CRASHES_AT_AN_ITEM, CRASHES_BEFORE_THE_FIRST = 2, 5
KILLS_AT_AN_ITEM, KILLS_BEFORE_THE_FIRST = 8, 50
"""After this many crashes in a row at one item, the item is skipped; before the first item, they end the run."""
TIMES_SKIPPED = 2
"""How often an item may be skipped: once for its work, once for being read. A third time, nothing helps."""


@dataclass
class _Child:
    process: subprocess.Popen[str]
    index: int = -1
    position: int | None = None
    heard: float = field(default_factory=time.monotonic)
    silent: bool = False
    listener: threading.Thread | None = None
    system_kills: int = field(default_factory=lambda: system_kills())

    def close(self) -> None:
        """Waits for the end of a child that died or was killed, and closes both pipes."""
        self.process.wait()
        if self.listener:
            self.listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):  # what a dead child did not read is lost with it
                    pipe.close()


class Crew:
    """Children that wait for work between the maps of a run: starting one takes longer than many a shard."""

    def __init__(self) -> None:
        self.children: list[_Child] = []
        self.inbox: queue.Queue[tuple[_Child, Answer | None]] = queue.Queue()

    def start(self) -> _Child:
        """One more."""
        environment = dict(os.environ)
        source = str(Path(__file__).resolve().parents[2])  # the child imports the very package that runs here
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [source, environment.get("PYTHONPATH")]))
        environment.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others reserve a gigabyte at once
        command, pipe = [sys.executable, "-m", "glassmill.run.worker"], subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8", env=environment)
        child = _Child(process)
        self.children.append(child)
        child.listener = threading.Thread(target=self._listen, args=(child,), daemon=True)
        child.listener.start()
        return child

    def close(self) -> None:
        """Kills them all."""
        for child in self.children:
            child.process.kill()
        for child in self.children:
            child.close()
        self.children.clear()
        self.inbox = queue.Queue()

    def _listen(self, child: _Child) -> None:
        assert child.process.stdout
        inbox = self.inbox
        for line in child.process.stdout:
            try:
                inbox.put((child, json.loads(line)))
            except json.JSONDecodeError:
                break  # cut off in the middle of a line: the child is dying
        child.process.wait()
        inbox.put((child, None))


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_shards(
    function: str,
    tasks: Sequence[Task],
    workers: int = 0,
    *,
    on_event: OnEvent | None = None,
    on_result: OnResult | None = None,
    cpu_limit_s: float = 20.0,
    worker_timeout_s: float = 900.0,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
    check: Check | None = None,
    crew: Crew | None = None,
) -> list[Result]:
    """Runs `function(task, link)` (a name, `package.module:function`) on every task.

    Args:
        tasks: JSON objects. A task that is repeated after a crash carries `skip`: `[[position, cause], ...]`. A
            position is there twice if reading the item is enough to end the child.
        workers: Child processes; 0: one a core.
        on_event: Called in this process with every event that a child sends.
        on_result: Called with a task's index and result when it is done.
        cpu_limit_s: CPU seconds from one `link.mark` to the next before the kernel ends the child.
        worker_timeout_s: Kill a child that reports nothing for this long; far above what any normal item takes.
        memory_limit_mb: Megabytes that the items of a task may take in a child, beyond what it has before the first
            one; 0: no limit. Linux only.
        check: What every child must find on its machine before its first task; see `resolved.check_machine`.
        crew: Whose children work, and stay in it unless something fails; by default they end with the map.

    Returns:
        The results, in the order of the tasks.

    Raises:
        UserError: raised by the function or the check, or the disk is full.
        ShardError: the function raised anything else, or its child crashed repeatedly before its first item.
    """
    work: Map = {
        "function": function, "cpu_limit_s": cpu_limit_s, "memory_limit_mb": memory_limit_mb, "check": check
    }  # fmt: skip
    own = crew or Crew()
    supervisor = _Supervisor(work, tasks, on_event, on_result, worker_timeout_s, own)
    try:
        results = supervisor.run(min(workers or cores(), len(tasks)))
    except BaseException:
        own.close()
        raise
    if crew is None:
        own.close()
    return results


class _Supervisor:
    def __init__(
        self,
        work: Map,
        tasks: Sequence[Task],
        on_event: OnEvent | None,
        on_result: OnResult | None,
        worker_timeout_s: float,
        crew: Crew,
    ) -> None:
        self.work = work
        self.tasks = tasks
        self.crew = crew
        self.skip: dict[int, list[tuple[int, str]]] = {}  # task -> position and cause
        self.on_event = on_event or (lambda event: None)
        self.on_result = on_result or (lambda index, result: None)
        self.worker_timeout_s = worker_timeout_s
        self.workers = 0
        self.waiting = deque(range(len(tasks)))
        self.results: dict[int, Result] = {}
        self.deaths: dict[int, tuple[int | None, int]] = {}  # task -> where its child died last, times in a row

    def run(self, workers: int) -> list[Result]:
        self.workers = workers
        for child in self.crew.children[:workers]:
            self._employ(child)
        while len(self.crew.children) < workers:
            self._employ(self.crew.start())
        while len(self.results) < len(self.tasks):
            self._step()
        return [self.results[index] for index in range(len(self.tasks))]

    def _employ(self, child: _Child) -> None:
        self._send(child, {"map": self.work})
        self._assign(child)

    def _send(self, child: _Child, value: object) -> None:
        assert child.process.stdin
        with contextlib.suppress(OSError):  # it died just now; the listener reports that, another child gets the task
            child.process.stdin.write(json.dumps(value, allow_nan=False) + "\n")
            child.process.stdin.flush()

    def _assign(self, child: _Child) -> None:
        if not self.waiting:
            child.index = -1
            return
        child.index, child.position, child.heard = self.waiting.popleft(), None, time.monotonic()
        skip = {"skip": self.skip[child.index]} if child.index in self.skip else {}
        self._send(child, {"task": {**self.tasks[child.index], **skip}})

    def _step(self) -> None:
        try:
            child, answer = self.crew.inbox.get(timeout=1.0)
        except queue.Empty:
            for silent in self.crew.children:
                if silent.index >= 0 and time.monotonic() - silent.heard > self.worker_timeout_s:
                    silent.silent = True
                    silent.process.kill()
            return
        child.heard = time.monotonic()
        if answer is None:
            self._reap(child)
        elif "at" in answer:
            child.position = answer["at"]
        elif "event" in answer:
            self.on_event(from_json(answer["event"]))
        elif "done" in answer:
            self.results[child.index] = answer["done"]
            self.on_result(child.index, answer["done"])
            self._assign(child)
        else:
            raise self._failure(child, answer)

    def _failure(self, child: _Child, answer: Answer) -> Exception:
        if "user_error" in answer:
            return UserError(answer["user_error"])
        if answer.get("os_error") in FULL_DISK:
            return disk_full(Path(str(self.tasks[child.index].get("out", "a shard"))))
        return ShardError(f"shard {child.index}: {answer['error']}\n{answer.get('traceback', '')}")

    def _reap(self, child: _Child) -> None:
        """A child died: its shard goes back to the front of the queue, without the item that killed it."""
        self.crew.children.remove(child)
        child.close()
        if child.index >= 0 and child.index not in self.results:
            self._attribute_crash(child)
            self.waiting.appendleft(child.index)
        idle = [one for one in self.crew.children if one.index < 0]
        if self.waiting and len(self.crew.children) - len(idle) < self.workers:
            self._employ(idle[0] if idle else self.crew.start())

    def _attribute_crash(self, child: _Child) -> None:
        """Finds the item that killed the child, or ends the run if the child dies before any item.

        Raises:
            ShardError: it keeps dying before its first item, or at an item that is skipped already.
        """
        code, position = child.process.returncode, child.position
        last, count = self.deaths.get(child.index, (None, 0))
        count = count + 1 if last == position else 1
        self.deaths[child.index] = position, count
        short = code == -getattr(signal, "SIGKILL", 9) and not child.silent and system_kills() > child.system_kills
        killed = code in FROM_OUTSIDE and not child.silent and not short
        if position is None:
            if count >= (KILLS_BEFORE_THE_FIRST if killed else CRASHES_BEFORE_THE_FIRST):
                times = f"{count} times before processing its first item"
                raise ShardError(f"shard {child.index}: its worker crashed {times} (exit {code})")
        elif code == CPU_LIMIT_SIGNAL:
            self._skip(child.index, position, "over the CPU limit")
        elif code == OUT_OF_MEMORY:
            self._skip(child.index, position, "over the memory limit")
        elif short:
            self._skip(child.index, position, "the system ran out of memory")
        elif count >= (KILLS_AT_AN_ITEM if killed else CRASHES_AT_AN_ITEM):
            silent = f"reported nothing for {self.worker_timeout_s:g} s"
            self._skip(child.index, position, silent if child.silent else f"killed its worker (exit {code})")

    def _skip(self, index: int, position: int, cause: str) -> None:
        skip = self.skip.setdefault(index, [])
        if sum(skipped == position for skipped, _ in skip) >= TIMES_SKIPPED:
            raise ShardError(f"shard {index}: item {position}, though skipped: {cause}")
        skip.append((position, cause))
