"""`glassmill query` and `glassmill why`, as tables for people and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from rich.table import Table

from glassmill.commands.terminal import plain
from glassmill.corpus.look.query import query
from glassmill.corpus.look.shown import shown
from glassmill.corpus.look.ways import CheckLine, WayLine, plain_way
from glassmill.corpus.look.why import why
from glassmill.run.names import find_folder
from glassmill.run.shards import has_shards

CELL_CHARACTERS = 300
MOST_WAYS = 20


class Answer(TypedDict):
    """The result of a query: `more` says whether rows were cut off."""

    columns: list[str]
    rows: list[list[object]]
    more: bool


class Explanation(TypedDict):
    """All records of a URL in a run."""

    url: str
    run: str
    ways: list[WayLine]


def find_run(word: str, runs: Path) -> Path:
    """The folder of a run whose documents can be looked at: a path, or a name such as `corpus/demo-3f9a1c` in `runs`.

    Raises:
        UserError: no such run.
    """
    return find_folder(word, runs, _has_documents, "run", "has documents; `glassmill corpus RECIPE` makes one")


def _has_documents(run: Path) -> bool:
    return has_shards(run) or (run / "quarantine.jsonl").is_file()


def answer(run: Path, statement: str, limit: int, clear: bool = False) -> Answer:
    """Runs a query; at most `limit` rows, with personal data masked unless `clear`."""
    names, rows = query(run, statement, limit + 1)
    show = (lambda value: value) if clear else shown(run)
    cells = [[show(value) for value in row] for row in rows[:limit]]
    return {"columns": names, "rows": cells, "more": len(rows) > limit}


def answer_table(result: Answer) -> list[Table | str]:
    """The result for people."""
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(result["columns"]):
        numeric = all(isinstance(row[number], (int, float, type(None))) for row in result["rows"])
        table.add_column(plain(name), justify="right" if numeric and result["rows"] else "left")
    for row in result["rows"]:
        table.add_row(*map(_cell, row))
    return [table, "(more rows: raise --limit)"] if result["more"] else [table]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else plain(str(value)[:CELL_CHARACTERS])


def explain(run: Path, url: str, clear: bool = False) -> Explanation:
    """The ways of all records of `url` through the corpus stage, with personal data masked unless `clear`."""
    show = (lambda text: text) if clear else shown(run)
    return {"url": str(show(url)), "run": str(run), "ways": [plain_way(way, show) for way in why(run, url)]}


def way_tables(result: Explanation) -> list[Table | str]:
    """The ways for people: each rule's name, its sentence with value and bound, and whether the page passed.

    Of a file that became many documents, the first are shown.
    """
    marks = {True: "[green]passed[/green]", False: "[red]stopped[/red]", None: ""}
    tables: list[Table | str] = []
    for way in result["ways"][:MOST_WAYS]:
        name, place = way["url"] or result["url"], f"{plain(way['source'])}, offset {way['offset']:,}"
        title = f"{plain(name)}: [bold]{way['end']}[/bold]  ({place})"
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in ("step", "rule", "what was measured", ""):
            table.add_column(name)
        for step in way["steps"]:
            nothing: CheckLine = {"rule": "", "value": None, "bound": None, "passed": True, "detail": "", "says": ""}
            rows = step["checks"] or [nothing]
            for number, check in enumerate(rows):
                note = f"{marks[check['passed']]} {plain(check['detail'][:100])}".strip()
                table.add_row("" if number else step["step"], plain(check["rule"]), check["says"], note)
        tables.append(table)
    if (more := len(result["ways"]) - MOST_WAYS) > 0:
        tables.append(f"({more:,} more documents of it; --json shows all)")
    return tables
