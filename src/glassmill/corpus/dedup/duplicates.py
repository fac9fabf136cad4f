"""Finds the duplicates of a whole corpus, on disk: memory is bounded by a setting, whatever the number of documents.

Three kinds of task, run like shards (on any engine, resumed after a kill, the same bytes for any number of workers):

    sort_run    as many documents as fit into memory: their clusters, and each column's distinct keys in order
    pair_up     one range of one column's keys, from all runs: equal keys of two runs are a pair
    cluster     all pairs: union-find over one number per document, on disk where memory is too small

A pair is (number, number); documents are numbered in the order of the input, those of earlier corpora first, and the
lowest number of a cluster stays. Because a run keeps each distinct key once, a key that half the corpus shares
(an empty text, say) costs one entry per run, not one per document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from glassmill.corpus.dedup.clusters import Clusters, Keys
from glassmill.run import kinds
from glassmill.run.files import atomic_path
from glassmill.run.worker import Link

BYTES_PER_DOCUMENT = 96  # in `sort_run`: labels, a column, its order, its sorted copy, pairs
BYTES_PER_LABEL = 24  # in `cluster`: label, size, id, key
BYTES_PER_ENTRY = 64  # in `pair_up`: key, number, order, gathered copies
ROWS_AT_ONCE = 1 << 18
EXACT, EARLIER = 1, 2  # flags in the table: same text as the survivor; the survivor is an earlier corpus's

Map = Callable[[str, Sequence[Mapping[str, object]]], object]
Cut = tuple[str, int, int]
"""A file of keys, and the first row and the one behind the last."""


class Task(TypedDict):
    """What all tasks need: the folder of intermediate files, columns of keys without the id, ranges of keys."""

    folder: str
    columns: int
    ranges: int


class SortTask(Task):
    """`run`: its number. `first`: the number of its first document."""

    run: int
    sources: Sequence[Cut]
    first: int


class PairTask(Task):
    """One `range` of the keys of one `column`, in all `runs`."""

    runs: int
    column: int
    range: int


class ClusterTask(Task):
    """`count`: documents in all; `earlier`: how many of them, the first, belong to earlier corpora."""

    sources: Sequence[Cut]
    count: int
    earlier: int
    memory_bytes: int


@dataclass(frozen=True)
class Rows:
    """Some rows of a file of keys: column 0 the document's id, column 1 the whole text's key, then the bands'."""

    path: Path
    begin: int
    end: int


