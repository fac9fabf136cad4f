"""Files to documents, one shard at a time, in a supervised worker: read, decoded, extracted, not filtered.

In: some input files. Out: `documents-*.parquet` with each text and its source, or, for an inventory, only the counts of
the first pages. The steps up to the text are the corpus stage's, with every filter off.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NotRequired, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.corpus.chain import Chain
from glassmill.corpus.document import PARQUET, Document, Lost, Page, table_of
from glassmill.corpus.pii import find, leaving
from glassmill.corpus.read.cut import Source
from glassmill.corpus.read.files.columns import readable
from glassmill.corpus.read.files.errors import UNJUDGED, cause_of
from glassmill.corpus.read.files.kinds import kind_of
from glassmill.corpus.read.sources import read_sources
from glassmill.recipe import ClassifierSettings, CorpusSettings
from glassmill.run.files import atomic_json, atomic_path
from glassmill.run.memory import peak_memory
from glassmill.run.stores.stored import size_of
from glassmill.run.worker import Link

ADDED_SCHEMA = pa.schema([
    ("id", pa.string()),
    ("url", pa.string()),
    ("text", pa.string()),
    ("language", pa.string()),
    ("language_score", pa.float32()),
    ("date", pa.string()),
    ("source", pa.string()),
    ("offset", pa.int64()),
    ("section", pa.string()),
])  # fmt: skip
ROWS = 256
PACKED = (".gz", ".tgz", ".bz2", ".xz", ".txz")
PACKED_RATIO = 4.0
"""Unpacked bytes per byte of a compressed file, where the reader counts unpacked bytes."""

_NO_WORD = re.compile(r"\W+")


class GatherTask(TypedDict):
    """The work of one shard.

    `inputs`: the sources, as tasks carry them. `out` is a Parquet file to write and `report` a JSON file for
    the result; without them the task is an inventory, of the first `limit` pages where a file may hold any number.
    `kind` and `bytes` say what the inventory's sample stands for.
    """

    inputs: list[list[object]]
    settings: dict[str, object]
    out: NotRequired[str]
    report: NotRequired[str]
    limit: NotRequired[int]
    kind: NotRequired[str]
    bytes: NotRequired[int]
    skip: NotRequired[list[tuple[int, str]]]


class Quarantined(TypedDict):
    """Something that could not become a document, and why."""

    source: str
    offset: int
    url: str
    cause: str


class GatherResult(TypedDict):
    """`counts`: pages, documents, characters, bytes of UTF-8, quarantined; `languages`: documents of each."""

    counts: dict[str, int]
    languages: dict[str, int]
    quarantined: list[Quarantined]


class SurveyResult(GatherResult):
    """For an inventory also personal data by kind, hashes of the texts without case and punctuation, the share of the
    inputs' bytes that was read, and what it cost."""

    pii: dict[str, int]
    texts: list[str]
    share: float
    cpu_s: float
    peak_bytes: int


def unfiltered(settings: CorpusSettings) -> CorpusSettings:
    """The same settings with every filter off."""
    off = {
        name: getattr(settings, name).model_copy(update={"enabled": False})
        for name in ("url", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup", "pii")
    }
    return settings.model_copy(update={**off, "classifier": ClassifierSettings()})


def gather_shard(task: GatherTask, link: Link | None = None) -> GatherResult | SurveyResult:
    """Reads the inputs of one shard, for documents or for an inventory."""
    gather = _Gather(task, link or Link())
    if not task.get("out"):
        return gather.survey(task.get("limit"))
    out, report = Path(task["out"]), Path(task["report"])
    if report.exists() and out.exists():
        done: GatherResult = json.loads(report.read_text(encoding="utf-8"))
        return done
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, ADDED_SCHEMA, **PARQUET) as writer:
        rows: list[Document] = []
        for document in gather.documents():
            rows.append(document)
            if len(rows) >= ROWS:
                writer.write_table(table_of(rows, ADDED_SCHEMA))
                rows = []
        writer.write_table(table_of(rows, ADDED_SCHEMA))
    atomic_json(report, gather.result())
    return gather.result()


class _Gather:
    def __init__(self, task: GatherTask, link: Link) -> None:
        self.link = link
        settings = CorpusSettings.model_validate(task["settings"])
        self.pii = settings.pii
        self.settings = unfiltered(settings)
        bounds = self.settings.max_record_bytes, self.settings.files
        self.items = read_sources(task["inputs"], task.get("skip", []), *bounds)
        self.chain = Chain(self.settings)
        self.counts: Counter[str] = Counter(pages=0, documents=0, characters=0, bytes=0, quarantined=0)
        self.languages: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []
        self.last: tuple[Source, int] | None = None

    def documents(self, limit: int | None = None) -> Iterator[Document]:
        """The documents; for an inventory, those of the first `limit` pages."""
        self.link.mark(0)
        for source, item in self.items:
            self.counts["pages"] += 1
            yield from self._documents(source, item)
            self.link.mark(self.counts["pages"])
            if limit is not None and self.counts["pages"] >= limit:
                self.last = (source, item.offset)
                return

    def _documents(self, source: Source, item: Page | Lost) -> Iterator[Document]:
        if isinstance(item, Lost):
            self._set_aside(source, item, item.cause)
            return
        try:
            for document in self.chain.documents(item):
                if document.rule:
                    self._set_aside(source, item, f"{document.rule} {document.detail}".strip())
                else:
                    self.counts["documents"] += 1
                    self.counts["characters"] += len(document.text)
                    self.counts["bytes"] += len(document.text.encode("utf-8", "replace"))
                    self.languages[document.language] += 1
                    yield document
        except UNJUDGED as error:
            self._set_aside(source, item, cause_of(error))

    def _set_aside(self, source: Source, item: Page | Lost, cause: str) -> None:
        self.counts["quarantined"] += 1
        self.quarantined.append({"source": source.name, "offset": item.offset, "url": item.url, "cause": cause})

    def result(self) -> GatherResult:
        return {
            "counts": dict(self.counts),
            "languages": dict(self.languages.most_common()),
            "quarantined": self.quarantined,
        }

    def survey(self, limit: int | None) -> SurveyResult:
        begin = time.process_time()
        pii: Counter[str] = Counter()
        looked_for = self.pii.kinds
        leave = leaving(self.pii.examples, self.pii.allow)
        texts: list[str] = []
        for document in self.documents(limit):
            with contextlib.suppress(*UNJUDGED):  # the corpus sets such a document aside
                pii.update(span.kind for span in find(document.text, looked_for, leave))
            plain = _NO_WORD.sub("", document.text).lower()
            texts.append(hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=8).hexdigest())
        spent = time.process_time() - begin
        return {
            **self.result(),
            "pii": dict(pii),
            "texts": texts,
            "share": self._share(),
            "cpu_s": spent,
            "peak_bytes": peak_memory(),
        }

    def _share(self) -> float:
        """The share of the inputs' bytes that was read before the limit, estimated from the last page's offset."""
        if self.last is None:
            return 1.0
        source, offset = self.last
        pages = self.counts["pages"]
        size = float(size_of(source.path))
        if kind_of(source.path) == "parquet":
            size = float(pq.read_metadata(readable(source.path)).num_rows)
        elif source.path.name.lower().endswith(PACKED) and kind_of(source.path) != "warc":
            size *= PACKED_RATIO
        return min(1.0, offset / size * pages / max(pages - 1, 1)) or 1.0
