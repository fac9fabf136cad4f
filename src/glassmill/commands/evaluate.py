"""`glassmill eval`: a model's scores, every answer to questions of your own, and tasks such as BLiMP and CORE."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from glassmill.commands.examined import examined_tables
from glassmill.commands.memorised import ask_memorised
from glassmill.commands.tasks import Asked, ask, tasks_tables, wanted
from glassmill.commands.terminal import Screen, plain, report_table
from glassmill.evals import own
from glassmill.recipe import EvalSettings
from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.trace.origins import Origin

SEED = 7
SHOWN = 200
"""Rows of own questions that are drawn; `--json` has all."""


def evaluate_model(
    model: Path,
    web: Path | None,
    tokens: Path | None,
    questions: Path | None,
    asked: Asked | None = None,
    origin: Origin | None = None,
    passages: int | None = None,
) -> dict[str, Any]:
    """The scores of the model in the folder `model`; own questions come with their `answers`, tasks with `rows`.

    Args:
        model: The model folder.
        web, tokens, questions: What it is examined with, see `glassmill.evals.eval.score`.
        asked: Tasks.
        origin: What it was trained on, if it is to be asked for passages of that.
        passages: How many of each class.

    Raises:
        UserError: a file that can't be read, or a model that can't answer.
    """
    tasks, missing = wanted(asked) if asked else ([], [])
    with Screen() as screen:

        def emit(event: kinds.Event) -> None:
            screen(Entry(time.time(), "eval", event))

        if questions is not None:
            own.read_questions(questions)  # before torch is loaded, which takes seconds
        emit(kinds.Note(f"loading {model}"))
        from glassmill.evals.eval import score
        from glassmill.infer.generate import Model

        report: dict[str, Any] = {}
        if web or tokens or questions or origin or not asked:
            loaded = Model.load(model, device="cpu")
            settings = EvalSettings(questions=str(questions) if questions else None)
            shown = score(loaded, settings, SEED, web, tokens, emit)
            report = {**shown.scores, **({"pii": shown.leaked} if shown.leaked else {}), **shown.tables}
            if answers := [answer for answer in shown.answers if answer["kind"] == own.KIND]:
                report["answers"] = answers
            if origin:
                report["memorised"] = ask_memorised(loaded, origin, passages, SEED, emit)
            loaded.close()
        return report | (ask(model, asked, tasks, missing, emit) if asked else {})


def evaluation_tables(report: Mapping[str, Any]) -> list[Table | str]:
    """The same for people."""
    tables: list[Table | str] = []
    if "tasks" in report:
        tables += tasks_tables(report)
    if report_table(report).row_count or not report.keys() & {"tasks", "memorised"}:
        tables.append(report_table(report))
    tables += examined_tables(report)
    if answers := report.get("answers"):
        table = Table(box=None, pad_edge=False, show_header=True)
        for name in ("", "question", "said", "expected"):
            table.add_column(name, overflow="fold")
        for answer in answers[:SHOWN]:
            mark = "[green]✓[/green]" if answer["right"] else "[red]✗[/red]"
            table.add_row(mark, *(plain(str(answer[name])) for name in ("question", "said", "answer")))
        if len(answers) > SHOWN:
            table.add_row("", f"and {len(answers) - SHOWN} more (--json has all)", "", "")
        tables.insert(0, table)
    return tables
