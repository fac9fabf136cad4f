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
from typing import Any, Literal, TypedDict

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds

from glassmill.corpus.look.shown import shown
from glassmill.corpus.pii.masking import PLACEHOLDERS
from glassmill.errors import UserError
from glassmill.recipe import load_recipe
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
MOST_VALUES = 1000
ANY = "any"
"""Any kind of personal data."""
MARGIN = 300
"""Characters that are masked beyond those that are shown: what the cut would halve is known whole."""
_NAMES = frozenset({"id", "step", "rule", "pii"})


def page_of_documents(
    folder: Path, which: Which, page: int = 0, step: str = "", rule: str = "", words: str = "", masked: str = ""
) -> PageOfRows:
    """One page of the documents of the corpus run in `folder`.

    Args:
        folder: The run's folder.
        which: Kept or dropped documents, or quarantined records.
        page: From 0.
        step: Only what this step dropped; empty for all.
        rule: Only what this rule dropped; empty for all.
        words: Only documents whose text or URL contains this, in any case; empty for all.
        masked: Only documents in which personal data of this kind was masked; `any`: of some kind; empty for all.

    Returns:
        The rows; none as long as there is no shard.
    """
    if which == "quarantine":
        found = _page_of_quarantine(folder / "quarantine.jsonl", page)
        return {**found, "rows": _masked(folder, found["rows"])}
    files = find_shards(folder, "documents" if which == "kept" else which)
    if not files:
        return _answer([], 0, page)
    dataset = ds.dataset(files, format="parquet")
    names = set(dataset.schema.names)
    conditions = [
        ds.field(name) == value for name, value in (("step", step), ("rule", rule)) if value and name in names
    ]
    if masked and "pii" in names:
        conditions.append(pc.list_value_length(ds.field("pii")) > 0)
    if words:
        conditions.append(_contains("text", words) | _contains("url", words))
    keep = None
    for condition in conditions:
        keep = condition if keep is None else keep & condition
    kind = masked if masked != ANY and "pii" in names else ""
    if kind:
        total = sum(len(_with_kind(batch, kind)) for batch in _batches(dataset, keep, ["pii"]))
    else:
        total = dataset.count_rows(filter=keep)
    rows = list(islice(_rows(dataset, keep, kind), page * PAGE_ROWS, (page + 1) * PAGE_ROWS))
    as_stored = which == "kept" and folder.parent.name == "corpus"
    return _answer(_marked(folder, rows) if as_stored else _masked(folder, rows), total, page)


def values_of_rule(folder: Path, step: str, rule: str) -> list[float]:
    """The stored values of all documents that a rule dropped, ascending; of many, `MOST_VALUES` at even distances."""
    files = find_shards(folder, "dropped")
    if not files:
        return []
    wanted = (ds.field("step") == step) & (ds.field("rule") == rule)
    values = np.sort(ds.dataset(files, format="parquet").to_table(["value"], filter=wanted)["value"].to_numpy())
    values = values[np.isfinite(values)]
    if len(values) > MOST_VALUES:
        values = values[np.linspace(0, len(values) - 1, MOST_VALUES).astype(int)]
    return [float(value) for value in values]


def _masked(folder: Path, rows: list[Row]) -> list[Row]:
    """The rows with personal data masked, of texts that hold it."""
    show = shown(folder)
    cut = (_cut(row, MARGIN) for row in rows)  # a page may have megabytes
    return [_cut({name: value if name in _NAMES else show(value) for name, value in row.items()}) for row in cut]


def _marked(folder: Path, rows: list[Row]) -> list[Row]:
    """The rows, whose texts are masked already, with the places of what was."""
    widths, cut = _widths(folder), [_cut(row) for row in rows]
    if widths is None:
        return cut
    spans = (row.get("pii") or [] for row in rows)
    return [{**row, "marks": _marks(str(row["text"]), found, widths)} for row, found in zip(cut, spans, strict=True)]  # type: ignore[arg-type]


def _contains(column: str, words: str) -> ds.Expression:
    return pc.match_substring(ds.field(column), words, ignore_case=True)


def _rows(dataset: ds.Dataset, keep: ds.Expression | None, kind: str) -> Iterator[Row]:
    for batch in _batches(dataset, keep):
        yield from (batch.take(_with_kind(batch, kind)) if kind else batch).to_pylist()


def _batches(dataset: ds.Dataset, keep: ds.Expression | None, columns: list[str] | None = None) -> Iterator[Any]:
    yield from dataset.to_batches(
        columns=columns,
        filter=keep,
        batch_size=BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
        use_threads=False,
    )


def _with_kind(batch: Any, kind: str) -> np.ndarray:
    """The rows in which personal data of this kind was masked."""
    kinds = pc.struct_field(pc.list_flatten(batch["pii"]), "kind")
    return np.unique(pc.list_parent_indices(batch["pii"]).filter(pc.equal(kinds, kind)).to_numpy())


def _widths(folder: Path) -> dict[str, int] | None:
    """Kind -> characters of what stands for it in a text, empty where that is as long as what it stands for; None where
    nobody knows."""
    try:
        settings = load_recipe(folder / "recipe.toml").corpus.pii
    except UserError:  # of another version
        return None
    return (
        {} if settings.replacement == "fake" else {kind: len(placeholder) for kind, placeholder in PLACEHOLDERS.items()}
    )


def _marks(text: str, spans: list[Row], widths: dict[str, int]) -> list[list[object]]:
    """Start, end and kind of what was masked, in UTF-16 units of the text as it is now, which JavaScript counts."""
    marks, shift, last, units = list[list[object]](), 0, 0, 0
    for span in spans:
        start, end, kind = int(span["start"]), int(span["end"]), str(span["kind"])  # type: ignore[call-overload]
        width = widths.get(kind, end - start)
        begin, shift = start + shift, shift + width - (end - start)
        if begin + width > len(text):
            break
        units += _units(text[last:begin])
        marks.append([units, units + _units(text[begin : begin + width]), kind])
        units, last = units + _units(text[begin : begin + width]), begin + width
    return marks


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


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
    return row if isinstance(row, dict) else {"detail": line}


def _cut(row: Row, margin: int = 0) -> Row:
    """A row for the page: values of bounded size, and of the spans of personal data their kinds alone."""
    cut = {
        name: _short(value, margin + (MAX_TEXT_CHARACTERS if name == "text" else MAX_FIELD_CHARACTERS))
        for name, value in row.items()
    }
    if isinstance(spans := row.get("pii"), list):
        cut["pii"] = [str(span.get("kind", "")) if isinstance(span, dict) else str(span) for span in spans]
    return cut


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
