"""Bits per byte of held-out text by source: which hosts or kinds of files a model finds hard.

In: the bits that each held-out document took, and the corpus that it came from. Out: a row a source. Bits and bytes of
the rows add up to those of the whole text. A source is a host; of files, their kind, or a file with many documents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from glassmill.corpus.document import LOCAL, domain_of
from glassmill.corpus.look.shown import shown
from glassmill.evals.bits_per_byte import Bits
from glassmill.run.finished import is_done, read_manifest
from glassmill.run.given import with_content
from glassmill.run.shards import shard_called
from glassmill.tokens.shards import Shards

MOST_SOURCES = 40
"""Rows; what is left of the text is one more."""
_Doubles = npt.NDArray[np.float64]


class SourceRow(TypedDict):
    """What the documents of one source take.

    Attributes:
        source: Its name; of the last row, how many others there are.
        documents: Held-out documents.
        bytes: Of their text.
        bits: That they take.
        bits_per_byte: One by the other; None without text.
        error: Its standard error over documents; None of a single one.
    """

    source: str
    documents: int
    bytes: int
    bits: float
    bits_per_byte: float | None
    error: float | None


def by_source(bits: Bits, source_D: list[str], most: int = MOST_SOURCES) -> list[SourceRow]:
    """A row for each source, the one with most text first; those after `most` are joined.

    Args:
        bits: Of every document.
        source_D: The source of every document.
        most: Sources that get a row of their own.
    """
    places: dict[str, list[int]] = {}
    for number, source in enumerate(source_D[: len(bits.bits_D)]):
        places.setdefault(source, []).append(number)
    ranked = sorted(places, key=lambda source: (-int(bits.bytes_D[places[source]].sum()), source))
    rows = [_row(source, bits.bits_D[places[source]], bits.bytes_D[places[source]]) for source in ranked[:most]]
    if rest := [number for source in ranked[most:] for number in places[source]]:
        rows.append(_row(f"({len(ranked) - most:,} others)", bits.bits_D[rest], bits.bytes_D[rest]))
    return rows


def held_out_sources(tokens: Path, corpus: Path | None = None) -> list[str] | None:
    """The source of every held-out document of a tokens run, in order; None if its corpus run is gone.

    Args:
        tokens: The run.
        corpus: The corpus run, if it is known; else it is looked for where the runs are.
    """
    content = read_manifest(tokens)["inputs"].get("documents") if is_done(tokens) else None
    if corpus is None or not is_done(corpus) or read_manifest(corpus)["content"] != content:
        corpus = next(with_content(content, tokens.parent.parent / "corpus"), None)
    if corpus is None:
        return None
    show, names, tables = shown(corpus), list[str](), dict[str, list[Mapping[str, str]]]()
    for place in Shards(tokens, "validation").documents():
        if place.corpus not in tables:
            path = shard_called(corpus, place.corpus)
            if path is None:
                return None
            tables = {place.corpus: pq.read_table(path, columns=["url", "source"]).to_pylist()}
        row = tables[place.corpus][place.row]
        names.append(str(show(source_of(row["url"], row["source"]))))
    return names


def source_of(url: str, source: str) -> str:
    """What a document counts under, by its URL and the file that it was read from.

    >>> source_of("https://www.linden.example/a.html", "crawl-1.warc.gz")
    'linden.example'
    >>> source_of("manuals/tar.1.pdf#3", "manuals/tar.1.pdf"), source_of("row-7", "rows.jsonl")
    ('.pdf files', 'rows.jsonl')
    """
    domain = domain_of(url)
    if domain != LOCAL:
        return domain
    if PurePosixPath(url.partition("#")[0]).name != PurePosixPath(source).name:
        return source
    kind = PurePosixPath(source).suffix.lower()
    return f"{kind} files" if kind else "files without a kind"


def _row(source: str, bits: _Doubles, num_bytes: npt.NDArray[np.int64]) -> SourceRow:
    total, size = float(bits.sum()), int(num_bytes.sum())
    return {
        "source": source,
        "documents": len(bits),
        "bytes": size,
        "bits": round(total, 2),
        "bits_per_byte": round(total / size, 4) if size else None,
        "error": _error(bits, num_bytes),
    }


def _error(bits: _Doubles, num_bytes: npt.NDArray[np.int64]) -> float | None:
    """Of a ratio of two sums over documents (Cochran 1977, Sampling Techniques, section 2.11)."""
    size, count = int(num_bytes.sum()), len(bits)
    if count < 2 or not size:
        return None
    residuals = bits - bits.sum() / size * num_bytes
    return round(math.sqrt(count / (count - 1) * float((residuals**2).sum())) / size, 4)
