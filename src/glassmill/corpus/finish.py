"""The second task of the corpus stage, one shard each: what deduplication kept is masked and written.

It goes to `documents-*.parquet`, and everything dropped to `dropped-*.parquet`. The task can be repeated.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import pyarrow.parquet as pq

from glassmill.corpus.dedup.table import EARLIER, Table
from glassmill.corpus.dedup.verdicts import as_duplicate
from glassmill.corpus.document import (
    DROPPED_SCHEMA,
    KEPT_SCHEMA,
    PARQUET,
    Document,
    Quarantined,
    Span,
    read_documents,
    table_of,
)
from glassmill.corpus.exclude import Exclusion, emptied, entries_of
from glassmill.corpus.memo import Memo
from glassmill.corpus.parts import finished_parts
from glassmill.corpus.pii import leaving, mask
from glassmill.corpus.read.files.errors import UNJUDGED, cause_of
from glassmill.corpus.tasks import Task
from glassmill.recipe import CorpusSettings
from glassmill.run.files import atomic_json, atomic_path
from glassmill.run.shards import folder_of, shard_name
from glassmill.run.worker import Link


class FinishTask(Task):
    """`out`: the run. `clusters`: the table of `find_duplicates`, None without deduplication.

    `first` is the table's row of the shard's first candidate; `skip` counts candidates.
    """

    out: str
    clusters: str | None
    first: int
    layer: NotRequired[str | None]


class Finished(TypedDict):
    """Numbers of documents and characters kept, and of duplicates by rule; personal data masked, by kind."""

    counts: dict[str, int]
    pii: dict[str, int]
    quarantined: list[Quarantined]


def finish_shard(task: FinishTask, link: Link | None = None) -> Finished:
    """Writes the shard's two Parquet files, and its part of the index."""
    link = link or Link()
    settings = CorpusSettings.model_validate(task["settings"])
    work, out, shard = Path(task["work"]), Path(task["out"]), int(task["shard"])
    skip = {int(position): str(cause) for position, cause in task.get("skip", [])}
    kept_path, dropped_path = (out / shard_name(kind, shard) for kind in ("documents", "dropped"))
    report = work / "finished.json"
    if report.exists() and kept_path.exists() and dropped_path.exists():
        done: Finished = json.loads(report.read_text(encoding="utf-8"))
        return done
    clusters = Table(Path(task["clusters"])) if task["clusters"] else None
    memo = Memo(Path(layer) / "masked.memo" if (layer := task.get("layer")) else None)
    finish = _Finish(settings, clusters, int(task["first"]), skip, link, memo)
    index: list[np.ndarray] = []
    with (
        atomic_path(kept_path) as kept_file,
        atomic_path(dropped_path) as dropped_file,
        pq.ParquetWriter(kept_file, KEPT_SCHEMA, **PARQUET) as kept_writer,
        pq.ParquetWriter(dropped_file, DROPPED_SCHEMA, **PARQUET) as dropped_writer,
    ):
        for part in finished_parts(work):
            kept, duplicates = finish.take(read_documents(part.folder / "kept.parquet"))
            kept_writer.write_table(table_of(kept, KEPT_SCHEMA))
            for dropped in (list(read_documents(part.folder / "dropped.parquet")), duplicates):
                dropped_writer.write_table(table_of([finish.hidden(one) for one in dropped], DROPPED_SCHEMA))
            keys = part.keys()
            ids = np.array([int(document.id, 16) for document in kept], np.uint64)
            index.append(keys[np.isin(keys[:, 0], ids)])
    if settings.dedup.enabled and settings.dedup.index:
        place = out / "index" / f"{folder_of(shard)}keys-{shard:05d}.npy"
        with atomic_path(place) as temporary, temporary.open("wb") as file:
            np.save(file, np.asfortranarray(np.concatenate([rows for rows in index if len(rows)] or index[:1])))
    result: Finished = {"counts": dict(finish.counts), "pii": dict(finish.kinds), "quarantined": finish.quarantined}
    atomic_json(report, result)
    memo.save()
    return result


