"""`glassmill windows`: a window that a step of a training read, with the loss of every token then and now."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from glassmill.commands.terminal import plain
from glassmill.trace.windows import DocumentLine, WindowLine

COSTLIEST = 12
SHADES = ((1.0, "dim"), (4.0, ""), (float("inf"), "bold red"))
"""Up to so many nats, a token is printed so."""


def window_lines(window: WindowLine) -> list[Table | str]:
    """A window for people: where it is from, its text, and its costliest tokens."""
    part = f" of {plain(window['part'])}" if window["part"] else ""
    place = f"step {window['step']:,} of {window['steps']:,}, row {window['row']:,} of {window['rows']:,}"
    head = f"{plain(window['train'])}: {place}; epoch {window['epoch']:,}{part}"
    lines: list[Table | str] = [head, *map(_document, window["documents"]), *_losses(window), _text(window)]
    if (losses := window["now"] or window["then"]) is not None:
        lines.append(_costliest(window, losses))
    return lines


def _document(document: DocumentLine) -> str:
    name = document["url"] or document["source"] or f"{document['shard']}, row {document['row']:,}"
    where = f"from its token {document['skipped'] + 1:,}" if document["skipped"] else "from its beginning"
    return f"  token {document['first']:,}: {plain(name)}, {where} of {document['tokens']:,}"


def _losses(window: WindowLine) -> list[str]:
    lines = []
    if window["then"] is not None:
        lines.append(f"before that step it cost {_mean(window['then']):.3f} nats a token")
    elif (mean := window["mean"]) is not None:
        span = f"steps {mean['first']:,} to {mean['last']:,}" if mean["last"] > mean["first"] else "that step"
        lines.append(f"what it cost then was not measured; {span} cost {mean['loss']:.3f} nats a token on average")
    if window["now"] is not None:
        lines.append(f"for the model of {plain(window['now_by'])} it costs {_mean(window['now']):.3f} now")
    elif not window["now_by"]:
        lines.append("no model of it is left to say what it costs now")
    return lines


def _mean(losses: Sequence[float]) -> float:
    return sum(losses) / len(losses)


def _text(window: WindowLine) -> str:
    """The text, likely tokens dim, unlikely ones bold."""
    losses = [0.0, *(window["now"] or window["then"] or [2.0] * (len(window["ids"]) - 1))]
    shown = []
    for piece, loss in zip(window["tokens"], losses, strict=True):
        style = next(style for most, style in SHADES if loss <= most)
        shown.append(f"[{style}]{plain(piece)}[/{style}]" if style and piece else plain(piece))
    return "\n" + "".join(shown) + "\n"


def _costliest(window: WindowLine, losses: Sequence[float]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("place", "token"):
        table.add_column(name, justify="right" if name == "place" else "left")
    both = [(name, found) for name, found in (("then", window["then"]), ("now", window["now"])) if found is not None]
    for name, _ in both:
        table.add_column(name, justify="right")
    for place in sorted(range(len(losses)), key=lambda place: -losses[place])[:COSTLIEST]:
        costs = [f"{found[place]:.2f}" for _, found in both]
        table.add_row(f"{place + 1:,}", plain(repr(window["tokens"][place + 1])), *costs)
    return table
