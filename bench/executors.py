"""What an engine costs: the corpus stage over the same shards, `python bench/executors.py [rounds] [pages]`.

Peers of the local executor: the same shard functions in a plain loop, in a process pool (concurrent.futures), as Ray
tasks (if Ray is installed), and as array tasks one after another. CPU seconds and memory are those of all processes of
a run, looked at twenty times a second; what a process used after the last look is missing, for all engines alike.
Prints medians of the rounds and ratios to the local executor, and checks that all give the same hash.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
from machine import machine

WORKERS = 2
SHARDS = 16
PAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
WEB = (f"miniweb.pages={PAGES}", f"miniweb.warc_files={SHARDS}", f"corpus.workers={WORKERS}")
MARK = "GLASSMILL_BENCH"

HOOK = """
import sys
from glassmill.cli import main
from glassmill.run import executors
from glassmill.run.worker import Link, load_function
def loop(function, tasks, workers, **rest):
    return [load_function(function)(dict(task), Link()) for task in tasks]
def pool(function, tasks, workers, **rest):
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(workers) as processes:
        return list(processes.map(load_function(function), [dict(task) for task in tasks]))
executors.map_shards = {name}
sys.argv[0] = "glassmill"
main()
"""


class Watch:
    """CPU seconds, peak memory (PSS, bytes) and number of the processes that carry a mark in their environment."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.known: dict[int, psutil.Process | None] = {}
        self.cpu: dict[int, float] = {}
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on)
        self._thread.start()

    def end(self) -> tuple[float, int, int]:
        self._stop.set()
        self._thread.join()
        return sum(self.cpu.values()), self.peak, len(self.cpu)

    def _look_on(self) -> None:
        looks = 0
        while not self._stop.wait(0.05):
            memory = 0
            for pid in psutil.pids():
                if pid not in self.known:
                    self.known[pid] = self._if_marked(pid)
                process = self.known[pid]
                if process is None:
                    continue
                try:
                    times = process.cpu_times()
                    self.cpu[pid] = times.user + times.system
                    if looks % 10 == 0:
                        memory += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, memory)
            looks += 1

    def _if_marked(self, pid: int) -> psutil.Process | None:
        try:
            process = psutil.Process(pid)
            return process if process.environ().get(MARK) == self.mark else None
        except (psutil.Error, OSError):
            return None


def glassmill(runs: Path, *words: str, hook: str | None = None, mark: str = "") -> None:
    program = ["-c", HOOK.replace("{name}", hook)] if hook else ["-m", "glassmill"]
    command = [sys.executable, *program, *words, *WEB, "--runs", str(runs)]
    environment = {**os.environ, MARK: mark, "RAY_worker_niceness": "0"}  # Ray's workers would stand back otherwise
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")


def local(runs: Path, mark: str) -> None:
    glassmill(runs, "corpus", "demo", mark=mark)


def loop(runs: Path, mark: str) -> None:
    glassmill(runs, "corpus", "demo", hook="loop", mark=mark)


def pool(runs: Path, mark: str) -> None:
    glassmill(runs, "corpus", "demo", hook="pool", mark=mark)


def ray(runs: Path, mark: str) -> None:
    glassmill(runs, "corpus", "demo", "run.executor=ray", mark=mark)


def array(runs: Path, mark: str) -> None:
    for _ in ("judge", "finish"):
        glassmill(runs, "corpus", "demo", "run.executor=slurm", mark=mark)
        for task in range(WORKERS):
            glassmill(runs, "corpus", "demo", "--task", str(task), "--tasks", str(WORKERS), mark=mark)
    glassmill(runs, "corpus", "demo", "run.executor=slurm", mark=mark)


def main(rounds: int) -> None:
    engines = {"local": local, "plain loop": loop, "process pool": pool, "array tasks": array}
    if find_spec("ray"):
        engines["Ray"] = ray
    figures: dict[str, list[tuple[float, float, int, int]]] = {name: [] for name in engines}
    hashes = set()
    with tempfile.TemporaryDirectory(prefix="gm") as folder:
        web = Path(folder, "web")
        glassmill(web, "run", "demo", "--until", "miniweb")
        for number in range(rounds):
            for name, run in engines.items():
                runs = Path(folder, f"{name.replace(' ', '-')}-{number}")
                subprocess.run(["cp", "-r", str(web), str(runs)], check=True)
                watch, begin = Watch(f"{name} {number}"), time.perf_counter()
                run(runs, f"{name} {number}")
                wall = time.perf_counter() - begin
                figures[name].append((*watch.end(), wall))
                hashes |= {path.read_text() for path in runs.glob("corpus/*/DONE")}
    report(figures, len(hashes))


def report(figures: dict[str, list[tuple[float, float, int, int]]], num_hashes: int) -> None:
    print(machine() + (f", Ray {version('ray')}" if "Ray" in figures else ""))
    print(f"{PAGES:,} pages, {SHARDS} shards, {WORKERS} workers; {len(figures['local'])} rounds; hashes: {num_hashes}")
    print(f"{'engine':14} {'CPU s':>7} {'ratio':>6} {'peak MB':>8} {'processes':>10} {'wall s':>7}")
    middle = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in figures.items()}
    for name, (cpu, peak, processes, wall) in middle.items():
        ratio = statistics.median(row[0] / other[0] for row, other in zip(figures[name], figures["local"], strict=True))
        print(f"{name:14} {cpu:7.1f} {ratio:6.2f} {peak / 2**20:8.0f} {processes:10.0f} {wall:7.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3)
