"""Deduplication of millions of synthetic documents: peak memory, time, disk.

    python bench/dedup.py                                   # 5 million documents, 256 MB a task
    python bench/dedup.py --documents 1000000 --memory-mb 16
    python bench/dedup.py --documents 33400000 --rounds     # 500 million keys, the last step in rounds of tasks
    python bench/dedup.py --both                            # one task and rounds, and whether the tables are equal

Each document is a row of band keys as MinHash gives them (14 bands and the key of the whole text); one in five is a
near copy of an earlier document: it shares a few bands with it, or a few with another copy of it. Rows are made on
the fly and written as the corpus stage writes them. Prints the peak resident memory of the whole process, in which
the tasks run one after the other; the planted clusters are checked against the truth. Without `--rounds` the last step
is one task; the CPU seconds of every kind of task, and the most memory that one allocated, are in a table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

from glassmill.corpus.dedup.duplicates import find_duplicates
from glassmill.corpus.dedup.rows import Rows
from glassmill.corpus.dedup.table import read_table
from glassmill.run.memory import peak_memory
from glassmill.run.worker import Link, load_function

COLUMNS = 15
DOCUMENTS_IN_FILE = 100_000
COPIES = 0.2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--memory-mb", type=int, default=256)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", action="store_true")
    parser.add_argument("--both", action="store_true")
    parser.add_argument("--trace", action="store_true", help="count what tasks allocate; takes twice the time")
    arguments = parser.parse_args()
    print(f"{machine()}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = write_documents(Path(folder), arguments.documents)
        if arguments.trace:
            tracemalloc.start()
        tables = [
            measure(rows, Path(folder), arguments.documents, arguments.memory_mb, in_rounds)
            for in_rounds in ([False, True] if arguments.both else [arguments.rounds])
        ]
        if arguments.both:
            print("equal tables" if np.array_equal(*tables) else "DIFFERENT TABLES")


def measure(rows: list[Rows], folder: Path, documents: int, memory_mb: int, in_rounds: bool) -> np.ndarray:
    work = folder / ("rounds" if in_rounds else "one")
    spent.clear()
    begin, cpu = time.perf_counter(), time.process_time()
    one_task = 0 if in_rounds else documents
    table = read_table(find_duplicates(rows, 0, COLUMNS, memory_mb << 20, work, run_tasks, one_task))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    peak = peak_memory() / (1 << 20)
    disk = sum(path.stat().st_size for path in work.rglob("*") if path.is_file()) / 1e9
    print(f"{documents:,} documents, {memory_mb} MB a task, the last step in {'rounds' if in_rounds else 'one task'}: "
          f"peak RSS {peak:.0f} MB, {disk:.2f} GB on disk")  # fmt: skip
    print(f"{seconds:.0f} s, {cpu:.0f} s of CPU time")
    print("tasks                    rounds   tasks   CPU s   largest task, MB allocated")
    for function, (calls, tasks, in_tasks, allocated) in spent.items():
        print(f"  {function:22} {calls:6} {tasks:7} {in_tasks:7.1f} {allocated / (1 << 20):7.0f}")
    print(check(table, documents))
    return table


spent: dict[str, tuple[int, int, float, int]] = {}
"""Of every kind of task: calls, tasks, CPU seconds, and bytes of the largest one."""


def run_tasks(function: str, tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    name = function.rpartition(":")[2]
    results = []
    calls, number, seconds, most = spent.get(name, (0, 0, 0.0, 0))
    for task in tasks:
        tracemalloc.reset_peak()
        before, begin = tracemalloc.get_traced_memory()[0], time.process_time()
        results.append(load_function(function)(task, Link()))
        seconds += time.process_time() - begin
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
    spent[name] = calls + 1, number + len(tasks), seconds, most
    return results


def original_of(numbers: np.ndarray) -> np.ndarray:
    """The document of which each is a copy, or itself: decided by arithmetic, so that nothing need be kept."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(31)
    is_copy = (mixed % np.uint64(1000)).astype(np.int64) < COPIES * 1000
    original = (mixed >> np.uint64(20)).astype(np.int64) % np.maximum(numbers, 1)
    return np.where(is_copy & (numbers > 0), original, numbers)


def write_documents(folder: Path, documents: int) -> list[Rows]:
    """Files of ids and keys. A copy takes two of its original's bands; that may be a copy itself: chains arise."""
    rows = []
    for begin in range(0, documents, DOCUMENTS_IN_FILE):
        numbers = np.arange(begin, min(begin + DOCUMENTS_IN_FILE, documents))
        table = np.empty((len(numbers), 1 + COLUMNS), np.uint64, order="F")
        table[:, 0] = numbers
        for column in range(1, 1 + COLUMNS):
            table[:, column] = key(owner_of(numbers, column), column)
        path = folder / f"keys-{begin:09d}.npy"
        np.save(path, table, allow_pickle=False)
        rows.append(Rows(path, 0, len(numbers)))
    return rows


def owner_of(numbers: np.ndarray, column: int) -> np.ndarray:
    """Whose key a document has in this column: a copy has its original's in two bands of fourteen, and so on up."""
    while column > 1:
        originals = original_of(numbers)
        above = np.where((originals + column) % 7 == 0, originals, numbers)
        if np.array_equal(above, numbers):
            break
        numbers = above
    return numbers


def key(numbers: np.ndarray, column: int) -> np.ndarray:
    mixed = numbers.astype(np.uint64) * np.uint64(64) + np.uint64(column)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def check(table: np.ndarray, documents: int) -> str:
    """Whether every copy is in its original's cluster: both must have the same survivor, and sizes must add up."""
    ends = range(0, documents, DOCUMENTS_IN_FILE)
    copies = apart = clusters = 0
    for begin in ends:
        numbers = np.arange(begin, min(begin + DOCUMENTS_IN_FILE, documents))
        originals = original_of(numbers)
        copies += int((originals != numbers).sum())
        apart += int((np.asarray(table[numbers, 0]) != np.asarray(table[originals, 0])).sum())
        clusters += int((np.asarray(table[numbers, 0]) == numbers).sum())
    more = clusters - (documents - copies)
    found = "every planted copy found" if apart == more == 0 else f"{apart} copies apart, {more} clusters too many"
    return f"{copies:,} copies: {found}; {clusters:,} documents stay"


if __name__ == "__main__":
    main()
