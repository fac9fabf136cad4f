"""The last step of the search for duplicates as rounds of tasks: connected components by stars, in bounded memory.

Source: Kiveris et al., "Connected Components in MapReduce and Beyond" (SoCC 2014): alternating large-star and
small-star. Both replace the pairs of one range of documents by pairs that point further down, and keep what is
connected; their number does not grow. When nothing moves any more, every document points at the least of its cluster.
That takes at most the square of log2(documents) rounds, a chain in order log2 of its length; copies of web pages take
a few.

    small_star  connects a document's smaller neighbours, and itself, to the least of them
    large_star  connects a document's larger neighbours to the least of its neighbours and itself
    settle      labels of one range, and which survivors in other ranges it must know more of
    answer      sizes of the clusters of one range's survivors; what others must know of these
    write       one part of the table

A range is a run, of `memory / 96` documents (`duplicates.py`). A star takes up to 8 bytes for each of its documents,
the last three tasks up to 72, and pairs are read and written in blocks that take an eighth of the memory. So a task
stays within its memory however many documents or pairs there are, and whether or not all pairs meet in one document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from glassmill.corpus.dedup.pairs import Side, folder_of_pairs, read_pairs, written
from glassmill.corpus.dedup.rows import Map, Numbers, Ranges, RunTask, Task, read_column, rows_of
from glassmill.corpus.dedup.table import Survivors, part_path, write_part
from glassmill.run import kinds
from glassmill.run.files import atomic_json, atomic_path, remove
from glassmill.run.worker import Link

HERE = "glassmill.corpus.dedup.rounds"
TABLE = "clusters"


class StarTask(RunTask):
    """`stage`: which one it belongs to, from 0; it reads what the one before it wrote."""

    stage: int


class TableTask(RunTask):
    """`stage`: the last one of stars; `earlier`: how many documents, the first, belong to earlier corpora."""

    stage: int
    earlier: int


def join_in_rounds(runs: Sequence[RunTask], earlier: int, run: Map) -> Path:
    """Makes clusters of all pairs, and a table of these in as many parts as there are runs; returns its folder.

    Args:
        runs: A task for each run; a run's folder has its own clusters, `folder_of_pairs` the pairs of their survivors.
        run: Runs a task function on tasks.
    """
    folder = Path(runs[0]["folder"])
    last = max((int(path.parent.name[-3:]) for path in folder.glob("stars-???/moved.json")), default=-1)
    while last < 0 or last % 2 == 0 or _note(_stage(folder, last)):
        last += 1
        tasks = [StarTask(**one, stage=last) for one in runs]
        results = run(f"{HERE}:{'large_star' if last % 2 else 'small_star'}", tasks)
        atomic_json(_stage(folder, last) / "moved.json", sum(result["moved"] for result in results))
        remove(_stage(folder, last - 1))
    tail = [TableTask(**one, stage=last, earlier=earlier) for one in runs]
    for name in ("settle", "answer", "write"):
        run(f"{HERE}:{name}", tail)
    return folder / TABLE


def _stage(folder: Path, number: int) -> Path:
    return folder / f"stars-{number:03d}"


def _written_by(task: Task, stage: int) -> list[Path]:
    """The folders of pairs that a stage left; before the first, those of `pair_up`."""
    folder, runs = Path(task["folder"]), len(Ranges.of(task))
    if stage >= 0:
        return [_stage(folder, stage) / f"{place:05d}" for place in range(runs)]
    columns = range(task["columns"] if runs > 1 else 0)
    return [folder_of_pairs(task, column, place) for column in columns for place in range(task["ranges"])]


def _note(folder: Path) -> int | None:
    """How much moved in a stage, or in one task of it, if that is done."""
    note = folder / "moved.json"
    return int(json.loads(note.read_text())) if note.exists() else None


# --- stars ------------------------------------------------------------------------------------------------------------


def small_star(task: StarTask, link: Link | None = None) -> dict[str, int]:
    """Connects the smaller neighbours of each document of a range to the least of them.

    Reads pairs sorted by their larger document, writes them sorted by either. `moved` counts those that changed.
    """
    stars = _Stars(task, link)
    if (moved := _note(stars.out)) is not None:
        return {"moved": moved}
    moved = 0
    with (
        atomic_path(stars.out) as temporary,
        written(_made(temporary), "larger", stars.ranges) as up,
        written(temporary, "smaller", stars.ranges) as down,
    ):
        least = stars.least()
        for larger, smaller in stars.read("larger"):
            others = least[larger - stars.begin]
            apart = smaller != others
            moved += int(apart.sum())
            for writer in (up, down):
                writer.add(smaller[apart], others[apart])
        for begin in range(0, len(least), task["pairs_at_once"]):
            some = least[begin : begin + task["pairs_at_once"]]
            numbers = np.arange(len(some), dtype=stars.ranges.kind) + stars.ranges.kind(stars.begin + begin)
            joined = some < numbers
            for writer in (up, down):
                writer.add(numbers[joined], some[joined])
        atomic_json(temporary / "moved.json", moved)
    return {"moved": moved}


def large_star(task: StarTask, link: Link | None = None) -> dict[str, int]:
    """Connects the larger neighbours of each document of a range to the least of its neighbours and itself.

    Reads pairs sorted by either document, writes them sorted by the larger. `moved` counts those that changed, and
    documents with several smaller neighbours: where it is 0 in all ranges, all pairs are stars around survivors.
    """
    stars = _Stars(task, link)
    if (moved := _note(stars.out)) is not None:
        return {"moved": moved}
    with atomic_path(stars.out) as temporary, written(_made(temporary), "larger", stars.ranges) as up:
        least = stars.least()
        moved = sum(int((smaller != least[larger - stars.begin]).sum()) for larger, smaller in stars.read("larger"))
        for larger, smaller in stars.read("smaller"):
            below = least[smaller - stars.begin]
            moved += int((below != smaller).sum())
            up.add(larger, below)
        atomic_json(temporary / "moved.json", moved)
    return {"moved": moved}


class _Stars:
    """One range in one stage: what it reads, and where it writes."""

    def __init__(self, task: StarTask, link: Link | None) -> None:
        self.ranges, self.place = Ranges.of(task), task["run"]
        self.begin, self.end = self.ranges.span(self.place)
        self.inputs, self.at_once = _written_by(task, task["stage"] - 1), task["pairs_at_once"]
        self.out = _stage(Path(task["folder"]), task["stage"]) / f"{self.place:05d}"
        self.link = link or Link()

    def read(self, side: Side) -> Iterator[tuple[Numbers, Numbers]]:
        """The pairs of which one side lies in the range: the larger documents, and the smaller."""
        for pairs in read_pairs(self.inputs, side, self.ranges, self.place, self.at_once):
            self.link.tell(kinds.Alive())
            yield pairs[:, 0], pairs[:, 1]

    def least(self) -> Numbers:
        """Of each document of the range the least of its smaller neighbours and itself."""
        least: Numbers = np.arange(self.begin, self.end, dtype=self.ranges.kind)
        for larger, smaller in self.read("larger"):
            np.minimum.at(least, larger - self.begin, smaller)
        return least


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


# --- the table --------------------------------------------------------------------------------------------------------


def settle(task: TableTask, link: Link | None = None) -> dict[str, object]:
    """Labels of one range, from the last stars and from the clusters of its run.

    Writes `labels.npy`; of the survivors in other ranges, in order, `asked.npy`, how many documents of this range each
    has, `counts.npy`, and where those of every range begin, `places.npy`.
    """
    ranges, folder = Ranges.of(task), Path(task["folder"])
    out = folder / "labels" / f"{task['run']:05d}"
    if out.exists():
        return {}
    stars = _Stars(StarTask(**_base(task), stage=task["stage"] + 1), link)  # reads what the last stage wrote
    labels = stars.least()
    with (folder / f"run-{task['run']:05d}" / "pairs.bin").open("rb") as file:
        while len(pairs := np.fromfile(file, ranges.kind, 2 * stars.at_once).reshape(-1, 2)):
            survivors, members = pairs[:, 0] - stars.begin, pairs[:, 1] - stars.begin
            labels[members] = labels[survivors]
    asked, counts = np.unique(labels[labels < stars.begin], return_counts=True)
    with atomic_path(out) as temporary:
        temporary.mkdir(parents=True)
        for name, value in {
            "labels": labels, "asked": asked, "counts": counts.astype(np.uint32),
            "places": np.searchsorted(asked, ranges.bounds),
        }.items():  # fmt: skip
            np.save(temporary / f"{name}.npy", value, allow_pickle=False)
    return {}


def answer(task: TableTask, link: Link | None = None) -> dict[str, object]:
    """What the ranges must know of this one's survivors.

    Writes `sizes.npy`, of every document of the range how many have it as their survivor; `answers.bin`, rows (id,
    size, key of the whole text) of uint64 for those that others asked for, range after range; `places.npy`: where each
    begins.
    """
    link = link or Link()
    ranges, folder, place = Ranges.of(task), Path(task["folder"]), task["run"]
    out = folder / "answers" / f"{place:05d}"
    if out.exists():
        return {}
    begin, end = ranges.span(place)
    own = _load(folder, place, "labels")
    sizes = np.bincount(own[own >= begin] - begin, minlength=end - begin).astype(np.uint32)
    askers = range(place + 1, len(ranges))  # a survivor comes before the others of its cluster
    for asker in askers:
        link.tell(kinds.Alive())
        asked, some = _asked(folder, asker, place)
        sizes[asked - begin] += _load(folder, asker, "counts", some)
    ids, exact = (read_column(rows_of(task["sources"]), column) for column in (0, 1))
    rows = np.zeros(len(ranges) + 1, np.int64)
    with atomic_path(out) as temporary:
        temporary.mkdir(parents=True)
        with (temporary / "answers.bin").open("wb") as file:
            for asker in askers:
                link.tell(kinds.Alive())
                asked = _asked(folder, asker, place)[0] - begin
                file.write(np.stack([ids[asked], sizes[asked].astype(np.uint64), exact[asked]], axis=1).tobytes())
                rows[asker + 1] = len(asked)
        np.save(temporary / "sizes.npy", sizes, allow_pickle=False)
        np.save(temporary / "places.npy", np.cumsum(rows), allow_pickle=False)
    return {}


def write(task: TableTask, link: Link | None = None) -> dict[str, object]:
    """One part of the table."""
    ranges, folder, place = Ranges.of(task), Path(task["folder"]), task["run"]
    out = part_path(folder / TABLE, place)
    if out.exists():
        return {}
    begin, end = ranges.span(place)
    labels, asked = _load(folder, place, "labels"), _load(folder, place, "asked")
    own = end - begin
    survivors = Survivors(own + len(asked))
    survivors.ids[:own], survivors.exact[:own] = (read_column(rows_of(task["sources"]), column) for column in (0, 1))
    survivors.sizes[:own] = np.load(folder / "answers" / f"{place:05d}" / "sizes.npy", allow_pickle=False)
    at = own
    for owner in range(place):
        answers = _answers(folder, owner, place)
        some = slice(at, at + len(answers))
        survivors.ids[some], survivors.sizes[some], survivors.exact[some] = answers.T
        at += len(answers)
    elsewhere = labels < begin
    places = np.where(elsewhere, 0, labels - begin).astype(np.int64)
    places[elsewhere] = own + np.searchsorted(asked, labels[elsewhere])
    write_part(out, labels, places, survivors, task["earlier"], link or Link())
    return {}


def _base(task: TableTask) -> RunTask:
    return {key: task[key] for key in RunTask.__annotations__}  # type: ignore[return-value,literal-required]


def _load(folder: Path, place: int, name: str, some: slice = slice(None)) -> np.ndarray:
    array: np.ndarray = np.load(folder / "labels" / f"{place:05d}" / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return np.array(array[some])


def _asked(folder: Path, asker: int, owner: int) -> tuple[np.ndarray, slice]:
    """The survivors in the range `owner` that the range `asker` asked for, and where they are among all of these."""
    begin, end = _load(folder, asker, "places", slice(owner, owner + 2)).tolist()
    return _load(folder, asker, "asked", slice(begin, end)), slice(begin, end)


def _answers(folder: Path, owner: int, asker: int) -> np.ndarray:
    place = folder / "answers" / f"{owner:05d}"
    begin, end = np.load(place / "places.npy", allow_pickle=False)[asker : asker + 2].tolist()
    with (place / "answers.bin").open("rb") as file:
        return np.fromfile(file, np.uint64, 3 * (end - begin), offset=begin * 24).reshape(-1, 3)
