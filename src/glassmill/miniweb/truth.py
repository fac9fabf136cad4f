"""`truth.parquet`: the ground truth of every page of the MiniWeb, one row per page, in the order of the WARC files.

    url, kind, language      language is a code, or two for mixed pages (`en+de`)
    expected                 keep, drop, or either: duplicates (one of a group is kept), mixed pages, damaged records
    duplicate_group          the same number for all pages with the same content; null for a page without copies
    pii                      planted personal data: kind and exact characters
    facts                    the statements about the town, and whether they are true
    source, offset, damaged  where the response record is, and how it was damaged (empty: it was not)

Scoring reads this file; filters never do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.miniweb.page import Page

SCHEMA = pa.schema(
    [
        ("url", pa.string()),
        ("kind", pa.string()),
        ("language", pa.string()),
        ("expected", pa.string()),
        ("duplicate_group", pa.int64()),
        ("pii", pa.list_(pa.struct([("kind", pa.string()), ("text", pa.string())]))),
        ("facts", pa.list_(pa.struct([("subject", pa.string()), ("attribute", pa.string()), ("value", pa.string()),
                                      ("true", pa.bool_())]))),
        ("source", pa.string()),
        ("offset", pa.int64()),
        ("damaged", pa.bool_()),
        ("damage", pa.string()),
    ]
)  # fmt: skip


def write_truth(path: Path, placed: Iterable[tuple[Page, str, int]]) -> None:
    """Writes the table of all pages, each with its file name and record offset."""
    rows = [
        {
            "url": page.url,
            "kind": page.kind,
            "language": page.language,
            "expected": page.expected,
            "duplicate_group": page.duplicate_group,
            "pii": [{"kind": item.kind, "text": item.text} for item in page.pii],
            "facts": [{"subject": fact.subject, "attribute": fact.attribute, "value": fact.value, "true": fact.true}
                      for fact in page.facts],
            "source": source,
            "offset": offset,
            "damaged": bool(page.damage),
            "damage": page.damage,
        }
        for page, source, offset in placed
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="zstd")