class _Finish:
    """Goes through a shard's candidates: masks those that stay, and records for each duplicate which one stays."""

    def __init__(
        self,
        settings: CorpusSettings,
        clusters: Table | None,
        first: int,
        skip: dict[int, str],
        link: Link,
        memo: Memo | None = None,
    ) -> None:
        self.settings, self.clusters, self.first, self.skip, self.link = settings, clusters, first, skip, link
        self.exclusion = Exclusion(entries_of(settings))
        self.leave = leaving(settings.pii.examples, settings.pii.allow)
        key = settings.pii.model_dump(mode="json", exclude={"enabled", "dropped"})
        self.mask = (memo or Memo(None)).step("pii", key, self._mask_anew)
        self.counts: Counter[str] = Counter(kept=0, characters=0)
        self.kinds: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []
        self.number = 0

    def take(self, candidates: Iterator[Document]) -> tuple[list[Document], list[Document]]:
        kept: list[Document] = []
        duplicates: list[Document] = []
        for document in candidates:
            self.link.mark(self.number)
            survivor, size, flags = self._cluster(document)
            cause = self.skip.get(self.number)
            self.number += 1
            document.cluster_size = size
            if survivor != int(document.id, 16) or flags & EARLIER:
                duplicates.append(as_duplicate(document, survivor, flags))
                self.counts[f"dedup {document.rule}"] += 1
                self.counts[f"dedup:{document.rule}"] += len(document.text)
            elif cause := cause or self._why_unmasked(document):
                self.quarantined.append(
                    {"source": document.source, "offset": document.offset, "url": document.url, "cause": cause}
                )
            elif taken_out := self.exclusion.of_bytes(document.text.encode("utf-8", "replace")):
                duplicates.append(emptied(document, taken_out))
                self.counts[f"exclude {document.rule}"] += 1
            else:
                kept.append(document)
                self.kinds.update(span.kind for span in document.pii)
                self.counts["characters"] += len(document.text)
        self.counts.update(kept=len(kept))
        return kept, duplicates

    def _why_unmasked(self, document: Document) -> str:
        """Masks the document; what went wrong, as text, if something did: it must not be kept unmasked."""
        try:
            self._mask(document)
        except UNJUDGED as error:
            return f"personal data cannot be masked: {cause_of(error)}"
        return ""

    def hidden(self, document: Document) -> Document:
        """A dropped document as it is stored: without personal data, or without its text."""
        pii = self.settings.pii
        if pii.enabled and pii.dropped != "clear":
            document.text = self._masked(document.text)[0] if pii.dropped == "masked" else ""
            if document.step != "exclude":  # an entry of the recipe, which people look for
                document.detail = self._masked(document.detail)[0]
        if self.exclusion.of_bytes(document.text.encode("utf-8", "replace")):
            document.text = document.section = ""
        return document

    def _masked(self, text: str) -> tuple[str, list[Span]]:
        masked, spans = self.mask(text)
        return text if masked is None else masked, [Span(*span) for span in spans]

    def _mask_anew(self, text: str) -> tuple[str | None, list[tuple[str, int, int]]]:
        """The masked text, None if it is the same, and what was found in it."""
        settings = self.settings.pii
        masked, spans = mask(text, settings.kinds, settings.replacement == "fake", self.leave)
        return None if masked == text else masked, [(span.kind, span.start, span.end) for span in spans]

    def _cluster(self, document: Document) -> tuple[int, int, int]:
        """The survivor's id, the size of the cluster, and flags; without deduplication every document is alone."""
        if self.clusters is None:
            return int(document.id, 16), 1, 0
        return self.clusters.row(self.first + self.number)

    def _mask(self, document: Document) -> None:
        if self.settings.pii.enabled:
            document.text, document.pii = self._masked(document.text)
