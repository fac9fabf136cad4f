"""Shards as Ray tasks, on this machine or on a cluster; needs the extra `glassmill[ray]`.

A Ray task supervises one child process on its node, exactly as the local executor does. So CPU limits, skipped items
and the check of the machine mean the same, and Ray does what it is good at: it places tasks on nodes, and repeats those
of a worker or node that is lost. Where there are many shards, a task does a few of them with the same child; repeated,
it skips those that are done, because shard functions do. Only Ray's core is used, and only tasks and results go through
its object store.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from glassmill.errors import ShardError, UserError
from glassmill.run.executors import Limits, OnEvent, OnResult, Result, Task, cores, map_shards
from glassmill.run.kinds import Event, from_json, to_json
from glassmill.run.resolved import Check

LOST_WORKERS_PER_SHARD = 20
IN_FLIGHT = 1000
MOST_SHARDS_PER_TASK = 8
TASKS_PER_SLOT = 4  # at least, so that a slow shard keeps no slot waiting
EVENTS_KEPT = 20
OBJECT_STORE_BYTES = 100 << 20  # a local Ray would take 30 % of the memory; tasks and results are a few kilobytes
ANSWER_SECONDS = 5.0


def map_on_ray(
    address: str | None,
    function: str,
    tasks: Sequence[Task],
    workers: int,
    limits: Limits,
    on_event: OnEvent | None = None,
    on_result: OnResult | None = None,
    check: Check | None = None,
) -> list[Result]:
    """`executors.map_shards` over Ray.

    Args:
        address: `host:port` of a cluster; None starts a Ray on this machine, which ends with this process.
        workers: Shards at a time; 0 is as many as Ray has room for.
        on_event: Called when a shard is done, with the last events of each kind from its child.

    Raises:
        UserError: raised by the function or the check; Ray is not installed, or nothing answers at the address.
        ShardError: the function failed, or the workers of one shard were lost again and again.
    """
    ray = _connect(address, workers)
    remote = ray.remote(num_cpus=1, max_retries=LOST_WORKERS_PER_SHARD)(supervise)
    slots = workers or int(ray.cluster_resources().get("CPU", 1))
    size = max(1, min(MOST_SHARDS_PER_TASK, len(tasks) // (TASKS_PER_SLOT * slots)))
    waiting = deque(range(0, len(tasks), size))
    running: dict[Any, int] = {}
    results: dict[int, Result] = {}
    try:
        while len(results) < len(tasks):
            while waiting and len(running) < (workers or IN_FLIGHT):
                first = waiting.popleft()
                some = [dict(task) for task in tasks[first : first + size]]
                running[remote.remote(function, some, limits, check)] = first
            for done in ray.wait(list(running))[0]:
                first = running.pop(done)
                for index, result in enumerate(_receive(ray, done, first, on_event), first):
                    results[index] = result
                    if on_result:
                        on_result(index, result)
    finally:
        for left in running:
            ray.cancel(left, force=True)
    return [results[index] for index in range(len(tasks))]


class Supervised(TypedDict, total=False):
    """What comes back from a node: the last events of each kind, and the results or one of the failures."""

    events: list[Mapping[str, object]]
    results: list[Result]
    user_error: str
    error: str


def supervise(function: str, tasks: list[Task], limits: Limits, check: Check | None) -> Supervised:
    """Shards on this node, in a supervised child."""
    events: defaultdict[type[Event], deque[Event]] = defaultdict(lambda: deque(maxlen=EVENTS_KEPT))
    answer: Supervised = {}
    try:
        answer["results"] = map_shards(
            function, tasks, 1, on_event=lambda event: events[type(event)].append(event), check=check, **limits
        )
    except UserError as error:
        answer["user_error"] = str(error)
    except ShardError as error:
        answer["error"] = str(error)
    answer["events"] = [to_json(event) for some in events.values() for event in some]
    return answer


def _receive(ray: Any, done: Any, first: int, on_event: OnEvent | None) -> list[Result]:
    try:
        answer: Supervised = ray.get(done)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise ShardError(f"shards from {first} on: Ray gave up on them ({type(error).__name__}: {reason})") from None
    for event in answer["events"]:
        if on_event:
            on_event(from_json(event))
    if "user_error" in answer:
        raise UserError(answer["user_error"])
    if "error" in answer:
        raise ShardError(f"on Ray, counted from shard {first}: {answer['error']}")
    return answer["results"]


def _connect(address: str | None, workers: int) -> Any:
    """The module `ray`, connected."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read at the import; else Ray sends usage reports
    try:
        import ray
    except ImportError:
        raise UserError(
            "run.executor = ray needs Ray: pip install 'glassmill[ray]', or set run.executor=local"
        ) from None
    if ray.is_initialized():
        return ray
    if address:
        _check_answer(address)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            num_cpus=None if address else workers or cores(),
            object_store_memory=None if address else OBJECT_STORE_BYTES,
            include_dashboard=None if address else False,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        where = f"the cluster at {address}" if address else "on this machine"
        raise UserError(f"Ray does not start {where}: {str(error).strip().splitlines()[0]}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray replaces it; a later stage uses its own
    return ray


def _check_answer(address: str) -> None:
    """Ray's driver tries a dead address for minutes; this finds it in seconds."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"run.ray_address = {address!r}: write host:port, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"run.ray_address = {address!r}: no Ray cluster answers there ({error}); `ray start --head` starts one"
        ) from None


def disconnect() -> None:
    """Ends the connection, and the Ray that `map_on_ray` started."""
    if ray := sys.modules.get("ray"):  # never imported: never connected
        ray.shutdown()
