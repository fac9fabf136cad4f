"""What the terminal shows of a run: progress bars with the time left, or plain lines if the output is not a terminal.

Draws the events of `glassmill.run.kinds` as they come, and a line's report at its end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import assert_never

from rich.console import Console
from rich.markup import escape
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

from glassmill.printable import printable
from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.run.kinds import from_json
from glassmill.stages import NAMES, STAGES

PLAIN_LINE_EVERY_S = 10.0
WIDE = max(map(len, NAMES))
ANSWERING = frozenset(stage.name for stage in STAGES if stage.model == "assistant")


class Screen:
    """A listener for events; use as a context around a run."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.live = self.console.is_terminal
        self._bars: dict[str, TaskID] = {}
        self._last_line = 0.0
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn(f"{{task.fields[stage]:<{WIDE}}}"),
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

    def __call__(self, entry: Entry) -> None:
        stage = entry.stage
        match entry.event:
            case kinds.Start():
                if not self.live:
                    self._line(stage, "starts")
                self._last_line = time.monotonic()
            case kinds.Progress(done, total, unit):
                self._bar(stage, done, total, unit)
            case kinds.Plan() as plan:
                self._line(stage, "plan: " + ", ".join(_plan_words(plan)))
            case kinds.Metric() as metric:
                note = f"loss {metric.loss:.3f}  {metric.tokens_per_s:,.0f} tokens/s"
                note += f"  {metric.peak_share:.0%} of peak" if metric.peak_share else ""
                self._bar(stage, metric.step, metric.steps, note)
            case kinds.Norms(step, gradients, updates):
                told = ", ".join(
                    f"{name} {gradients.get(name, 0):.2g} / {ratio:.2g}" for name, ratio in updates.items()
                )
                self._line(stage, f"[dim]step {step}: gradient / update per weight: {plain(told)}[/dim]")
            case kinds.Validation(step, bits_per_byte):
                self._line(stage, f"step {step}: {bits_per_byte:.3f} bits per byte on held-out text")
            case kinds.Sample(step, prompt, text):
                between = " → " if stage in ANSWERING else ""  # an answer, or the text going on
                words = " ".join(f"{prompt}{between}{text}".split())
                self._line(stage, f"[dim]step {step}:[/dim] {plain(words[:160])}")
            case kinds.Note(text):
                self._line(stage, plain(text))
            case kinds.Warned(text) | kinds.Unknown(text):
                self._line(stage, f"[yellow]warning:[/yellow] {plain(text)}")
            case kinds.Done(seconds):
                self._fill_bar(stage)
                self._line(stage, f"[green]done[/green] in {seconds:.1f} s")
            case kinds.Failed():
                pass  # the command itself ends with this error as its message
            case kinds.Score() | kinds.Rollouts() | kinds.Answer() | kinds.Merge() | kinds.Funnel() | kinds.Example():
                pass  # for the page, and for the tables at the end
            case kinds.Window():
                pass  # for `glassmill windows` and the page
            case kinds.ShardProgress() | kinds.Alive():
                pass  # between a worker and its supervisor
            case other:
                assert_never(other)

    def _line(self, stage: str, text: str) -> None:
        self.console.print(f"[bold]{stage:<{WIDE}}[/bold] {text}", soft_wrap=True)

    def _bar(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        if not self.live:
            if time.monotonic() - self._last_line >= PLAIN_LINE_EVERY_S:
                self._last_line = time.monotonic()
                self._line(stage, f"{done:,.0f} of {total:,.0f} {note}" if total else f"{done:,.0f} {note}")
            return
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task("", total=total, stage=stage, note=note)
        self._progress.update(self._bars[stage], completed=done, total=total, note=note)

    def _fill_bar(self, stage: str) -> None:
        if self.live and (bar := self._bars.get(stage)) is not None:
            task = self._progress.tasks[self._progress.task_ids.index(bar)]
            self._progress.update(bar, completed=task.total or task.completed)


def _plan_words(plan: kinds.Plan) -> list[str]:
    """What the plan says; minutes are 0 where the length is given in steps."""
    words = [f"{plan.steps:,} steps", f"{plan.parameters:,} parameters", f"{plan.tokens:,} tokens"]
    return [*words, f"{plan.minutes:.1f} minutes"] if plan.minutes else words


def plain(text: str) -> str:
    """Text of a stranger (a name, a page, a model) that is safe to print: no control characters, no markup."""
    return escape(printable(text))


def funnel_table(rows: Sequence[kinds.Funnel]) -> Table:
    """The corpus stage's steps: pages in, pages out, the text that is left, and the rules that dropped most."""
    table = Table(title="funnel", title_justify="left", box=None, pad_edge=False)
    text = max((row.characters_in for row in rows), default=0)
    columns = [("step", "left"), ("in", "right"), ("out", "right"), ("characters", "right"), ("of all", "right")]
    for column, justify in (*columns, ("dropped by", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        top = sorted(row.dropped.items(), key=lambda item: -item[1])[:3]
        if row.quarantined:
            top.append(("quarantined", row.quarantined))
        words = ", ".join(f"{rule} {count:,}" for rule, count in top)
        left = (f"{row.characters_out:,}", f"{row.characters_out / text:.0%}") if row.characters_in else ("", "")
        table.add_row(row.step, f"{row.documents_in:,}", f"{row.documents_out:,}", *left, words)
    return table


def report_table(report: Mapping[str, object]) -> Table:
    """A report's plain numbers, one a row."""
    table = Table(title="report", title_justify="left", box=None, pad_edge=False, show_header=False)
    for name, value in report.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            table.add_row(name.replace("_", " "), f"{value:,.4g}" if isinstance(value, float) else f"{value:,}")
    return table


def report_tables(report: Mapping[str, object]) -> list[Table | str]:
    """The report of a line, or a part of one, as `glassmill.commands.report` writes it."""
    tables: list[Table | str] = []
    if isinstance(funnel := report.get("funnel"), list):
        rows = [from_json({"kind": "funnel", **row}) for row in funnel]
        tables.append(funnel_table([row for row in rows if isinstance(row, kinds.Funnel)]))
    tables += _corpus_lines(report)
    tables.append(report_table(report))
    from glassmill.commands.examined import examined_tables

    tables += examined_tables(report)
    if isinstance(mixture := report.get("mixture"), dict):
        from glassmill.train.sources import described

        tables.append(f"[bold]read[/bold]      {plain(described(mixture))}")
    if seconds := _numbers(report, "seconds"):
        tables.append("[bold]seconds[/bold]   " + "  ".join(f"{name} {spent:,.1f}" for name, spent in seconds.items()))
    if isinstance(unfiltered := report.get("unfiltered"), dict):
        tables.append("\n".join((_beliefs("with filters", report), _beliefs("without", unfiltered))))
    if report.get("model"):
        tables.append(f"[bold]model[/bold]     {report['model']}")
    return tables


def _corpus_lines(report: Mapping[str, object]) -> Iterator[str]:
    if speed := _numbers(report, "corpus_speed"):
        rates = f"{speed['pages_per_s']:,.1f} pages/s, {speed['bytes_per_s'] / 1e6:,.2f} MB/s of input"
        yield f"[bold]speed[/bold]     {rates} in {speed['seconds']:,.1f} s"
    if causes := _numbers(report, "quarantine_causes"):
        yield "[bold]quarantined[/bold] " + ", ".join(f"{plain(cause)} {count:,}" for cause, count in causes.items())


def _beliefs(name: str, report: Mapping[str, object]) -> str:
    believed, facts = _percent(report.get("false_claims_believed")), _percent(report.get("facts_accuracy"))
    return f"{name}: false claims believed {believed}, facts {facts}"


def _numbers(report: Mapping[str, object], name: str) -> Mapping[str, int | float]:
    """The named numbers under `name`; none where the report has no such part."""
    part = report.get(name)
    return part if isinstance(part, dict) else {}


def _percent(share: object) -> str:
    return f"{share:.0%}" if isinstance(share, int | float) else "not asked"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
