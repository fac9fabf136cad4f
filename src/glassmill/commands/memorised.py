"""`glassmill eval MODEL --memorised`: which training passages a model continues word for word, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from glassmill.commands.terminal import plain
from glassmill.evals.memorised import PASSAGES, check, class_name
from glassmill.run import kinds
from glassmill.trace.origins import Origin, find_run, origin_of, reading_of

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

SHOWN, SHOWN_CHARACTERS = 3, 160
Emit = Callable[[kinds.Event], None]


def origin_of_ids(model: Path, tokens: Path | None, runs: Path) -> Origin:
    """The training ids that a model is asked for: those of `tokens`, or else of the line that it came from.

    Raises:
        UserError: it is not known what the model was trained on, or that run is gone.
    """
    return origin_of(find_run(str(tokens or model), runs), runs)


def ask_memorised(model: Model, origin: Origin, most: int | None, seed: int, emit: Emit) -> dict[str, Any]:
    """The report's part `memorised`; `read` is how often the training read each id, where that is known."""
    from glassmill.evals.eval import measure_memorised
    from glassmill.tokens.shards import Shards

    check(model, origin.tokens)
    found = measure_memorised(model, origin.tokens, most or PASSAGES, seed, emit)
    reading = None if origin.train is None else reading_of(origin.train, Shards(origin.tokens))
    read = None
    if reading and found["training_tokens"]:
        read = round(reading.steps * reading.rows * reading.order.length / found["training_tokens"], 2)
    return {**found, "tokens_run": f"tokens/{origin.tokens.name}", "read": read, "others": list(origin.others)}


def memorised_tables(found: Mapping[str, Any]) -> list[Table | str]:
    """The curve, and some of the passages."""
    title = f"continued word for word: {found['continuation_tokens']} tokens after {found['prefix_tokens']}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    columns = ("passage stands in the training documents", "of their text", "passages", "word for word", "95 %")
    for name in (*columns, "bits a token"):
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for row in found["classes"]:
        table.add_row(class_name(row["low"], row["high"]), *class_cells(row))
    lines: list[Table | str] = [table]
    if run := found.get("tokens_run"):
        read = f", each of which the training read {found['read']:,} times on average" if found["read"] else ""
        lines.append(f"[dim]{found['training_tokens']:,} training tokens ({plain(run)}){read}[/dim]")
    if others := found.get("others"):
        lines.append(f"the training also read {plain(', '.join(others))}: these are not looked at")
    said = [example for example in found.get("examples", ()) if example["times"]]
    for example in said[:SHOWN]:
        text = " ".join(example["continuation"].split())[:SHOWN_CHARACTERS]
        lines.append(f"[bold]{example['times']:,} ×[/bold]  … {plain(text)}")
    if len(said) > SHOWN:
        lines.append("more with --json or --out FILE; glassmill trace MODEL TEXT has the pages of a text")
    return lines


def class_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A class in words and numbers: share of the text, passages, share continued, its interval, bits a token."""
    if row["verbatim"] is None:
        return ("" if row["of_text"] is None else f"{row['of_text']:.2%}", "none", "", "", "")
    low, high = row["interval"]
    return (
        "" if row["of_text"] is None else f"{row['of_text']:.2%}",
        f"{row['passages']:,}",
        f"{row['verbatim']:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"{row['bits']:.2f}",
    )
