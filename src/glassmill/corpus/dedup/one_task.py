"""The last step of the search for duplicates as one task: union-find over one number a document.

It needs 24 bytes a document, in memory or, where that is too small, in files of which the system keeps in memory what
has room. `rounds.py` is the same as tasks of bounded memory, and gives the same bytes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from glassmill.corpus.dedup.clusters import Clusters
from glassmill.corpus.dedup.rows import Cut, Ranges, Task, read_column, rows_of
from glassmill.corpus.dedup.table import ROWS_AT_ONCE, Survivors, part_path, write_part
from glassmill.run import kinds
from glassmill.run.worker import Link

TABLE = "clusters-whole"
"""Not the folder of the rounds: a search that was cut off may go on as the other one, if the setting has changed."""
BYTES_PER_DOCUMENT = 24
"""Label, size, id, key."""


class ClusterTask(Task):
    """`sources`: of all documents; `earlier`: how many of these, the first, belong to earlier corpora."""

    sources: list[Cut]
    earlier: int
    memory_bytes: int


def cluster(task: ClusterTask, link: Link | None = None) -> dict[str, object]:
    """All pairs become clusters, and these a table of one part."""
    link = link or Link()
    folder, count = Path(task["folder"]), task["count"]
    out = part_path(folder / TABLE, 0)
    if out.exists():
        return {}
    kind = Ranges.of(task).kind
    scratch = None if count * BYTES_PER_DOCUMENT <= task["memory_bytes"] else folder / "scratch"
    labels = _filled(scratch, "labels.npy", count, kind)
    for begin in range(0, count, ROWS_AT_ONCE):
        labels[begin : begin + ROWS_AT_ONCE] = np.arange(begin, min(begin + ROWS_AT_ONCE, count))
    clusters = Clusters(count, labels)
    for path in [*sorted(folder.glob("run-?????/pairs.bin")), *sorted(folder.glob("pairs-??/?????/larger.bin"))]:
        link.tell(kinds.Alive())
        with path.open("rb") as file:
            while len(some := np.fromfile(file, kind, 2 * ROWS_AT_ONCE).reshape(-1, 2)):
                clusters.join(some[:, 0], some[:, 1])
    clusters.settle()
    survivors = Survivors(count, partial(_filled, scratch))
    for begin in range(0, count, ROWS_AT_ONCE):
        np.add.at(survivors.sizes, labels[begin : begin + ROWS_AT_ONCE], 1)
    place = 0
    for rows in rows_of(task["sources"]):
        here = slice(place, place + rows.end - rows.begin)
        survivors.ids[here], survivors.exact[here] = (read_column([rows], column) for column in (0, 1))
        place = here.stop
    write_part(out, labels, labels, survivors, task["earlier"], link)
    return {}


def _filled(folder: Path | None, name: str, count: int, kind: type[np.generic]) -> np.ndarray:
    """An array of zeros: in memory, or a file in `folder`."""
    if folder is None or count == 0:
        return np.zeros(count, kind)
    folder.mkdir(exist_ok=True)
    mapped: np.ndarray = np.lib.format.open_memmap(folder / name, "w+", kind, (count,))
    return mapped
