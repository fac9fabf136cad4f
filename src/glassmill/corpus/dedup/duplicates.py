"""Finds the duplicates of a whole corpus, on disk: memory is bounded by a setting, whatever the number of documents.

Tasks run like shards (on any engine, resumed after a kill, the same bytes for any number of workers):

    sort_run    as many documents as fit into memory: their clusters, and each column's distinct keys in order
    pair_up     one range of one column's keys, from all runs: survivors of two runs that share a key are a pair

All pairs then become clusters, and these a table: in one task (`one_task.py`), or in rounds of tasks on all machines
(`rounds.py`), by the number of documents.

A pair is (number, number); the lowest number of a cluster stays. Because a run keeps each distinct key once, a key that
half the corpus shares (an empty text, say) costs one entry per run, not one per document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from glassmill.corpus.dedup.clusters import Clusters
from glassmill.corpus.dedup.one_task import TABLE, ClusterTask
from glassmill.corpus.dedup.pairs import folder_of_pairs, written
from glassmill.corpus.dedup.rounds import join_in_rounds
from glassmill.corpus.dedup.rows import Cut, Keys, Map, Ranges, Rows, RunTask, Task, read_column, rows_of
from glassmill.run import kinds
from glassmill.run.files import atomic_path
from glassmill.run.worker import Link

HERE = "glassmill.corpus.dedup"
BYTES_PER_DOCUMENT = 96  # in `sort_run`: labels, a column, its order, its sorted copy, pairs
BYTES_PER_ENTRY = 64  # in `pair_up`: key, number, order, gathered copies
BYTES_PER_PAIR = 128  # read, sorted, written
MOST_PAIRS_AT_ONCE = 1 << 18


class PairTask(Task):
    """One `range` of the keys of one `column`, in all runs."""

    column: int
    range: int


def find_duplicates(
    sources: Sequence[Rows], earlier: int, columns: int, memory_bytes: int, work: Path, run: Map, one_task: int
) -> Path:
    """Finds the clusters of all documents.

    Args:
        sources: Files of keys in the order of the documents' numbers.
        earlier: How many of the first documents are those of earlier corpora.
        columns: Columns of keys, without the id.
        memory_bytes: What one task may use.
        work: Where intermediate files go.
        run: Runs a task function, by its name, on tasks.
        one_task: Up to so many documents the last step is one task, above it is rounds of them. The table is the same.

    Returns:
        The folder of a table of clusters: see `table.py`.
    """
    sources = [rows for rows in sources if rows.end > rows.begin]
    count = sum(rows.end - rows.begin for rows in sources)
    per_run = max(1, memory_bytes // BYTES_PER_DOCUMENT)
    ranges = max(1, -(-count * BYTES_PER_ENTRY // memory_bytes))
    folder = work / f"neighbours-{per_run}-{ranges}"
    at_once = max(1, min(MOST_PAIRS_AT_ONCE, memory_bytes // 8 // BYTES_PER_PAIR))
    base = Task(folder=str(folder), columns=columns, ranges=ranges, count=count, per_run=per_run, pairs_at_once=at_once)
    runs = [RunTask(**base, run=place, sources=cuts) for place, cuts in enumerate(_groups(sources, per_run))]
    run(f"{HERE}.duplicates:sort_run", runs)
    pairs = [
        PairTask(**base, column=column, range=place)
        for column in range(columns if len(runs) > 1 else 0)
        for place in range(ranges)
    ]
    run(f"{HERE}.duplicates:pair_up", pairs)
    if count <= one_task:
        cuts = [(str(rows.path), rows.begin, rows.end) for rows in sources]
        whole = ClusterTask(**base, sources=cuts, earlier=earlier, memory_bytes=memory_bytes)
        run(f"{HERE}.one_task:cluster", [whole])
        return folder / TABLE
    return join_in_rounds(runs, earlier, run)


def _groups(sources: Sequence[Rows], per_run: int) -> Iterator[list[Cut]]:
    """Consecutive rows, `per_run` a group, of which only the last may have fewer; a long file is cut."""
    group: list[Cut] = []
    inside = 0
    for rows in sources:
        begin = rows.begin
        while begin < rows.end:
            take = min(rows.end - begin, per_run - inside)
            group.append((str(rows.path), begin, begin + take))
            inside += take
            begin += take
            if inside == per_run:
                yield group
                group, inside = [], 0
    if group or not sources:
        yield group


# --- the tasks --------------------------------------------------------------------------------------------------------


def sort_run(task: RunTask, link: Link | None = None) -> dict[str, object]:
    """Clusters of one run's documents, and every column's distinct keys in order, with the survivor that has each.

    Writes a folder: `pairs.bin`, rows (survivor, member); `keys.bin`, uint64, and `numbers.bin`, column after column;
    `places.npy`, shape `(columns, ranges + 1)`: where in them each range of keys begins.
    """
    link = link or Link()
    folder = _run_folder(task, task["run"])
    if (folder / "places.npy").exists():
        return {}
    ranges, sources = Ranges.of(task), rows_of(task["sources"])
    first, end = ranges.span(task["run"])
    clusters = Clusters(end - first)
    bounds = _bounds(task["ranges"])
    places = np.zeros((task["columns"], task["ranges"] + 1), np.int64)
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        rows = 0
        with (temporary / "keys.bin").open("wb") as keys_file, (temporary / "owners.bin").open("wb") as owners_file:
            for column in range(task["columns"]):
                link.tell(kinds.Alive())
                keys = read_column(sources, column + 1)
                order = np.argsort(keys, kind="stable")
                keys = keys[order]
                same = keys[1:] == keys[:-1]
                clusters.join(order[:-1][same], order[1:][same])
                firsts = np.concatenate([[True], ~same]) if len(keys) else np.zeros(0, bool)
                keys = keys[firsts]
                keys_file.write(keys.tobytes())
                owners_file.write(order[firsts].astype(np.uint32).tobytes())
                places[column] = rows + np.concatenate([np.searchsorted(keys, bounds), [len(keys)]])
                rows += len(keys)
        survivors = clusters.survivors
        members = np.flatnonzero(survivors != np.arange(end - first))
        pairs = np.stack([survivors[members], members], axis=1) + first
        (temporary / "pairs.bin").write_bytes(pairs.astype(ranges.kind).tobytes())
        with (temporary / "owners.bin").open("rb") as owners_file, (temporary / "numbers.bin").open("wb") as file:
            while len(owners := np.fromfile(owners_file, np.uint32, task["pairs_at_once"])):
                file.write((survivors[owners] + first).astype(ranges.kind).tobytes())
        (temporary / "owners.bin").unlink()
        np.save(temporary / "places.npy", places, allow_pickle=False)
    return {}


def pair_up(task: PairTask, link: Link | None = None) -> dict[str, object]:
    """Pairs of survivors of different runs that share a key of one column, in one range of keys: each of the later
    runs' with the first run's."""
    ranges, out = Ranges.of(task), folder_of_pairs(task, task["column"], task["range"])
    if out.exists():
        return {}
    keys: list[Keys] = []
    numbers: list[np.ndarray] = []
    for run in range(len(ranges)):
        source = _run_folder(task, run)
        places = np.load(source / "places.npy", allow_pickle=False)[task["column"]]
        begin, end = places[task["range"]], places[task["range"] + 1]
        keys.append(np.fromfile(source / "keys.bin", np.uint64, end - begin, offset=begin * 8))
        size = ranges.kind().itemsize
        numbers.append(np.fromfile(source / "numbers.bin", ranges.kind, end - begin, offset=begin * size))
    everything, owners = np.concatenate(keys), np.concatenate(numbers)
    keys, numbers = [], []
    order = np.argsort(everything, kind="stable")  # of equal keys, the earliest run's first
    everything = everything[order]
    owners = owners[order]
    later = np.flatnonzero(everything[1:] == everything[:-1]) + 1
    first = np.ones(len(everything), bool)
    first[later] = False
    begins = np.flatnonzero(first)
    with atomic_path(out) as temporary:
        temporary.mkdir(parents=True)
        with written(temporary, "larger", ranges) as file:
            for at in range(0, len(later), task["pairs_at_once"]):
                some = later[at : at + task["pairs_at_once"]]
                file.add(owners[some], owners[begins[np.searchsorted(begins, some) - 1]])
    return {}


def _bounds(ranges: int) -> Keys:
    """The least key of each of so many equal ranges of 64-bit keys."""
    return np.array([(place << 64) // ranges for place in range(ranges)], np.uint64)


def _run_folder(task: Task, run: int) -> Path:
    return Path(task["folder"]) / f"run-{run:05d}"
