"""The search for duplicates in rounds of tasks, on every engine, killed on the way: always the same table."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.join_line import ARRAY_TASKS, DOCUMENTS, search, write_keys
from tests.line import quiet_environment

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="kill -9 of a group is POSIX")]

KILLS = int(os.environ.get("GLASSMILL_KILLS", "2"))
"""On each engine; `GLASSMILL_KILLS=30` is the bench."""
MARKS = ("glassmill.run.worker", "ray::supervise")
ALL_AT_ONCE = {"local": 0.25, "slurm": 0.25, "ray": 0.1}
"""How often a kill takes everything; Ray needs long to start again."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder)
    return folder


@pytest.fixture(scope="module")
def expected(keys: Path) -> np.ndarray:
    """What one task makes of them."""
    return search(keys, "local", one_task=DOCUMENTS, workers=1)


class Join:
    """One search after another, of which kills change nothing."""

    def __init__(self, engine: str, keys: Path, folder: Path, expected: np.ndarray) -> None:
        self.engine, self.keys, self.folder, self.expected = engine, keys, folder, expected
        self.chance = random.Random(engine)
        self.finished = self.kills = self.in_writes = 0
        self.renew()

    def renew(self) -> None:
        """A fresh copy of the keys, and nothing else."""
        self.place = self.folder / str(self.finished)
        self.place.mkdir()
        for path in self.keys.glob("keys-*.npy"):
            shutil.copy(path, self.place)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output.txt").open("ab") as output:
            command = [sys.executable, "-m", "tests.join_line", self.engine, str(self.place), *words]
            return subprocess.Popen(
                command, stdout=output, stderr=output, env=quiet_environment(), start_new_session=True
            )

    def disturb(self, process: subprocess.Popen[bytes]) -> None:
        """Waits for a worker, often until it writes, and kills it, or everything."""
        while not workers_of(process) and process.poll() is None:
            time.sleep(0.05)
        if self.chance.random() < 0.7:
            while not self.writers(process) and process.poll() is None:
                time.sleep(0.01)
        else:
            time.sleep(self.chance.uniform(0, 0.3))
        writers = self.writers(process)
        if process.poll() is not None or not (workers := writers or workers_of(process)):
            return
        self.kills += 1
        self.in_writes += bool(writers)
        if self.chance.random() > ALL_AT_ONCE[self.engine]:
            end(self.chance.choice(workers))
        else:
            end_all(process)

    def writers(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """The workers that have something half written: its name ends in their number."""
        try:
            paths = [path for depth in ("*", "*/*") for path in self.place.glob(f"work/*/{depth}.partial")]
        except FileNotFoundError:  # removed while it is looked at
            return []
        numbers = {path.name.removesuffix(".partial").rpartition("-")[2] for path in paths}
        return [worker for worker in workers_of(process) if str(worker.pid) in numbers] if numbers else []

    def check(self) -> None:
        """The table of a search that ended; then comes the next search."""
        assert np.array_equal(np.load(self.place / "table.npy"), self.expected), (self.engine, self.finished)
        shutil.rmtree(self.place)
        self.finished += 1
        self.renew()

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        assert process.wait(timeout=1800) == 0, (self.folder / "output.txt").read_text()[-2000:]


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    found = []
    try:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if any(word.startswith(MARKS) for word in child.cmdline()):
                    found.append(child)
            except psutil.Error:
                continue
    except psutil.NoSuchProcess:
        return []
    return found


def end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def end_all(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of a process and all below it; Ray's are in groups of their own."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    for child in children:
        end(child)
    process.wait()


ENGINES = ["local", pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="no Ray here"))]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("engine", ENGINES)
def test_kills_of_workers_and_of_everything_change_no_row(
    engine: str, keys: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    join = Join(engine, keys, tmp_path, expected)
    process = join.start()
    while join.kills < KILLS:
        join.disturb(process)
        if process.poll() is not None:
            if process.returncode == 0:
                join.check()
            process = join.start()
    join.wait(process)
    join.check()
    print(f"{engine}: {join.kills} kills, {join.in_writes} of them in a write, {join.finished} searches, one table")


@pytest.mark.timeout(7200)
def test_kills_of_array_tasks_change_no_row(keys: Path, expected: np.ndarray, tmp_path: Path) -> None:
    join = Join("slurm", keys, tmp_path, expected)
    while join.kills < KILLS or (join.place / "scratch").exists():
        join.wait(join.start())
        if (join.place / "table.npy").exists():
            join.check()
            continue
        for task in range(ARRAY_TASKS):
            process = join.start(str(task))
            if join.kills < KILLS and join.chance.random() < 0.6:
                join.disturb(process)
                if process.poll() not in (None, 0):
                    process = join.start(str(task))  # as a scheduler does
            join.wait(process)
    print(f"array tasks: {join.kills} kills, {join.in_writes} of them in a write, {join.finished} searches, one table")
