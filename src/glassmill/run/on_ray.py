"""Shards as Ray tasks, on this machine or on a cluster; needs the extra `glassmill[ray]`.

A Ray task supervises one child process on its node, exactly as the local executor does. So CPU limits and poisonous
items mean the same, and Ray is left with what it is good at: placing tasks on nodes, and repeating those of a worker or
node that is lost. Where shards are many, a task does a few of them with the same child; repeated, it skips those that
are done, because shard functions do. Only Ray's core is used; nothing goes through its object store but the tasks and
their results.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glassmill.errors import ShardError, UserError
from glassmill.run.executors import Limits, Result, cores, map_shards
from glassmill.run.kinds import Event, from_json, to_json

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
    tasks: Sequence[Mapping[str, Any]],
    workers: int,
    limits: Limits,
    on_event: Callable[[Event], None] | None = None,
    on_result: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """`executors.map_shards` over Ray.

    Args:
        address: `host:port` of a cluster; None starts a Ray on this machine, which ends with this process.
        workers: Shards at a time; 0 is as many as Ray has room for.
        on_event: Called when a shard is done, with the last events of each kind that its child sent.

    Raises:
        UserError: as the function raised it; Ray is not installed, or nothing answers at the address.
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
                running[remote.remote(function, some, limits)] = first
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


def supervise(function: str, tasks: list[dict[str, Any]], limits: Limits) -> dict[str, Any]:
    """Shards on this node, in a supervised child. Returns `events` and either `results`, `user_error` or `error`."""
    events: defaultdict[type[Event], deque[Event]] = defaultdict(lambda: deque(maxlen=EVENTS_KEPT))
    answer: dict[str, Any] = {}
    try:
        answer["results"] = map_shards(
            function, tasks, 1, on_event=lambda event: events[type(event)].append(event), **limits
        )
    except UserError as error:
        answer["user_error"] = str(error)
    except ShardError as error:
        answer["error"] = str(error)
    answer["events"] = [to_json(event) for some in events.values() for event in some]
    return answer


def _receive(ray: Any, done: Any, first: int, on_event: Callable[[Event], None] | None) -> list[Result]:
    try:
        answer: dict[str, Any] = ray.get(done)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise ShardError(f"shards from {first} on: Ray gave them up ({type(error).__name__}: {reason})") from None
    for event in answer["events"]:
        if on_event:
            on_event(from_json(event))
    if "user_error" in answer:
        raise UserError(answer["user_error"])
    if "error" in answer:
        raise ShardError(f"on Ray, counted from shard {first}: {answer['error']}")
    results: list[Result] = answer["results"]
    return results


def _connect(address: str | None, workers: int) -> Any:
    """The module `ray`, connected."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read at the import; Ray would report to its makers
    try:
        import ray
    except ImportError:
        raise UserError("run.executor = ray needs Ray: pip install 'glassmill[ray]', or leave it at local") from None
    if ray.is_initialized():
        return ray
    if address:
        _check_answer(address)
    handler = signal.getsignal(signal.SIGTERM)
    own: dict[str, Any] = {
        "num_cpus": workers or cores(),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else own),
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        where = f"the cluster at {address}" if address else "on this machine"
        raise UserError(f"Ray does not start {where}: {str(error).strip().splitlines()[0]}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray takes it; a stage that follows has its own use for it
    return ray


def _check_answer(address: str) -> None:
    """Ray's driver tries a dead address for minutes; this says it in seconds."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"run.ray_address = {address!r}: write host:port, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"run.ray_address = {address!r}: no Ray cluster answers there ({error}); `ray start --head` begins one"
        ) from None


def disconnect() -> None:
    """Ends the connection, and the Ray that `map_on_ray` started."""
    if ray := sys.modules.get("ray"):  # never imported: never connected
        ray.shutdown()
