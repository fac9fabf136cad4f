"""The documents of a corpus run for the page: kept, dropped and quarantined, a few at a time.

Reads the finished shards of a run, never more than a batch of rows at once; writes nothing. Texts are cut, because
one web page may be megabytes, and personal data in what was not kept is masked, however the run stores it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, TypedDict

import pyarrow.compute as pc
import pyarrow.dataset as ds

from glassmill.corpus.look.shown import shown
from glassmill.run.shards import find_shards

Which = Literal["kept", "dropped", "quarantine"]
Row = dict[str, object]
"""A row of a table as the page gets it; columns differ from table to table, and from version to version."""


class PageOfRows(TypedDict):
    """Some rows, how many there are in all, and which page of how many rows this is."""

    rows: list[Row]
    total: int
    page: int
    page_rows: int


PAGE_ROWS = 12
MAX_TEXT_CHARACTERS = 6000
MAX_FIELD_CHARACTERS = 1000
BATCH_ROWS = 128
_NAMES = frozenset({"id", "step", "rule"})


def page_of_documents(
    folder: Path, which: Which, page: int = 0, step: str = "", rule: str = "", words: str = ""
) -> PageOfRows:
    """One page of the documents of the corpus run in `folder`.

    Args:
        folder: The run's folder.
        which: Kept or dropped documents, or quarantined records.
        page: From 0.
        step: Only what this step dropped; empty for all.
        rule: Only what this rule dropped; empty for all.
        words: Only documents whose text or URL contains this, in any case; empty for all.

    Returns:
        The rows; none as long as there is no shard.
    """
    if which == "quarantine":
        found = _page_of_quarantine(folder / "quarantine.jsonl", page)
        return {**found, "rows": _masked(folder, which, found["rows"])}
    files = find_shards(folder, "documents" if which == "kept" else which)
    if not files:
        return _answer([], 0, page)
    dataset = ds.dataset(files, format="parquet")
    names = set(dataset.schema.names)
    conditions = [
        ds.field(name) == value for name, value in (("step", step), ("rule", rule)) if value and name in names
    ]
    if words:
        conditions.append(_contains("text", words) | _contains("url", words))
    keep = None
    for condition in conditions:
        keep = condition if keep is None else keep & condition
    total = dataset.count_rows(filter=keep)
    rows = islice(_rows(dataset, keep), page * PAGE_ROWS, (page + 1) * PAGE_ROWS)
    return _answer(_masked(folder, which, [_shortened(row) for row in rows]), total, page)


def _masked(folder: Path, which: Which, rows: list[Row]) -> list[Row]:
    """The rows with personal data masked: kept documents of the corpus stage are shown as the stage left them."""
    if which == "kept" and folder.parent.name == "corpus":
        return rows
    show = shown(folder)
    return [{name: value if name in _NAMES else show(value) for name, value in row.items()} for row in rows]


def _contains(column: str, words: str) -> ds.Expression:
    return pc.match_substring(ds.field(column), words, ignore_case=True)


def _rows(dataset: ds.Dataset, keep: ds.Expression | None) -> Iterator[Row]:
    batches = dataset.to_batches(
        filter=keep, batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False
    )
    for batch in batches:
        yield from batch.to_pylist()


def _page_of_quarantine(path: Path, page: int) -> PageOfRows:
    rows: list[Row] = []
    total = 0
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if page * PAGE_ROWS <= total < (page + 1) * PAGE_ROWS:
                    rows.append(_quarantined(line))
                total += 1
    return _answer(rows, total, page)


def _quarantined(line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = {"detail": line}
    return _shortened(row if isinstance(row, dict) else {"detail": line})


def _shortened(row: Row) -> Row:
    row = {
        name: _short(value, MAX_TEXT_CHARACTERS if name == "text" else MAX_FIELD_CHARACTERS)
        for name, value in row.items()
    }
    if isinstance(spans := row.get("pii"), list):
        row["pii"] = [str(span.get("kind", "")) for span in spans if isinstance(span, dict)]
    return row


def _short(value: object, limit: int) -> object:
    if isinstance(value, str) and len(value) > limit:
        return value[:limit] + " …"
    if isinstance(value, bytes):
        return value[:limit].decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value[:limit] if isinstance(value, list) else value


def _answer(rows: list[Row], total: int, page: int) -> PageOfRows:
    return {"rows": rows, "total": total, "page": page, "page_rows": PAGE_ROWS}
