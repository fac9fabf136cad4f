"""Damaged and hostile files, by the thousand: what is accepted with other content, crashes, hangs or eats memory?

    python bench/mutants.py                 10,000 mutants, about ten minutes on two cores; prints one table
    python bench/mutants.py --count 500 --seed 3 --kinds gguf,recipe

Good files of every kind are made once. A mutant is a copy with a few changes drawn from a seed: bits flipped, ranges
cut, zeroed, swapped or spliced, sizes that lie, JSON values replaced by extreme ones, keys doubled, nests of brackets,
files missing or exchanged. The real loader reads it in a process of its own, with limits of memory and time.

    refused     one line (UserError), as it should be
    same        accepted, and the content is that of the good file (the change was in something that says nothing)
    valid       accepted, with exactly what the changed file says, where there is no checksum to know better
    other       accepted, with content that is neither: a failure, as are tracebacks, hangs and more than 1 GB
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from mutant_samples import READERS, WITHOUT_CHECKSUM, make_samples, says_the_same
from mutations import mutate

TIME_S = 30.0
MEMORY = 1 << 30
OUTCOMES = ("refused", "same", "valid", "other", "traceback", "hang", "memory")
FAILURES = OUTCOMES[3:]

Task = tuple[str, int]
"""A kind and the seed of the mutant."""


def examine(kind: str, seed: int, samples: Path, good: dict[str, str], room: Path) -> tuple[str, str]:
    """Outcome of one mutant, and what was said."""
    from glassmill.errors import UserError

    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(samples / kind, room)
    mutate(room, random.Random(f"{kind} {seed}"))
    try:
        digest = READERS[kind](room)
        if digest == good[kind]:
            return "same", ""
        return ("valid" if kind in WITHOUT_CHECKSUM and says_the_same(kind, room) else "other"), ""
    except UserError as error:
        return ("traceback", f"more than one line: {error!r}") if "\n" in str(error) else ("refused", str(error))
    except MemoryError:
        return "memory", traceback.format_exc()
    except BaseException:
        return "traceback", traceback.format_exc()


def work(link: Connection, samples: Path, good: dict[str, str]) -> None:
    """Answers to (kind, seed) until the link closes; measures its own peak memory above the start."""
    import resource
    import warnings

    import torch

    from glassmill.run.memory import peak_memory

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as own:
        os.environ["GLASSMILL_CACHE"] = f"{own}/cache"
        room = Path(own) / "room"
        for kind in READERS:
            shutil.copytree(samples / kind, room)
            READERS[kind](room)  # imports everything once
            shutil.rmtree(room)
        before = peak_memory()
        status = Path("/proc/self/status").read_text().splitlines()
        used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        while True:
            try:
                kind, seed = link.recv()
            except EOFError:
                return
            outcome, said = examine(kind, seed, samples, good, room)
            if peak_memory() - before > MEMORY:
                outcome, said = "memory", f"{peak_memory() - before:,} bytes more than at the start"
            link.send((outcome, said))


@dataclass(slots=True)
class Worker:
    """A process that reads mutants, and the one that it reads now."""

    process: BaseProcess
    link: Connection
    task: Task | None = None
    limit_s: float = 0.0

    def take(self, task: Task, seconds: float) -> None:
        self.link.send(task)
        self.task, self.limit_s = task, time.monotonic() + seconds

    def answer(self) -> tuple[str, str] | None:
        """The outcome of its task; None while it works."""
        try:
            if self.link.poll(0.002):
                outcome, said = self.link.recv()
                return outcome, said
        except (EOFError, OSError):
            self.end()
            return "traceback", "the process died"
        return ("hang", f"more than {TIME_S} s") if time.monotonic() > self.limit_s else None

    def end(self) -> None:
        """Lets it clear up behind itself, if it still can."""
        self.link.close()
        self.process.join(5)
        self.process.kill()


def hire(samples: Path, good: dict[str, str]) -> Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, samples, good), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


def run(count: int, seed: int, kinds: list[str], workers: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Outcomes by kind, and the failures in words."""
    table: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    failures: list[str] = []
    todo = [(kinds[number % len(kinds)], seed * 10**6 + number) for number in range(count)]
    with tempfile.TemporaryDirectory() as base:
        samples = Path(base) / "samples"
        make_samples(samples)
        good = {kind: READERS[kind](Path(shutil.copytree(samples / kind, f"{base}/good/{kind}"))) for kind in READERS}
        crew = [hire(samples, good) for _ in range(min(workers, count))]
        while todo or any(worker.task for worker in crew):
            for place, worker in enumerate(crew):
                if not worker.task:
                    if todo:  # the first one waits for the imports
                        worker.take(todo.pop(), TIME_S if any(table.values()) else TIME_S + 60)
                elif found := worker.answer():
                    (kind, number), (outcome, said) = worker.task, found
                    worker.task = None
                    table[kind][outcome] += 1
                    if outcome in FAILURES:
                        failures.append(f"{kind} {number}: {outcome}\n{said}")
                    if outcome in ("hang", "memory") or not worker.process.is_alive():
                        worker.end()
                        crew[place] = hire(samples, good)
        for worker in crew:
            worker.end()
    return table, failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(READERS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--show", type=int, default=10, help="failures to print")
    given = parser.parse_args()
    begin = time.monotonic()
    table, failures = run(given.count, given.seed, given.kinds.split(","), given.workers)
    for text in failures[: given.show]:
        print(text, file=sys.stderr)
    print(f"{'kind':<12}" + "".join(f"{name:>10}" for name in OUTCOMES))
    for kind, outcomes in [*table.items(), ("all", sum(table.values(), Counter()))]:
        print(f"{kind:<12}" + "".join(f"{outcomes[name]:>10,}" for name in OUTCOMES))
    print(f"{time.monotonic() - begin:.0f} s; failures: {len(failures)}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
