"""The parts of an examination that are tables: bits per byte by source, memorisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from glassmill.commands.memorised import memorised_tables
from glassmill.commands.terminal import plain

SHOWN_SOURCES = 12


def examined_tables(report: Mapping[str, Any]) -> Iterator[Table | str]:
    """Those that the report has."""
    if len(sources := report.get("val_bpb_by_source") or ()) > 1:
        yield from _sources(sources)
    if memorised := report.get("memorised"):
        yield from memorised_tables(memorised)


def _sources(rows: Sequence[Mapping[str, Any]]) -> Iterator[Table | str]:
    table = Table(title="held-out text by source", title_justify="left", box=None, pad_edge=False)
    for name in ("source", "documents", "bytes", "bits per byte"):
        table.add_column(name, justify="left" if name == "source" else "right")
    for row in rows[:SHOWN_SOURCES]:
        error = "" if row["error"] is None else f" ± {row['error']:.3f}"
        bits = "" if row["bits_per_byte"] is None else f"{row['bits_per_byte']:.3f}{error}"
        table.add_row(plain(row["source"]), f"{row['documents']:,}", f"{row['bytes']:,}", bits)
    yield table
    if len(rows) > SHOWN_SOURCES:
        yield f"and {len(rows) - SHOWN_SOURCES:,} more rows (in the report)"
