"""What travels through the corpus stage: a page from a source, and the two tables that remain.

A source yields `Page` or `Lost`; every page becomes one row of `documents-*.parquet`, one row of `dropped-*.parquet`,
or one line of `quarantine.jsonl`, so the three add up to what was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.corpus.judge.rule import Verdict
from glassmill.run.shards import find_shards

LOCAL = "(local files)"


@dataclass(slots=True)
class Page:
    """One page as its source delivered it.

    `kind` is `html`, `text`, `pdf` or `other`; `charset` and `status` are HTTP's (status 0: no HTTP). `section`: the
    heading or place of a piece in the document that it was cut from.
    """

    url: str
    body: bytes
    source: str
    offset: int
    kind: str = "html"
    media_type: str = "text/html"
    charset: str | None = None
    status: int = 0
    date: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A record that cannot be read or trusted: where it starts, and why."""

    offset: int
    cause: str
    url: str = ""


class Quarantined(TypedDict):
    """A line of `quarantine.jsonl`: where the record was, its URL if that could be read, and the cause."""

    source: str
    offset: int
    url: str
    cause: str


def kind_of_cause(cause: str) -> str:
    """The cause without its particulars (after `:` or in brackets), so that causes of one kind are counted together.

    Example:
        >>> kind_of_cause("no text in body (fields: nope)"), kind_of_cause("refused: unpacks to more than 9 bytes")
        ('no text in body', 'refused')
    """
    return cause.partition(":")[0].partition(" (")[0][:80]


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data found in a document: its kind, and its position (characters) in the text before masking."""

    kind: str
    start: int
    end: int


@dataclass(slots=True)
class Document:
    """A page and its text; after the last step, a row of the corpus.

    `extracted`: characters of the text before any step shortened it.
    """

    id: str
    url: str
    text: str
    source: str
    offset: int
    date: str = ""
    language: str = ""
    language_score: float = 0.0
    quality_score: float | None = None
    cluster_size: int = 1
    pii: list[Span] = field(default_factory=list)
    step: str = ""
    rule: str = ""
    value: float = 0.0
    bound: float = 0.0
    detail: str = ""
    section: str = ""
    extracted: int = 0

    def drop(self, step: str, verdict: Verdict) -> None:
        """Records why `step` drops this document."""
        self.step, self.rule, self.detail = step, verdict.rule.name, verdict.detail
        self.value, self.bound = float(verdict.value), float(verdict.bound)


class ParquetOptions(TypedDict):
    compression: str
    compression_level: int
    write_statistics: bool


PARQUET: ParquetOptions = {"compression": "zstd", "compression_level": 3, "write_statistics": False}
SPAN = pa.struct([("kind", pa.string()), ("start", pa.int32()), ("end", pa.int32())])

KEPT_SCHEMA = pa.schema([
    ("id", pa.string()),
    ("url", pa.string()),
    ("text", pa.string()),
    ("language", pa.string()),
    ("language_score", pa.float32()),
    ("quality_score", pa.float32()),
    ("date", pa.string()),
    ("source", pa.string()),
    ("offset", pa.int64()),
    ("section", pa.string()),
    ("cluster_size", pa.int32()),
    ("pii", pa.list_(SPAN)),
])  # fmt: skip

DROPPED_SCHEMA = pa.schema([
    ("id", pa.string()),
    ("url", pa.string()),
    ("step", pa.string()),
    ("rule", pa.string()),
    ("value", pa.float64()),
    ("bound", pa.float64()),
    ("detail", pa.string()),
    ("text", pa.string()),
    ("language", pa.string()),
    ("language_score", pa.float32()),
    ("quality_score", pa.float32()),
    ("source", pa.string()),
    ("offset", pa.int64()),
    ("section", pa.string()),
])  # fmt: skip


def document_id(source: str, offset: int, url: str) -> str:
    """16 hex digits that depend only on where the page was found."""
    return hashlib.blake2b(f"{source}\0{offset}\0{url}".encode("utf-8", "replace"), digest_size=8).hexdigest()


def table_of(documents: list[Document], schema: pa.Schema) -> pa.Table:
    """The documents as rows of `schema`; a lone surrogate becomes U+FFFD, because Parquet holds UTF-8."""
    columns: dict[str, list[Any]] = {}
    for name in schema.names:
        if name == "pii":
            columns[name] = [[{"kind": s.kind, "start": s.start, "end": s.end} for s in d.pii] for d in documents]
        elif schema.field(name).type == pa.string():
            columns[name] = [_utf8(getattr(d, name)) for d in documents]
        else:
            columns[name] = [getattr(d, name) for d in documents]
    return pa.table(columns, schema=schema)


def write_table(table: pa.Table, path: Path) -> None:
    """Parquet with fixed options and no metadata of time or place: equal rows give equal bytes."""
    pq.write_table(table, path, row_group_size=2048, **PARQUET)


def documents(run: str | Path, dropped: bool = False) -> Iterator[Document]:
    """The documents of a corpus run, in order; with `dropped`, those that were dropped by a rule or as duplicates.

    Example:
        >>> for document in documents("runs/corpus/demo-3f9a1c"):   # doctest: +SKIP
        ...     print(document.url, len(document.text))

    Raises:
        FileNotFoundError: `run` holds no corpus.
    """
    kind = "dropped" if dropped else "documents"
    paths = find_shards(Path(run), kind)
    if not paths:
        raise FileNotFoundError(f"no shards/{kind}-*.parquet in {run}: not a finished corpus run")
    for path in paths:
        yield from read_documents(path)


def read_documents(path: Path) -> Iterator[Document]:
    """The rows of one of our Parquet files, a few hundred at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=512):
            for row in batch.to_pylist():
                row["pii"] = [Span(**span) for span in row.get("pii") or []]
                yield Document(**{"date": "", **row})


def domain_of(url: str) -> str:
    """The host without `www.`; all files that have none count together."""
    if "://" not in url:
        return LOCAL
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # an impossible address
        return "(no host)"
    return host.removeprefix("www.") or LOCAL


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
