"""What `glassmill runs` prints of the runs of a folder, see `glassmill.run.listing`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.table import Table

from glassmill.commands.terminal import plain, size
from glassmill.run.listing import Comparison, Deletion, RunList

MOST_SHOWN = 60
"""Characters of a value in a table."""


def run_table(result: RunList) -> list[Table | str]:
    """The list for people."""
    if not result["runs"]:
        return ["no runs yet: `glassmill demo` makes some, `glassmill run RECIPE` your own"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("run", "state", "changed", "size", "numbers", "made from"):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for entry in result["runs"]:
        when = datetime.fromtimestamp(entry["changed"]).strftime("%Y-%m-%d %H:%M")
        numbers = ", ".join(f"{_words(name)} {_number(value)}" for name, value in entry["numbers"].items())
        state = entry["state"] if entry["state"] == "done" else f"[yellow]{entry['state']}[/yellow]"
        made_from = ", ".join(map(plain, entry["made_from"]))
        table.add_row(plain(entry["run"]), state, when, size(entry["bytes"]), numbers, f"[dim]{made_from}[/dim]")
    count = len(result["runs"])
    kept = result["layers"]
    more = f"; texts for further corpus runs {size(kept)} (glassmill clean --layers --yes deletes them)" if kept else ""
    return [table, f"{count} run{'s' * (count != 1)}, {size(result['bytes'])}{more}"]


def comparison_table(result: Comparison) -> list[Table | str]:
    """The comparison for people."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for run in result["runs"]:
        table.add_column(plain(run), overflow="fold")
    parts = {
        "settings": result["settings"],
        "inputs": result["inputs"],
        "machine": result["machine"],
        "numbers": result["numbers"],
    }
    for title, rows in parts.items():
        table.add_row(f"[bold]{title}[/bold]" + ("" if rows else "  [dim]all equal[/dim]"))
        for name, values in rows.items():
            table.add_row(f"  {plain(name)}", *map(_shown, values))
    return [table]


def _shown(value: Any) -> str:
    if value is None:
        return "[dim]-[/dim]"
    text = _number(value) if type(value) in (int, float) else str(value)
    return plain(text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}...")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def _words(name: str) -> str:
    return {"val_bpb": "bits per byte"}.get(name, name.replace("_", " "))


def deletion_lines(result: Deletion) -> list[str]:
    """The same for people."""
    lines = [f"{size(one['bytes']):>9}  {plain(one['run'])}  [dim]{plain(one['why'])}[/dim]" for one in result["runs"]]
    count = len(result["runs"])
    total = f"{count} run{'s' * (count != 1)}, {size(result['bytes'])}"
    return [*lines, f"deleted {total}" if result["deleted"] else f"{total} would go; delete them with --yes"]
