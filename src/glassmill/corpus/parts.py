"""A few hundred judged pages on disk: the unit in which a shard is resumed.

A part is a folder, whole or absent: candidates and dropped pages as Parquet, the candidates' ids and MinHash keys as an
array, and `part.json` with the counts, the quarantined records and the position where the next part starts. When the
last part is there, a shard sums them up in `judged.json` and `keys.npy`: whoever leads the stage opens these alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow.parquet as pq

from glassmill.corpus.document import DROPPED_SCHEMA, KEPT_SCHEMA, Document, Quarantined, table_of
from glassmill.corpus.layers import PAGES, Pages
from glassmill.corpus.read.cut import Found
from glassmill.run.files import atomic_json, atomic_path
from glassmill.run.shards import folder_of


class Part:
    """A few hundred pages with their verdicts. In memory until `write`, then a folder that is whole or absent."""

    def __init__(self, pages: Pages | None = None) -> None:
        self.pages = pages
        self.kept: list[Document] = []
        self.dropped: list[Document] = []
        self.keys: list[np.ndarray] = []
        self.quarantined: list[Quarantined] = []
        self.counts: Counter[str] = Counter()
        self.characters = 0
        self.end = 0
        self.last = False
        self.found: Found = None, None

    @property
    def records(self) -> int:
        return self.counts["records"]

    def add(self, document: Document, keys: np.ndarray | None) -> None:
        self.counts["records"] += 1
        self.characters += len(document.text)
        self._count_characters(document)
        if document.rule:
            self.counts[f"{document.step} {document.rule}"] += 1
            self.dropped.append(document)
        else:
            self.kept.append(document)
            number = np.array([int(document.id, 16)], np.uint64)
            self.keys.append(number if keys is None else np.concatenate([number, keys]))

    def _count_characters(self, document: Document) -> None:
        """Characters are counted as `extracted`, and by `step:rule` where they are lost: with the document, or, by a
        rule for lines, without it (`c4:`)."""
        lost = len(document.text)
        self.counts["extracted"] += document.extracted
        if document.step == "c4":
            lost = document.extracted
        else:
            self.counts["c4:"] += document.extracted - lost
        if document.rule:
            self.counts[f"{document.step}:{document.rule}"] += lost

    def quarantine(self, source: str, offset: int, url: str, cause: str) -> None:
        self.counts["records"] += 1
        self.counts["quarantined"] += 1
        self.quarantined.append({"source": source, "offset": offset, "url": url, "cause": cause})

    def write(self, folder: Path) -> None:
        with atomic_path(folder) as temporary:
            temporary.mkdir(parents=True)
            for name, documents, schema in (
                ("kept", self.kept, KEPT_SCHEMA),
                ("dropped", self.dropped, DROPPED_SCHEMA),
            ):
                path = temporary / f"{name}.parquet"
                pq.write_table(table_of(documents, schema), path, compression="lz4", write_statistics=False)
            if self.pages is not None:
                self.pages.write(temporary / PAGES)
            keys = np.stack(self.keys) if self.keys else np.zeros((0, 1), np.uint64)
            np.save(temporary / "keys.npy", np.asfortranarray(keys), allow_pickle=False)
            state = {"end": self.end, "last": self.last, "counts": dict(self.counts),
                     "quarantined": self.quarantined, "found": self.found}  # fmt: skip
            atomic_json(temporary / "part.json", state)


class FinishedPart:
    """A part on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        state = json.loads((folder / "part.json").read_text(encoding="utf-8"))
        self.end: int = state["end"]
        self.last: bool = state["last"]
        self.counts: Counter[str] = Counter(state["counts"])
        self.quarantined: list[Quarantined] = state["quarantined"]
        self.found: Found = tuple(state["found"])

    def keys(self) -> np.ndarray:
        """Document ids in column 0, keys in the others; memory-mapped, so that one column can be read alone."""
        keys: np.ndarray = np.load(self.folder / "keys.npy", mmap_mode="r", allow_pickle=False)
        return keys


def finished_parts(folder: Path) -> Iterator[FinishedPart]:
    """The finished parts of a shard, in order, up to the first gap."""
    number = 0
    while (place := part_folder(folder, number) / "part.json").exists():
        yield FinishedPart(place.parent)
        number += 1


def part_folder(folder: Path, number: int) -> Path:
    """Where a part of a shard lies."""
    return folder / f"{folder_of(number)}part-{number:04d}"


class JudgedShard(TypedDict):
    """The counts and the quarantined records of all parts, and the rows of `keys.npy`. `found`: see `cut.Found`."""

    counts: dict[str, int]
    quarantined: list[Quarantined]
    rows: int
    found: Found


def sum_up(folder: Path) -> None:
    """Write what the parts of a judged shard come to, unless that is done."""
    if (folder / "judged.json").exists():
        return
    parts = list(finished_parts(folder))
    keys = [part.keys() for part in parts]
    keys = [rows for rows in keys if len(rows)] or keys[:1]
    with atomic_path(folder / "keys.npy") as temporary, temporary.open("wb") as file:
        np.save(file, np.asfortranarray(np.concatenate(keys)), allow_pickle=False)
    judged: JudgedShard = {
        "counts": dict(sum((part.counts for part in parts), Counter())),
        "quarantined": [entry for part in parts for entry in part.quarantined],
        "rows": sum(map(len, keys)),
        "found": parts[-1].found,
    }
    atomic_json(folder / "judged.json", judged)


def judged_shard(folder: Path) -> JudgedShard:
    """What `sum_up` wrote."""
    judged: JudgedShard = json.loads((folder / "judged.json").read_text(encoding="utf-8"))
    return judged
