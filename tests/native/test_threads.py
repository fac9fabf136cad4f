"""The core's threads: where none can be started the work is done without, and a forked child has its own."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glassmill import native

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
NATIVE = Path(str(native.__file__)).parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits and /proc are Linux's")


def run(script: str, word: str, stack_bytes: int | None = None) -> str:
    """The output of a script beside this file; `stack_bytes` is the stack of every thread that it would start."""
    limits = [] if stack_bytes is None else ["prlimit", f"--stack={stack_bytes}:"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    command = [*limits, sys.executable, str(FOLDER / script), word]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@functools.cache
def unlimited() -> str:
    return run("no_threads.py", "unlimited")


def test_under_ulimit_u_native_calls_answer_on_one_thread():
    assert run("no_threads.py", "processes") == unlimited()


def test_under_ulimit_v_native_calls_answer_on_one_thread():
    assert run("no_threads.py", "memory", stack_bytes=2**30) == unlimited()


def test_a_child_forked_after_native_work_does_native_work():
    run("forks.py", "after")


def test_a_child_forked_during_native_work_does_native_work():
    run("forks.py", "during")


def test_a_trainer_that_was_counting_at_a_fork_is_refused_in_the_child():
    run("forks.py", "within")


def test_a_trainer_in_use_is_refused_to_others():
    trainer = native.Trainer()
    with pytest.raises(RuntimeError, match="in use"):
        trainer.add(str(trainer.stats()) for _ in range(2))
    assert trainer.stats()["bytes"] == 0


def test_only_pool_and_team_start_threads_and_only_bindings_know_python():
    files = list(NATIVE.rglob("*.[ch]pp"))
    assert len(files) > 50
    for file in files:
        text, name = file.read_text(), file.relative_to(NATIVE).as_posix()
        if name not in ("base/pool.cpp", "base/team.cpp"):
            assert not re.search(r"std::(j?thread|async)\b|pthread_create", text), name
        if not name.startswith("bind/"):
            assert not re.search(r"#include.*(bind/|nanobind|numpy|Python\.h)", text), name
