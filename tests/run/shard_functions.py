"""Shard functions that the executor tests run in real child processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.recipe import Recipe
from glassmill.run import kinds
from glassmill.run.worker import Link

VERSION = 1
"""This module also stands for a stage's verb module."""


def resolved(recipe: Recipe) -> dict[str, str | int]:
    """What a test says that this machine resolves."""
    if os.environ.get("TEST_ENGINE") == "missing":
        raise UserError("engine = fast needs the compiled core")
    return {"engine": os.environ.get("TEST_ENGINE", "fast"), "threads": 2}


def touch(task: dict[str, Any], link: Link) -> dict[str, Any]:
    """Leaves a file, so that a test sees whether an item was touched."""
    Path(task["marker"]).touch()
    return {}


def who(task: dict[str, Any], link: Link) -> dict[str, Any]:
    return {"pid": os.getpid()}


def square(task: dict[str, Any], link: Link) -> dict[str, Any]:
    print("a library that prints does not disturb the pipe")
    link.tell(kinds.Progress(done=1, total=1))
    return {"square": task["n"] ** 2}


def walk_items(task: dict[str, Any], link: Link) -> dict[str, Any]:
    """Sums the items; a negative one crashes the process, 0 never returns, items to skip are left out."""
    skip = dict(task.get("skip", []))
    total = 0
    for position, item in enumerate(task["items"]):
        if position in skip:
            continue
        link.mark(position)
        if item < 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        while item == 0:
            pass
        total += item
    return {"total": total, "set_aside": sorted(skip)}


def die_once(task: dict[str, Any], link: Link) -> dict[str, Any]:
    marker = Path(task["marker"])
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"survived": True}


def die_always(task: dict[str, Any], link: Link) -> dict[str, Any]:
    os._exit(3)


def die_at_every_item_once(task: dict[str, Any], link: Link) -> dict[str, Any]:
    """As if somebody killed the worker again and again, each time a little later."""
    for position in range(task["items"]):
        link.mark(position)
        marker = Path(f"{task['marker']}-{position}")
        for attempt in range(task["times"]):
            if not marker.with_suffix(f".{attempt}").exists():
                marker.with_suffix(f".{attempt}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
    return {"skip": task.get("skip", [])}


def outlive(task: dict[str, Any], link: Link) -> dict[str, Any]:
    """Says who it is, and works on without a word."""
    Path(task["pid_file"]).write_text(str(os.getpid()))
    time.sleep(60)
    return {}


def complain(task: dict[str, Any], link: Link) -> dict[str, Any]:
    raise UserError("the value 3 is too small; take 4")


def fail(task: dict[str, Any], link: Link) -> dict[str, Any]:
    raise ZeroDivisionError("our own fault")


def no_space(task: dict[str, Any], link: Link) -> dict[str, Any]:
    raise OSError(28, "No space left on device")


def sleep(task: dict[str, Any], link: Link) -> dict[str, Any]:
    time.sleep(task["seconds"])
    return {}


def die_while_reading(task: dict[str, Any], link: Link) -> None:
    """Dies on its way to item 1, set aside or not."""
    link.mark(1)
    os.abort()


def take_memory(task: dict[str, Any], link: Link) -> dict[str, Any]:
    """Takes so many megabytes for each item, one after the other."""
    skip = dict(task.get("skip", []))
    for position, megabytes in enumerate(task["items"]):
        if position not in skip:
            link.mark(position)
            bytearray(megabytes << 20)
    return {"set_aside": task.get("skip", [])}
