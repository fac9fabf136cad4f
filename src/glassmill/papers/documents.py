"""The documents of a corpus run, one after the other with what papers say of each, and what they add up to.

Nothing here holds all documents: rows are read a few hundred at a time, and only sums and the largest stay.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from glassmill.corpus.document import Document, documents, domain_of
from glassmill.papers.licences import Licences
from glassmill.run.inputs import InputRow

LARGEST = 100
UNSTATED = "none stated"


@dataclass(frozen=True, slots=True)
class Row:
    """A kept document: never its text.

    Attributes:
        sha256: Of its text, as the corpus has it.
        file_sha256: Of the file that it was read from, where the run kept a list.
        bytes: Of its text in UTF-8.
        date: When it was crawled; of a file, when it was last changed.
        pii: Kind -> pieces that were masked.
    """

    id: str
    url: str
    source: str
    sha256: str
    file_sha256: str
    bytes: int
    date: str
    language: str
    licence: str
    licence_from: str
    pii: Mapping[str, int]


@dataclass(slots=True)
class Summary:
    """What the documents add up to."""

    documents: int = 0
    bytes: int = 0
    first: str = ""
    last: str = ""
    domains: Counter[str] = field(default_factory=Counter)
    domain_documents: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    pii_pieces: Counter[str] = field(default_factory=Counter)
    pii_documents: Counter[str] = field(default_factory=Counter)
    with_pii: int = 0
    largest: list[Row] = field(default_factory=list)
    most_pii: list[Row] = field(default_factory=list)


def rows_of(
    corpus: Path, licences: Licences | None, files: Mapping[str, InputRow], show: Callable[[str], str]
) -> Iterator[Row]:
    """The kept documents of a corpus run, in order.

    Args:
        licences: What their pages and files state.
        files: Name -> input file.
        show: What becomes of a URL or name before it is shown: personal data in it is masked.
    """
    for document in documents(corpus):
        yield _row(document, licences, files, show)


def _row(
    document: Document, licences: Licences | None, files: Mapping[str, InputRow], show: Callable[[str], str]
) -> Row:
    text = document.text.encode("utf-8", "replace")
    stated = licences.of(document.source, document.offset, document.url) if licences else None
    file = files.get(document.source) or files.get(document.url.partition("#")[0])
    date = document.date or (datetime.fromtimestamp(file["modified"], UTC).isoformat() if file else "")
    return Row(
        document.id,
        show(document.url),
        show(document.source),
        hashlib.sha256(text).hexdigest(),
        file["content"] if file else "",
        len(text),
        date[:20],
        document.language,
        stated["licence"] if stated else "",
        stated["where"] if stated else "",
        Counter(span.kind for span in document.pii),
    )


def summary_of(rows: Iterator[Row]) -> Summary:
    """Reads all rows once."""
    total = Summary()
    largest: list[tuple[int, int, Row]] = []
    personal: list[tuple[int, int, Row]] = []
    for number, row in enumerate(rows):
        total.documents += 1
        total.bytes += row.bytes
        if row.date:
            total.first, total.last = min(total.first or row.date, row.date), max(total.last, row.date)
        domain = domain_of(row.url)
        total.domains[domain] += row.bytes
        total.domain_documents[domain] += 1
        total.languages[row.language or "not looked at"] += 1
        total.licences[row.licence or UNSTATED] += 1
        total.pii_pieces.update(row.pii)
        total.pii_documents.update(row.pii.keys())
        total.with_pii += bool(row.pii)
        _push(largest, (row.bytes, -number, row))
        if row.pii:
            _push(personal, (sum(row.pii.values()), -number, row))
    total.largest = [row for *_, row in sorted(largest, reverse=True, key=lambda one: one[:2])]
    total.most_pii = [row for *_, row in sorted(personal, reverse=True, key=lambda one: one[:2])]
    return total


def _push(heap: list[tuple[int, int, Row]], item: tuple[int, int, Row]) -> None:
    if len(heap) < LARGEST:
        heapq.heappush(heap, item)
    elif item[:2] > heap[0][:2]:
        heapq.heapreplace(heap, item)
