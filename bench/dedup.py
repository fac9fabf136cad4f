"""Deduplication of millions of synthetic documents: peak memory, time, disk.

    python bench/dedup.py                                   # 5 million documents, 256 MB a task
    python bench/dedup.py --documents 1000000 --memory-mb 16

Each document is a row of band keys as MinHash gives them (14 bands and the key of the whole text); one in five is a
near copy of an earlier document: it shares a few bands with it, or a few with another copy of it. Rows are made on
the fly and written as the corpus stage writes them. Prints the peak resident memory of the whole process, in which
the tasks run one after the other; the planted clusters are checked against the truth.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

from glassmill.corpus.dedup.duplicates import Rows, find_duplicates
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure(Path(folder), arguments.documents, arguments.memory_mb)


def measure(folder: Path, documents: int, memory_mb: int) -> None:
    rows = write_documents(folder, documents)
    begin, cpu = time.perf_counter(), time.process_time()
    table = find_duplicates(rows, 0, COLUMNS, memory_mb << 20, folder / "work", run_tasks)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    peak = peak_memory() / (1 << 20)
    disk = sum(path.stat().st_size for path in (folder / "work").rglob("*") if path.is_file()) / 1e9
    print(f"{machine()}, numpy {np.__version__}")
    print(f"{documents:,} documents, {memory_mb} MB a task: peak RSS {peak:.0f} MB, {disk:.2f} GB on disk")
    print(f"{seconds:.0f} s, {cpu:.0f} s of CPU time")
    print(check(np.load(table, mmap_mode="r"), documents))


def run_tasks(function: str, tasks: Sequence[dict[str, Any]]) -> None:
    for task in tasks:
        load_function(function)(task, Link())


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
