"""The search for duplicates as a process of its own, on any engine: `python -m tests.join_line ENGINE FOLDER [TASK]`

FOLDER has `keys-*.npy`; the table comes into FOLDER/work. ENGINE is `local`, `ray` or `slurm`, which ends with exit
code 0 and "wait" where array tasks have to work first; with TASK it is the array task of that number, of `ARRAY_TASKS`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassmill.corpus.dedup.duplicates import find_duplicates
from glassmill.corpus.dedup.rows import Rows
from glassmill.corpus.dedup.table import read_table
from glassmill.errors import Waiting
from glassmill.recipe import RunSettings
from glassmill.run.array import run_array_task
from glassmill.run.engines import map_shards

COLUMNS, EARLIER, RUNS, ARRAY_TASKS = 3, 2_000, 3, 2
DOCUMENTS = 20_000
MEMORY_BYTES = 96 * DOCUMENTS // RUNS


def write_keys(folder: Path) -> None:
    """Chains, stars and lone documents, spread over all runs."""
    chance = np.random.default_rng(3)
    table = chance.integers(0, 2**64, (DOCUMENTS, 1 + COLUMNS), np.uint64)
    table[:, 0] = np.arange(DOCUMENTS)
    for column in range(1, 1 + COLUMNS):
        copies = chance.choice(DOCUMENTS, DOCUMENTS // 12, replace=False)
        table[copies, column] = table[chance.permutation(copies) // 2, column]
    for number, part in enumerate(np.array_split(table, 3)):
        np.save(folder / f"keys-{number}.npy", np.asfortranarray(part), allow_pickle=False)


def search(folder: Path, engine: str, one_task: int = 0, workers: int = 2) -> np.ndarray:
    """The table, by rounds."""
    settings = RunSettings.model_validate({"executor": engine})

    def run(function: str, tasks: Sequence[Mapping[str, object]]) -> Sequence[Mapping[str, Any]]:
        return map_shards(settings, folder / "scratch", function, tasks, workers, cpu_limit_s=0)

    rows = [Rows(path, 0, len(np.load(path, mmap_mode="r"))) for path in sorted(folder.glob("keys-*.npy"))]
    find = functools.partial(find_duplicates, rows, EARLIER, COLUMNS, MEMORY_BYTES)
    return read_table(find(folder / "work", run, one_task))


def main(engine: str, folder: Path, task: int | None) -> None:
    if task is not None:
        run_array_task(folder / "scratch" / "array", task, ARRAY_TASKS, workers=1)
        return
    try:
        np.save(folder / "table.npy", search(folder, engine))
    except Waiting:
        print("wait")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
