"""`glassmill add`: shows an inventory of the files, asks, makes documents, and suggests the next step."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NotRequired, cast

from rich.table import Table

from glassmill.collect.add import add
from glassmill.collect.survey import Inventory, survey
from glassmill.commands.terminal import plain, size
from glassmill.corpus.read.sources import find_sources
from glassmill.recipe import find_recipe, load_recipe
from glassmill.run.events import Listener
from glassmill.run.finished import read_manifest
from glassmill.run.names import user_path

PROMPT = "Make documents of these files? [y/N] "


class AddResult(Inventory):
    """The inventory, and if documents were made: the run folder, how many were made, and how many inputs failed."""

    run: NotRequired[str]
    documents_made: NotRequired[int]
    not_made: NotRequired[int]


def add_files(
    paths: Sequence[str],
    name: str | None,
    runs: Path,
    overrides: Sequence[str],
    yes: bool,
    show: Callable[[Inventory], None],
    listeners: tuple[Listener, ...] = (),
) -> AddResult:
    """Takes an inventory of the files and makes documents of them.

    Args:
        show: Called with the inventory before the user is asked.
        yes: Make documents without asking. Without a terminal to ask in, nothing is made.

    Raises:
        UserError: a path matches no file, or none of the files can be read.
    """
    sources = find_sources(tuple(paths))
    named = f"name={json.dumps(name or _name(paths), ensure_ascii=False)}"
    recipe = load_recipe(find_recipe("documents"), [named, *overrides])
    inventory = survey(sources, recipe.corpus)
    show(inventory)
    if not yes and not (sys.stdin.isatty() and _asked()):
        return cast("AddResult", inventory)
    folder = add(sources, recipe, runs, listeners)
    counts = read_manifest(folder)["counts"]
    return {
        **inventory,
        "run": str(folder),
        "documents_made": counts["documents"],
        "not_made": counts.get("quarantined", 0),
    }


def _asked() -> bool:
    sys.stderr.write(PROMPT)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _name(paths: Sequence[str]) -> str:
    """A name for the run from the first path: `./Annual Reports/` gives `annual-reports`."""
    stem = user_path(paths[0]).resolve().name.partition(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:40].strip("-_") or "documents"


def inventory_tables(inventory: Inventory) -> list[Table]:
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


def _lines(inventory: Inventory) -> list[tuple[str, str]]:
    sample, repeats, unread = inventory["sample"], inventory["duplicates"], inventory["not_read"]
    minutes = inventory["estimate"]["minutes"]
    languages = ", ".join(f"{name or 'none'} {share:.0%}" for name, share in inventory["languages"].items())
    pii = ", ".join(f"{kind} {count:,}" for kind, count in inventory["pii"].items())
    lines = [
        ("documents", f"{inventory['documents']:,}, about {inventory['tokens']:,} tokens"),
        ("languages", languages or "none"),
        (
            "duplicates",
            f"{repeats['files']:,} identical file{'' if repeats['files'] == 1 else 's'} ({size(repeats['bytes'])}),"
            f" {repeats['document_share']:.1%} identical texts",
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
        lines.append(
            ("", f"estimated from a sample of {sample['documents']:,} documents, {sample['share']:.1%} of the bytes")
        )
    return lines


def _duration(minutes: float) -> str:
    return "under a minute" if minutes < 1 else f"about {minutes:,.0f} minutes"


def made_lines(result: AddResult) -> list[str]:
    """What was made, and the next step."""
    if "run" not in result:
        return ["no documents were made; use --yes, or answer y in a terminal"]
    run = result["run"]
    return [
        f"{result['documents_made']:,} documents in {run}; {result['not_made']:,} failures in {run}/quarantine.jsonl",
        "personal data is still in them, so only you can read the folder; the corpus stage masks it",
        f"next: glassmill init mine.toml --input {run}",
    ]
