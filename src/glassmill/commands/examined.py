"""The parts of an examination that are tables: calibration, bits per byte by source, memorisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from glassmill.commands.memorised import memorised_tables
from glassmill.commands.terminal import plain
from glassmill.evals.calibration import OUTCOMES

SHOWN_SOURCES = 12


def examined_tables(report: Mapping[str, Any]) -> Iterator[Table | str]:
    """Those that the report has."""
    if len(sources := report.get("val_bpb_by_source") or ()) > 1:
        yield from _sources(sources)
    if calibration := report.get("calibration"):
        yield from _calibration(calibration)
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


def _calibration(found: Mapping[str, Any]) -> Iterator[Table | str]:
    table = Table(title="how sure, and how often right", title_justify="left", box=None, pad_edge=False)
    for name in ("sure", "answers", "mean", "right", "95 %", *OUTCOMES):
        table.add_column(name, justify="right")
    for row in found["bins"]:
        if row["answers"]:
            low, high = row["interval"]
            shares = (f"{row['sure']:.0%}", f"{row['right']:.0%}", f"{low:.0%} to {high:.0%}")
            counts = (f"{row[name]:,}" for name in OUTCOMES)
            table.add_row(f"{row['low']:.0%} to {row['high']:.0%}", f"{row['answers']:,}", *shares, *counts)
    yield table
    summary = f"sure {found['sure']:.1%}, right {found['right']:.1%} of {found['answers']:,} answers"
    yield f"[dim]{summary}; calibration error {found['error']:.1%}, Brier score {found['brier']:.3f}[/dim]"
