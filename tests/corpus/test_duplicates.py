"""Clusters of a corpus on disk: the same as in memory, for any memory, after any interruption, against any index."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.corpus.dedup.clusters import Clusters
from glassmill.corpus.dedup.duplicates import find_duplicates
from glassmill.corpus.dedup.rows import Rows
from glassmill.corpus.dedup.table import EARLIER, EXACT, read_table
from glassmill.run.worker import Link, load_function

COLUMNS = 3
WAYS = {"one task": 10**9, "rounds": 0}
"""Up to how many documents the last step is one task."""


def in_process(function: str, tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [load_function(function)(task, Link()) for task in tasks]


def write_keys(folder: Path, tables: Sequence[np.ndarray]) -> list[Rows]:
    """Files of keys as the parts of a corpus have them: ids, then columns of keys, a column after the other."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number, table in enumerate(tables):
        np.save(folder / f"{number}.npy", np.asfortranarray(table), allow_pickle=False)
        rows.append(Rows(folder / f"{number}.npy", 0, len(table)))
    return rows


def random_tables(seed: int, sizes: Sequence[int], different: int = 40) -> list[np.ndarray]:
    """Ids 1, 2, 3, ... and keys from a few values all over the range of 64 bits."""
    chance = np.random.default_rng(seed)
    values = chance.integers(0, 2**64, different, np.uint64)
    ids = iter(np.split(np.arange(1, sum(sizes) + 1, dtype=np.uint64), np.cumsum(sizes)[:-1]))
    return [np.column_stack([next(ids), chance.choice(values, (size, COLUMNS))]) for size in sizes]


def plain(tables: Sequence[np.ndarray], earlier: int = 0) -> np.ndarray:
    """The same in memory."""
    rows = np.concatenate(tables)
    clusters = Clusters(len(rows))
    for column in range(1, COLUMNS + 1):
        clusters.add_band(rows[:, column])
    survivors = clusters.survivors
    flags = (rows[:, 1] == rows[survivors, 1]) * EXACT + (survivors < earlier) * EARLIER
    return np.column_stack([rows[survivors, 0], clusters.sizes.astype(np.uint64), flags.astype(np.uint64)])


@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6),
    memory=st.integers(100, 4000),
    earlier=st.integers(0, 5),
)
@settings(max_examples=20)
def test_any_memory_gives_the_clusters_that_plain_union_find_gives(
    seed: int, sizes: list[int], memory: int, earlier: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    tables = random_tables(seed, sizes)
    rows = write_keys(folder / "keys", tables)
    for way, one_task in WAYS.items():
        path = find_duplicates(rows, earlier, COLUMNS, memory, folder / way, in_process, one_task)
        assert np.array_equal(read_table(path), plain(tables, earlier)), way


@pytest.mark.parametrize("one_task", WAYS.values(), ids=WAYS)
def test_a_key_that_all_documents_share_costs_one_entry_a_run(one_task: int, tmp_path: Path) -> None:
    table = np.column_stack([np.arange(5000, dtype=np.uint64), np.full((5000, COLUMNS), 7, np.uint64)])
    rows = write_keys(tmp_path / "keys", [table])
    path = find_duplicates(rows, 0, COLUMNS, 96 * 1000, tmp_path, in_process, one_task)
    assert (read_table(path) == [0, 5000, EXACT]).all()
    runs = sorted(path.parent.glob("run-*"))
    assert [(run / "keys.bin").stat().st_size for run in runs] == [COLUMNS * 8] * 5


@pytest.mark.parametrize("one_task", WAYS.values(), ids=WAYS)
def test_a_search_that_is_cut_off_at_any_task_goes_on_to_the_same_bytes(one_task: int, tmp_path: Path) -> None:
    tables = random_tables(1, [30, 40, 50])
    rows = write_keys(tmp_path / "keys", tables)
    whole = content(find_duplicates(rows, 0, COLUMNS, 2000, tmp_path / "whole", in_process, one_task))

    class Cut(Exception):
        pass

    for stop in range(0, 40 if one_task else 76, 6):
        left = stop

        def fragile(function: str, tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
            nonlocal left
            results = []
            for task in tasks:
                if left == 0:
                    raise Cut
                left -= 1
                results += in_process(function, [task])
            return results

        work = tmp_path / f"cut-{stop}"
        with contextlib.suppress(Cut):
            find_duplicates(rows, 0, COLUMNS, 2000, work, fragile, one_task)
        assert content(find_duplicates(rows, 0, COLUMNS, 2000, work, in_process, one_task)) == whole


def test_a_search_that_is_cut_off_goes_on_in_the_other_way_to_the_same_table(tmp_path: Path) -> None:
    tables = random_tables(1, [30, 40, 50])
    rows = write_keys(tmp_path / "keys", tables)
    for first, then in ((0, 10**9), (10**9, 0)):
        work = tmp_path / f"first-{first}"
        cut = find_duplicates(rows, 0, COLUMNS, 2000, work, in_process, first)
        sorted(cut.iterdir())[-1].unlink()
        whole = find_duplicates(rows, 0, COLUMNS, 2000, work, in_process, then)
        assert np.array_equal(read_table(whole), plain(tables, 0))


def content(table: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in table.iterdir()}


@pytest.mark.slow
def test_memory_stays_within_the_setting_whatever_the_number_of_documents(tmp_path: Path) -> None:
    """A million documents, and a memory that holds less than a tenth of their keys: peak of a process of its own."""
    bench = Path(__file__).resolve().parents[2] / "bench" / "dedup.py"
    command = [sys.executable, str(bench), "--documents", "1000000", "--memory-mb", "16", "--folder", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    peak = float(done.stdout.split("peak RSS ")[1].split()[0])
    assert "every planted copy found" in done.stdout and peak < 200, done.stdout
