"""What the terminal shows of a run: progress bars with time left, or plain lines where it is no terminal.

Takes the events of `glassmill.run.events` and draws them; keeps nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from glassmill.run.events import Event

PLAIN_LINE_EVERY_S = 10.0
WIDE = 9


class Screen:
    """A listener for events; use as a context around a run."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.live = self.console.is_terminal
        self._bars: dict[str, TaskID] = {}
        self._last_line = 0.0
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.fields[stage]:<9}"),
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            refresh_per_second=4,
        )

    def __enter__(self) -> Screen:
        if self.live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self._progress.stop()

    def __call__(self, event: Event) -> None:
        draw = getattr(self, f"_on_{event['kind']}", None)
        if draw:
            draw(event)

    def _line(self, event: Event, text: str) -> None:
        self.console.print(f"[bold]{event['stage']:<{WIDE}}[/bold] {text}", soft_wrap=True)

    def _bar(self, event: Event, done: float, total: float | None, note: str = "") -> None:
        stage = event["stage"]
        if not self.live:
            if time.monotonic() - self._last_line >= PLAIN_LINE_EVERY_S:
                self._last_line = time.monotonic()
                self._line(event, f"{done:,.0f} of {total:,.0f} {note}" if total else f"{done:,.0f} {note}")
            return
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task("", total=total, stage=stage, note=note)
        self._progress.update(self._bars[stage], completed=done, total=total, note=note)

    def _on_start(self, event: Event) -> None:
        if not self.live:
            self._line(event, "begins")
        self._last_line = time.monotonic()

    def _on_progress(self, event: Event) -> None:
        self._bar(event, event["done"], event.get("total"), event.get("unit", ""))

    def _on_plan(self, event: Event) -> None:
        known = {
            "steps": "{:,} steps",
            "parameters": "{:,} parameters",
            "tokens": "{:,} tokens",
            "minutes": "{:.1f} minutes",
        }
        # Minutes are 0 where the length is given in steps.
        parts = [form.format(event[key]) for key, form in known.items() if event.get(key)]
        self._line(event, "plan: " + ", ".join(parts))

    def _on_metric(self, event: Event) -> None:
        note = f"loss {event['loss']:.3f}  {event.get('tokens_per_s', 0):,.0f} tokens/s"
        self._bar(event, event["step"], event.get("steps"), note)

    def _on_validation(self, event: Event) -> None:
        self._line(event, f"step {event['step']}: {event['bits_per_byte']:.3f} bits per byte on held-out text")

    def _on_sample(self, event: Event) -> None:
        from rich.markup import escape

        between = " → " if event["stage"] == "sft" else ""  # an answer, or the text going on
        text = " ".join(f"{event['prompt']}{between}{event['text']}".split())
        self._line(event, f"[dim]step {event['step']}:[/dim] {escape(text[:160])}")

    def _on_note(self, event: Event) -> None:
        from rich.markup import escape

        self._line(event, escape(event["text"]))

    def _on_warning(self, event: Event) -> None:
        from rich.markup import escape

        self._line(event, f"[yellow]warning:[/yellow] {escape(event['text'])}")

    def _on_done(self, event: Event) -> None:
        if self.live and (bar := self._bars.get(event["stage"])) is not None:
            task = self._progress.tasks[self._progress.task_ids.index(bar)]
            self._progress.update(bar, completed=task.total or task.completed)
        self._line(event, f"[green]done[/green] in {event['seconds']:.1f} s")


def funnel_table(funnel: list[dict[str, Any]]) -> Table:
    """The corpus stage's steps: pages in, pages out, and the rules that dropped most."""
    table = Table(title="funnel", title_justify="left", box=None, pad_edge=False)
    for column, justify in (("step", "left"), ("in", "right"), ("out", "right"), ("dropped by", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in funnel:
        top = sorted(row["dropped"].items(), key=lambda item: -item[1])[:3]
        if row.get("quarantined"):
            top.append(("quarantined", row["quarantined"]))
        table.add_row(
            row["step"], f"{row['in']:,}", f"{row['out']:,}", ", ".join(f"{rule} {count:,}" for rule, count in top)
        )
    return table


def report_table(report: dict[str, Any]) -> Table:
    """A report's plain numbers, one a row."""
    table = Table(title="report", title_justify="left", box=None, pad_edge=False, show_header=False)
    for name, value in report.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            table.add_row(name.replace("_", " "), f"{value:,.4g}" if isinstance(value, float) else f"{value:,}")
    return table


def report_tables(report: dict[str, Any]) -> list[Any]:
    """The report of a line, and where its parts lie."""
    tables: list[Any] = [funnel_table(report["funnel"])] if "funnel" in report else []
    tables += list(_corpus_lines(report))
    tables.append(report_table(report))
    if "seconds" in report:
        spent = "  ".join(f"{name} {seconds:,.1f}" for name, seconds in report["seconds"].items())
        tables.append(f"[bold]seconds[/bold]   {spent}")
    if "unfiltered" in report:
        both = [("with filters", report), ("without", report["unfiltered"])]
        tables.append(
            "\n".join(
                f"{name}: false claims believed {_percent(part.get('false_claims_believed'))}, "
                f"facts {_percent(part.get('facts_accuracy'))}"
                for name, part in both
            )
        )
    if report.get("model"):
        tables.append(f"[bold]model[/bold]     {report['model']}")
    return tables


def _corpus_lines(report: dict[str, Any]) -> Iterator[str]:
    from rich.markup import escape

    if speed := report.get("corpus_speed"):
        rates = f"{speed['pages_per_s']:,.1f} pages/s, {speed['bytes_per_s'] / 1e6:,.2f} MB/s of input"
        yield f"[bold]speed[/bold]     {rates} in {speed['seconds']:,.1f} s"
    if causes := report.get("quarantine_causes"):
        yield "[bold]set aside[/bold] " + ", ".join(f"{escape(cause)} {count:,}" for cause, count in causes.items())


def _percent(share: float | None) -> str:
    return "not asked" if share is None else f"{share:.0%}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
