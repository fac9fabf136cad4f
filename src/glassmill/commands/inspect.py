"""`glassmill query` and `glassmill why`, as tables for people and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from glassmill.commands.add import plain
from glassmill.corpus.look.query import query
from glassmill.corpus.look.why import Way, why
from glassmill.errors import UserError

CELL_CHARACTERS = 300


def find_run(word: str, runs: Path) -> Path:
    """The run folder that `word` names: a path, or `corpus/demo-3f9a1c` below `runs`.

    Raises:
        UserError: there is none.
    """
    for path in (Path(word).expanduser(), runs / word):
        if path.is_dir():
            return path
    known = sorted(path.parent.relative_to(runs).as_posix() for path in runs.glob("corpus/*/DONE"))
    hint = f"there are: {', '.join(known[:8])}" if known else "`glassmill corpus RECIPE` makes one"
    raise UserError(f"no run {word!r} in {runs}; {hint}")


def answer(run: Path, statement: str, limit: int) -> dict[str, Any]:
    """Columns and rows of a query, cut to `limit` rows (`more` says whether there were others)."""
    names, rows = query(run, statement, limit + 1)
    return {"columns": names, "rows": [list(row) for row in rows[:limit]], "more": len(rows) > limit}


def answer_table(result: dict[str, Any]) -> list[Any]:
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(result["columns"]):
        numeric = all(isinstance(row[number], (int, float, type(None))) for row in result["rows"])
        table.add_column(plain(name), justify="right" if numeric and result["rows"] else "left")
    for row in result["rows"]:
        table.add_row(*map(_cell, row))
    return [table, "(more rows: raise --limit)"] if result["more"] else [table]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else plain(str(value)[:CELL_CHARACTERS])


def explain(run: Path, url: str) -> dict[str, Any]:
    """The ways of all records of `url`, as JSON values."""
    return {"url": url, "run": str(run), "ways": [_plain_way(way) for way in why(run, url)]}


def _plain_way(way: Way) -> dict[str, Any]:
    steps = [
        {"step": step, "checks": [{**asdict(check), "bound": _no_nan(check.bound)} for check in checks]}
        for step, checks in way.steps
    ]
    return {"source": way.source, "offset": way.offset, "end": way.end, "steps": steps}


def _no_nan(bound: float) -> float | None:
    return None if math.isnan(bound) else bound


def way_tables(result: dict[str, Any]) -> list[Any]:
    """The ways for people: each rule's name, its sentence with value and bound, and a mark."""
    marks = {True: "[green]passed[/green]", False: "[red]stopped[/red]", None: ""}
    tables: list[Any] = []
    for way in result["ways"]:
        title = f"{plain(result['url'])}: [bold]{way['end']}[/bold]  ({plain(way['source'])}, offset {way['offset']:,})"
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in ("step", "rule", "what was measured", ""):
            table.add_column(name)
        for step in way["steps"]:
            rows = step["checks"] or [{"rule": "", "says": "", "passed": True, "detail": ""}]
            for number, check in enumerate(rows):
                note = f"{marks[check['passed']]} {plain(check['detail'][:100])}".strip()
                table.add_row("" if number else step["step"], plain(check["rule"]), check["says"], note)
        tables.append(table)
    return tables