def find_duplicates(
    sources: Sequence[Rows], earlier: int, columns: int, memory_bytes: int, work: Path, run: Map
) -> Path:
    """Finds the clusters of all documents.

    Args:
        sources: Files of keys in the order of the documents' numbers.
        earlier: How many of the first documents are those of earlier corpora.
        columns: Columns of keys, without the id.
        memory_bytes: What one task may use.
        work: Where intermediate files go.
        run: Runs a task function, by its name, on tasks.

    Returns:
        A table, shape `(documents, 3)`, uint64: the survivor's id, the size of the cluster, flags.
    """
    sources = [rows for rows in sources if rows.end > rows.begin]
    count = sum(rows.end - rows.begin for rows in sources)
    per_run = max(1, memory_bytes // BYTES_PER_DOCUMENT)
    ranges = max(1, -(-count * BYTES_PER_ENTRY // memory_bytes))
    folder = work / f"duplicates-{per_run}-{ranges}"
    runs = list(_groups(sources, per_run))
    base = Task(folder=str(folder), columns=columns, ranges=ranges)
    sorts = [SortTask(**base, run=place, sources=cuts, first=first) for place, (cuts, first) in enumerate(runs)]
    run("glassmill.corpus.dedup.duplicates:sort_run", sorts)
    if len(runs) > 1:
        pairs = [
            PairTask(**base, runs=len(runs), column=column, range=place)
            for column in range(columns)
            for place in range(ranges)
        ]
        run("glassmill.corpus.dedup.duplicates:pair_up", pairs)
    cuts = [(str(rows.path), rows.begin, rows.end) for rows in sources]
    whole = ClusterTask(**base, sources=cuts, count=count, earlier=earlier, memory_bytes=memory_bytes)
    run("glassmill.corpus.dedup.duplicates:cluster", [whole])
    return folder / "clusters.npy"


def _groups(sources: Sequence[Rows], per_run: int) -> Iterator[tuple[list[Cut], int]]:
    """Consecutive rows, at most `per_run` a group, and the number of the group's first; a long file is cut."""
    group: list[Cut] = []
    first = inside = 0
    for rows in sources:
        begin = rows.begin
        while begin < rows.end:
            take = min(rows.end - begin, per_run - inside)
            group.append((str(rows.path), begin, begin + take))
            inside += take
            begin += take
            if inside == per_run:
                yield group, first
                group, first, inside = [], first + inside, 0
    if group or not first:
        yield group, first


# --- the tasks --------------------------------------------------------------------------------------------------------


def sort_run(task: SortTask, link: Link | None = None) -> dict[str, object]:
    """Clusters of one run's documents, and every column's distinct keys in order, with the least number that has each.

    Writes a folder: `pairs.npy`, shape `(pairs, 2)`; `keys.bin` and `numbers.bin`, uint64, column after column;
    `places.npy`, shape `(columns, ranges + 1)`: where in them each range of keys begins.
    """
    link = link or Link()
    folder = Path(task["folder"]) / f"run-{task['run']:05d}"
    if (folder / "places.npy").exists():
        return {}
    sources = [Rows(Path(path), begin, end) for path, begin, end in task["sources"]]
    count = sum(rows.end - rows.begin for rows in sources)
    clusters = Clusters(count)
    bounds = _bounds(task["ranges"])
    places = np.zeros((task["columns"], task["ranges"] + 1), np.int64)
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        written = 0
        with (temporary / "keys.bin").open("wb") as keys_file, (temporary / "numbers.bin").open("wb") as numbers_file:
            for column in range(task["columns"]):
                link.tell(kinds.Alive())
                keys = _column(sources, column + 1)
                order = np.argsort(keys, kind="stable")
                keys = keys[order]
                same = keys[1:] == keys[:-1]
                clusters.join(order[:-1][same], order[1:][same])
                firsts = np.concatenate([[True], ~same]) if count else np.zeros(0, bool)
                keys = keys[firsts]
                keys_file.write(keys.tobytes())
                numbers_file.write((order[firsts].astype(np.uint64) + np.uint64(task["first"])).tobytes())
                places[column] = written + np.concatenate([np.searchsorted(keys, bounds), [len(keys)]])
                written += len(keys)
        survivors = clusters.survivors
        members = np.flatnonzero(survivors != np.arange(count))
        pairs = np.stack([survivors[members], members], axis=1).astype(np.uint64) + np.uint64(task["first"])
        np.save(temporary / "pairs.npy", pairs, allow_pickle=False)
        np.save(temporary / "places.npy", places, allow_pickle=False)
    return {}


def pair_up(task: PairTask, link: Link | None = None) -> dict[str, object]:
    """Pairs of documents of different runs that share a key of one column, in one range of keys."""
    folder = Path(task["folder"])
    out = folder / f"pairs-{task['column']:02d}-{task['range']:05d}.npy"
    if out.exists():
        return {}
    keys: list[Keys] = []
    numbers: list[Keys] = []
    for run in range(task["runs"]):
        source = folder / f"run-{run:05d}"
        places = np.load(source / "places.npy", allow_pickle=False)[task["column"]]
        begin, end = places[task["range"]], places[task["range"] + 1]
        keys.append(np.fromfile(source / "keys.bin", np.uint64, end - begin, offset=begin * 8))
        numbers.append(np.fromfile(source / "numbers.bin", np.uint64, end - begin, offset=begin * 8))
    everything, owners = np.concatenate(keys), np.concatenate(numbers)
    keys, numbers = [], []
    order = np.argsort(everything, kind="stable")  # of equal keys, the earliest run's first
    everything = everything[order]
    same = np.flatnonzero(everything[1:] == everything[:-1])
    pairs = np.stack([owners[order[same]], owners[order[same + 1]]], axis=1)
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.save(file, pairs, allow_pickle=False)
    return {}


def cluster(task: ClusterTask, link: Link | None = None) -> dict[str, object]:
    """All pairs become clusters, and the table that `find_duplicates` returns."""
    link = link or Link()
    folder, count = Path(task["folder"]), int(task["count"])
    out = folder / "clusters.npy"
    if out.exists():
        return {}
    kind = np.uint32 if count < 2**32 else np.uint64
    scratch = None if count * BYTES_PER_LABEL <= task["memory_bytes"] else folder / "scratch"
    labels = _filled(scratch, "labels.npy", count, kind)
    for begin in range(0, count, ROWS_AT_ONCE):
        labels[begin : begin + ROWS_AT_ONCE] = np.arange(begin, min(begin + ROWS_AT_ONCE, count))
    clusters = Clusters(count, labels)
    for path in [*sorted(folder.glob("run-?????/pairs.npy")), *sorted(folder.glob("pairs-??-?????.npy"))]:
        link.tell(kinds.Alive())
        pairs = np.load(path, mmap_mode="r", allow_pickle=False)
        for begin in range(0, len(pairs), ROWS_AT_ONCE):
            some = np.array(pairs[begin : begin + ROWS_AT_ONCE])
            clusters.join(some[:, 0].astype(kind), some[:, 1].astype(kind))
    clusters.settle()
    sources = [Rows(Path(path), begin, end) for path, begin, end in task["sources"]]
    _write_table(out, sources, labels, scratch, int(task["earlier"]), link)
    return {}


def _write_table(
    out: Path, sources: list[Rows], labels: np.ndarray, scratch: Path | None, earlier: int, link: Link
) -> None:
    count = len(labels)
    sizes = _filled(scratch, "sizes.npy", count, np.uint32)
    ids = _filled(scratch, "ids.npy", count, np.uint64)
    exact = _filled(scratch, "exact.npy", count, np.uint64)
    place = 0
    for rows in sources:
        length = rows.end - rows.begin
        ids[place : place + length] = _rows(rows, 0)
        exact[place : place + length] = _rows(rows, 1)
        place += length
    for begin in range(0, count, ROWS_AT_ONCE):
        np.add.at(sizes, labels[begin : begin + ROWS_AT_ONCE], 1)
    header = {"descr": "<u8", "fortran_order": False, "shape": (count, 3)}
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for begin in range(0, count, ROWS_AT_ONCE):
            link.tell(kinds.Alive())
            survivors = np.array(labels[begin : begin + ROWS_AT_ONCE])
            flags = (exact[begin : begin + ROWS_AT_ONCE] == exact[survivors]) * EXACT + (survivors < earlier) * EARLIER
            file.write(
                np.stack([ids[survivors], sizes[survivors].astype(np.uint64), flags.astype(np.uint64)], 1).tobytes()
            )


def _filled(folder: Path | None, name: str, count: int, kind: type[np.generic]) -> np.ndarray:
    """An array of zeros: in memory, or a file in `folder` of which the system keeps in memory what has room."""
    if folder is None or count == 0:
        return np.zeros(count, kind)
    folder.mkdir(exist_ok=True)
    mapped: np.ndarray = np.lib.format.open_memmap(folder / name, "w+", kind, (count,))
    return mapped


def _bounds(ranges: int) -> Keys:
    """The least key of each of so many equal ranges of 64-bit keys."""
    return np.array([(place << 64) // ranges for place in range(ranges)], np.uint64)


def _column(sources: list[Rows], column: int) -> Keys:
    return np.concatenate([_rows(rows, column) for rows in sources]) if sources else np.zeros(0, np.uint64)


def _rows(rows: Rows, column: int) -> Keys:
    """One column of some rows, read without mapping the file: mapped pages would count as this process's memory."""
    with rows.path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        assert version == (1, 0), version
        (length, _), fortran_order, kind = np.lib.format.read_array_header_1_0(file)
        assert (fortran_order or length <= 1) and kind == np.uint64, rows.path  # of one row, both orders are the same
        file.seek((column * length + rows.begin) * 8, 1)
        return np.fromfile(file, np.uint64, rows.end - rows.begin)
