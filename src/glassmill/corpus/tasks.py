"""The two tasks of the corpus stage that run in supervised workers, one shard each, and what they write.

`judge_shard` runs the shard's inputs through the filters and writes parts, `work/<shard>/part-NNNN/`. A part is whole
or absent, so after a kill the next worker continues behind the last part. `finish_shard` masks what deduplication kept
and writes it to `documents-*.parquet`; everything dropped goes to `dropped-*.parquet`. Both can be repeated. Apart from
times, what they write depends on their task, the files that it names, and the engines and libraries of the machine.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import pyarrow.parquet as pq

from glassmill.corpus.chain import Chain
from glassmill.corpus.dedup.duplicates import EARLIER
from glassmill.corpus.dedup.keys import MinHasher, family
from glassmill.corpus.dedup.verdicts import as_duplicate
from glassmill.corpus.document import (
    DROPPED_SCHEMA,
    KEPT_SCHEMA,
    PARQUET,
    Document,
    Lost,
    Page,
    Quarantined,
    Span,
    read_documents,
    table_of,
)
from glassmill.corpus.exclude import Exclusion, emptied, entries_of
from glassmill.corpus.judge.url_lists import HashList
from glassmill.corpus.layers import NOTE, PAGES, Extracted, Item, Layer, Pages
from glassmill.corpus.look.shown import masked_for
from glassmill.corpus.memo import Memo
from glassmill.corpus.parts import Part, finished_parts, judged_shard, part_folder, sum_up
from glassmill.corpus.pii import leaving, mask
from glassmill.corpus.read.cut import of_input
from glassmill.corpus.read.files.errors import UNJUDGED, cause_of
from glassmill.corpus.read.sources import read_sources
from glassmill.recipe import CorpusSettings
from glassmill.run import kinds
from glassmill.run.files import atomic_json, atomic_path
from glassmill.run.shards import folder_of, shard_name
from glassmill.run.worker import Link

PAGES_PER_PART = 500
CHARACTERS_PER_PART = 8 << 20
"""A worker holds a part in several forms at once: as pages, as columns, as compressed rows."""
SECONDS_BETWEEN_EXAMPLES = 0.3
SECONDS_BETWEEN_COUNTS = 1.0
EXAMPLE_CHARACTERS = 600


class Task(TypedDict):
    """What both tasks need: the shard's number, its folder for pieces, settings as JSON, and the run's seed.

    `skip` names the items that crashed a worker before, by position, with the cause; see `read_sources`.
    """

    shard: int
    work: str
    settings: dict[str, object]
    seed: int
    skip: NotRequired[list[tuple[int, str]]]


class JudgeTask(Task):
    """`inputs`: the sources, as tasks carry them. `lists`, `allowed`: hashed lists. `layer`: where the shard's layer is
    or will be."""

    inputs: Sequence[Sequence[object]]
    lists: NotRequired[str | None]
    allowed: NotRequired[str | None]
    layer: NotRequired[str | None]


class Judged(TypedDict):
    """CPU seconds of every step."""

    seconds: dict[str, float]


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


# --- first task -------------------------------------------------------------------------------------------------------


def judge_shard(task: JudgeTask, link: Link | None = None) -> Judged:
    """Runs the inputs of one shard through every step before deduplication; the pages lie in the parts it writes."""
    return _Judge(task, link or Link()).run()


class _Judge:
    def __init__(self, task: JudgeTask, link: Link) -> None:
        self.link = link
        self.shard: int = task["shard"]
        self.folder = Path(task["work"])
        self.settings = CorpusSettings.model_validate(task["settings"])
        blocked, allowed = (
            HashList.open(Path(path)) if path else None for path in (task.get("lists"), task.get("allowed"))
        )
        self.layer = Layer(Path(layer)) if (layer := task.get("layer")) else None
        self.memo = Memo(self.layer.folder / "judged.memo" if self.layer else None)
        self.chain = Chain(self.settings, blocked, allowed, self.memo)
        self.masked = masked_for(self.settings.pii)
        keys = MinHasher(self.settings.dedup, task["seed"]).keys
        self.keys = self.memo.step(
            "keys", {**family(self.settings.dedup, task["seed"])}, lambda text: keys(text).tobytes().hex()
        )
        source = of_input(task["inputs"][0])
        self.range = source.range()
        self.keeps = self.layer is not None and not task.get("skip")
        self.items = self._from_layer(task) if self._has_layer() else self._from_files(task)
        self.part = Part()
        self.last_example = self.last_counts = 0.0
        self.total: Counter[str] = Counter()

    def run(self) -> Judged:
        parts = list(finished_parts(self.folder))
        for part in parts:
            self.total.update(part.counts)
        if not parts or not parts[-1].last:
            begin = time.process_time()
            self._judge_from(parts[-1].end if parts else 0, len(parts))
            self.chain.seconds["all"] += time.process_time() - begin
        sum_up(self.folder)
        if self.layer and not (self.layer.folder / NOTE).exists():
            pages = [part.folder / PAGES for part in finished_parts(self.folder)]
            if all(path.is_file() for path in pages):
                self.layer.write(pages, judged_shard(self.folder)["found"])
        self.memo.save()
        self._tell_counts()
        return {"seconds": {step: round(seconds, 3) for step, seconds in self.chain.seconds.items()}}

    def _has_layer(self) -> bool:
        if self.layer is None:
            return False
        try:
            return self.layer.open() and self.layer.fits(
                self.chain.drops, pieces=bool(self.settings.files.split_characters)
            )
        except (ValueError, OSError) as error:
            self.link.tell(kinds.Warned(f"layer {self.layer.folder}: {error}; its files are read again"))
        return False

    def _from_files(self, task: JudgeTask) -> Iterator[tuple[str, Page | Item]]:
        bounds = self.settings.max_record_bytes, self.settings.files
        if self.layer and self.keeps:
            self.layer.drop()
        self.part.pages = Pages() if self.keeps else None
        for source, item in read_sources(task["inputs"], task.get("skip", []), *bounds, self.range):
            yield source.name, item

    def _from_layer(self, task: JudgeTask) -> Iterator[tuple[str, Item]]:
        assert self.layer is not None
        causes = dict(task.get("skip", []))
        for position, (source, item) in enumerate(self.layer.items()):
            if isinstance(item, Extracted):
                item = Lost(item.offset, causes[position], item.url) if position in causes else self.chain.again(item)
            yield source, item
        if self.range:
            self.range.first, self.range.stop = self.layer.found

    def _judge_from(self, begin: int, number: int) -> None:
        position = 0
        self.link.mark(0)  # from here on a crash is attributed to item 0, while it is read too
        for source, item in self.items:
            if position >= begin:
                self._take(source, position, item)
            position += 1
            if self.part.records >= PAGES_PER_PART or self.part.characters >= CHARACTERS_PER_PART:
                number = self._write(number, position, last=False)
            self.link.mark(position)
        self._write(number, position, last=True)

    def _take(self, source: str, position: int, item: Page | Item) -> None:
        if isinstance(item, Page):
            try:
                item = self.chain.extracted(item)
            except UNJUDGED as error:
                item = Extracted(item.url, item.offset, [], failed=cause_of(error))
        if self.part.pages is not None:
            self.part.pages.add(position, source, item)
        if isinstance(item, Lost):
            self.part.quarantine(source, item.offset, item.url, item.cause)
        elif item.failed:
            self.part.quarantine(source, item.offset, item.url, item.failed)
        else:
            try:
                for document in self.chain.judged(item):
                    self.part.add(document, self._timed_keys(document))
                    self._show(document)
            except UNJUDGED as error:
                self.part.quarantine(source, item.offset, item.url, cause_of(error))
        if time.monotonic() - self.last_counts > SECONDS_BETWEEN_COUNTS:
            self.last_counts = time.monotonic()
            self._tell_counts(item.offset)

    def _timed_keys(self, document: Document) -> np.ndarray | None:
        if document.rule or not self.settings.dedup.enabled:
            return None
        begin = time.process_time()
        keys = np.frombuffer(bytes.fromhex(self.keys(document.text)), np.uint64)
        self.chain.seconds["dedup"] += time.process_time() - begin
        return keys

    def _write(self, number: int, end: int, last: bool) -> int:
        self.part.end, self.part.last = end, last
        if last and self.range:
            self.part.found = self.range.first, self.range.stop
        self.part.write(part_folder(self.folder, number))
        self.total.update(self.part.counts)
        self.part = Part(Pages() if self.part.pages is not None else None)
        return number + 1

    def _tell_counts(self, offset: int | None = None) -> None:
        """How far this shard is, for the progress bar and the funnel."""
        self.link.tell(kinds.ShardProgress(self.shard, offset, dict(self.total + self.part.counts)))

    def _show(self, document: Document) -> None:
        now = time.monotonic()
        if now - self.last_example < SECONDS_BETWEEN_EXAMPLES:
            return
        self.last_example = now
        text = self.masked(document.text[: EXAMPLE_CHARACTERS + 100])  # a cut piece of data would not be found
        self.link.tell(
            kinds.Example(
                url=self.masked(document.url),
                kept=not document.rule,
                text=text[:EXAMPLE_CHARACTERS],
                step=document.step,
                rule=document.rule,
                value=document.value,
                bound=document.bound,
                detail=self.masked(document.detail[:200]),
            )
        )


# --- second task ------------------------------------------------------------------------------------------------------


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
    clusters = np.load(task["clusters"], mmap_mode="r", allow_pickle=False) if task["clusters"] else None
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
        clusters: np.ndarray | None,
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
        survivor, size, flags = self.clusters[self.first + self.number].tolist()
        return survivor, size, flags

    def _mask(self, document: Document) -> None:
        if self.settings.pii.enabled:
            document.text, document.pii = self._masked(document.text)
