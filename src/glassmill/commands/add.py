"""`glassmill add`: shows what is in the files, asks, makes documents of them, and says what comes next."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from glassmill.collect.add import add
from glassmill.collect.survey import survey
from glassmill.commands.terminal import size
from glassmill.corpus.read.sources import find_sources
from glassmill.recipe import make_recipe
from glassmill.run.events import Listener
from glassmill.run.folder import read_manifest

PROMPT = "Make documents of these files? [y/N] "


def add_files(
    paths: Sequence[str],
    name: str | None,
    runs: Path,
    words: Sequence[str],
    yes: bool,
    show: Callable[[dict[str, Any]], None],
    listeners: tuple[Listener, ...] = (),
) -> dict[str, Any]:
    """The inventory, and where the documents are (`run`, `documents_made`, `not_made`), if they were made.

    Args:
        show: Called with the inventory before anybody is asked.
        yes: Make documents without asking. Where nobody can be asked, nothing is made.

    Raises:
        UserError: a path names nothing, or none of the files can be read.
    """
    settings = make_recipe({}, words).corpus
    sources = find_sources(tuple(paths))
    inventory = survey(sources, settings)
    show(inventory)
    if not yes and not (sys.stdin.isatty() and _asked()):
        return inventory
    folder = add(sources, settings, name or _name(paths), runs, listeners)
    counts = read_manifest(folder)["counts"]
    return inventory | {
        "run": str(folder),
        "documents_made": counts["documents"],
        "not_made": counts["quarantined"],
    }


def _asked() -> bool:
    sys.stderr.write(PROMPT)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _name(paths: Sequence[str]) -> str:
    """A run's name out of the first path: `./Annual Reports/` gives `annual-reports`."""
    stem = Path(paths[0]).expanduser().resolve().name.partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:40].strip("-_") or "documents"


def inventory_tables(inventory: dict[str, Any]) -> list[Any]:
    """The inventory for people."""
    kinds = Table(title="inventory", title_justify="left", box=None, pad_edge=False)
    for column in ("kind", "files", "size", "documents", "characters"):
        kinds.add_column(column, justify="left" if column == "kind" else "right")
    for kind, row in inventory["kinds"].items():
        numbers = [f"{row['files']:,}", size(row["bytes"]), f"{row['documents']:,}", f"{row['characters']:,}"]
        kinds.add_row(kind, *numbers)
    rest = Table(box=None, show_header=False, pad_edge=False)
    for name, text in _lines(inventory):
        rest.add_row(f"[bold]{name}[/bold]", text)
    return [kinds, rest]


def _lines(inventory: dict[str, Any]) -> list[tuple[str, str]]:
    sample, repeats, unread = inventory["sample"], inventory["duplicates"], inventory["not_read"]
    minutes = inventory["estimate"]["minutes"]
    languages = ", ".join(f"{name or 'none'} {share:.0%}" for name, share in inventory["languages"].items())
    pii = ", ".join(f"{kind} {count:,}" for kind, count in inventory["pii"].items())
    lines = [
        ("documents", f"{inventory['documents']:,}, about {inventory['tokens']:,} tokens"),
        ("languages", languages or "none"),
        (
            "duplicates",
            f"{repeats['files']:,} file{'' if repeats['files'] == 1 else 's'} ({size(repeats['bytes'])}) with the bytes"
            " of another;"
            f" {repeats['document_share']:.1%} of the texts do",
        ),
        ("personal data", pii or "none found"),
        ("not read", ", ".join(f"{plain(cause)} {count:,}" for cause, count in unread["causes"].items()) or "none"),
        *(("", plain(example)[:160]) for example in unread["examples"][:5]),
        (
            "will take",
            f"{_duration(minutes['add'])}, then {_duration(minutes['corpus'])} for `glassmill corpus`;"
            f" {size(inventory['estimate']['memory_bytes'])} of memory",
        ),
    ]
    if sample["share"] < 1:
        lines.append(("", f"read so far: {sample['documents']:,} documents, {sample['share']:.1%} of the bytes"))
    return lines


def _duration(minutes: float) -> str:
    return "under a minute" if minutes < 1 else f"about {minutes:,.0f} minutes"


def plain(text: str) -> str:
    """A name as it may be shown: no control characters of a terminal, no markup."""
    from rich.markup import escape

    return escape("".join(character if character.isprintable() else "\ufffd" for character in text))


def made_lines(result: dict[str, Any]) -> list[str]:
    """What was made, and the next step."""
    if "run" not in result:
        return ["nothing was made; say --yes, or answer y in a terminal"]
    run = result["run"]
    return [
        f"{result['documents_made']:,} documents in {run}; {result['not_made']:,} set aside in {run}/quarantine.jsonl",
        f"next: glassmill init mine.toml --input {run}",
    ]
