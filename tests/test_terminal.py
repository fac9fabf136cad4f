"""The terminal draws every kind of event, and what pages and models wrote is never taken for markup."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from rich.console import Console

from glassmill.commands.terminal import Screen, report_tables
from glassmill.run import kinds
from glassmill.run.events import Entry
from tests.run.test_kinds import events

MARKUP = "[bold]not markup[/] [/red]"


def drawn(*some: kinds.Event, terminal: bool = False) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=200, highlight=False, color_system=None)
    with Screen(console) as screen:
        for event in some:
            screen(Entry(1.0, "train", event))
    return written.getvalue()


@given(event=events())
@pytest.mark.parametrize("terminal", [False, True])
def test_any_event_can_be_drawn(event: kinds.Event, terminal: bool) -> None:
    drawn(event, terminal=terminal)


@pytest.mark.parametrize("event", [kinds.Note(MARKUP), kinds.Warned(MARKUP), kinds.Sample(3, "", MARKUP)])
def test_brackets_in_a_text_are_shown_as_they_are(event: kinds.Event) -> None:
    assert MARKUP in drawn(event)


def test_a_training_reads_as_a_few_lines_where_the_output_is_no_terminal() -> None:
    metrics = [kinds.Metric(step, 90, 2.5, 0.01, 1.0, step * 64, 900.0, 1.0) for step in range(90)]
    plan = kinds.Plan(steps=90, parameters=12_000, tokens=5760, minutes=0, flops=1e9, threads=2, dtype="float32")
    norms = kinds.Norms(90, {"embeddings": 0.5, "head": 0.25}, {"embeddings": 0.001, "head": 0.02})
    events = (kinds.Start("demo-1", "0"), plan, *metrics, norms, kinds.Validation(90, 1.25), kinds.Done(2.0))
    lines = drawn(*events).splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        "starts",
        "plan: 90 steps, 12,000 parameters, 5,760 tokens",
        "step 90: gradient / update per weight: embeddings 0.5 / 0.001, head 0.25 / 0.02",
        "step 90: 1.250 bits per byte on held-out text",
        "done in 2.0 s",
    ]


def test_a_report_is_drawn_with_the_parts_that_it_has() -> None:
    row = {"step": "url", "in": 100, "out": 90, "dropped": {"url/blocked": 7, "url/banned": 3}, "quarantined": 2}
    report = {"funnel": [row], "val_bpb": 1.5, "facts_accuracy": 0.5, "unfiltered": {"facts_accuracy": None},
              "seconds": {"total": 9.0}, "model": "train/x/model",
              "mixture": {"[b]own[/b]": {"share": 0.3, "tokens": 9, "epochs": 5.8}}}  # fmt: skip
    console = Console(file=io.StringIO(), width=120, color_system=None)
    with console.capture() as shown:
        for part in report_tables(report):
            console.print(part)
    text = shown.get()
    assert "url/blocked 7, url/banned 3, quarantined 2" in text
    assert "read      [b]own[/b] 30 % of the windows (5.8 times over)" in text
    assert "with filters: false claims believed not asked, facts 50%\nwithout: " in text
    assert "model     train/x/model" in text
