"""Native work in forked children; run by test_threads.py.

python forks.py after|during|within
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from glassmill import native

ENCODER = native.Encoder({bytes([value]): value for value in range(256)}, "llama3")
TEXTS = [f"{i} " * 40_000 for i in range(20)]


def encoded() -> bytes:
    return b"".join(array.tobytes() for array in ENCODER.encode_batch(TEXTS, threads=3))


EXPECTED = encoded()


def in_a_child(work: Callable[[], object]) -> None:
    """Runs `work` in a forked child; a child that waits for a thread that it does not have is ended."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def check() -> None:
    assert encoded() == EXPECTED
    trainer = native.Trainer(threads=2)
    trainer.add(TEXTS)
    assert trainer.stats()["bytes"] == sum(map(len, TEXTS))


def after() -> None:
    """Once the pool's threads exist."""
    in_a_child(check)
    in_a_child(lambda: in_a_child(check))
    check()


def during() -> None:
    """While another thread is inside the pool."""
    stop = threading.Event()

    def encode_on() -> None:
        while not stop.is_set():
            encoded()

    busy = threading.Thread(target=encode_on)
    busy.start()
    for _ in range(10):
        time.sleep(0.003)
        in_a_child(check)
    stop.set()
    busy.join()


def within() -> None:
    """While a trainer counts in the background: the parent goes on, the child cannot."""
    trainer = native.Trainer(threads=2)

    def documents() -> Iterator[str]:
        for _ in range(10):
            yield from TEXTS
        in_a_child(refused)
        yield from TEXTS

    def refused() -> None:
        try:
            trainer.stats()
        except RuntimeError as error:
            assert "in use" in str(error)
        else:
            raise AssertionError("a child read counters that its parent's threads were changing")
        check()

    trainer.add(documents())
    assert trainer.stats()["bytes"] == 11 * sum(map(len, TEXTS))


if __name__ == "__main__":
    {"after": after, "during": during, "within": within}[sys.argv[1]]()
