"""`glassmill eval`: a model's scores, every answer to questions of your own, and tasks such as BLiMP and CORE."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from glassmill.commands.terminal import Screen, plain, report_table
from glassmill.errors import UserError
from glassmill.evals import own
from glassmill.evals.task_files import Task, find_tasks
from glassmill.recipe import EvalSettings
from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.run.files import finite

SEED = 7
SHOWN = 200
"""Rows of own questions that are drawn; `--json` has all."""
RANDOM_ROWS = 200
"""Of each task a model that has learned nothing is asked so many at most."""

Emit = Callable[[kinds.Event], None]


class Asked(NamedTuple):
    """The tasks that are wanted, and how they are asked."""

    names: str
    folder: Path
    limit: int | None
    shots: int | None
    same_shots: bool
    random_weights: bool
    seed: int


def evaluate_model(
    model: Path, web: Path | None, tokens: Path | None, questions: Path | None, asked: Asked | None = None
) -> dict[str, Any]:
    """The scores of the model in the folder `model`; own questions come with their `answers`, tasks with `rows`.

    Raises:
        UserError: a file that can't be read, or a model that can't answer.
    """
    tasks, missing = _wanted(asked) if asked else ([], [])
    with Screen() as screen:

        def emit(event: kinds.Event) -> None:
            screen(Entry(time.time(), "eval", event))

        if questions is not None:
            own.read_questions(questions)  # before torch is loaded, which takes seconds
        emit(kinds.Note(f"loading {model}"))
        from glassmill.evals.eval import score
        from glassmill.infer.generate import Model

        report: dict[str, Any] = {}
        if not asked or web or tokens or questions:
            settings = EvalSettings(questions=str(questions) if questions else None)
            shown = score(Model.load(model, device="cpu"), settings, SEED, web, tokens, emit)
            report = {**shown.scores, "pii": shown.leaked} if shown.leaked else dict(shown.scores)
            if answers := [answer for answer in shown.answers if answer["kind"] == own.KIND]:
                report["answers"] = answers
        return report | (_ask(model, asked, tasks, missing, emit) if asked else {})


def _wanted(asked: Asked) -> tuple[list[Task], list[str]]:
    names = [name.strip() for name in asked.names.split(",") if name.strip()]
    if not names:
        raise UserError("--tasks names no task; give core, a file, or a folder of files, with commas between them")
    tasks, missing = find_tasks(names, asked.folder, asked.shots)
    seen: dict[str, Path] = {}
    for task in tasks:
        if task.name in seen:
            raise UserError(f"--tasks: {seen[task.name]} and {task.path} are both called {task.name}; ask for one")
        seen[task.name] = task.path
    return tasks, missing


def _ask(model: Path, asked: Asked, tasks: list[Task], missing: list[str], emit: Emit) -> dict[str, Any]:
    """The report of the tasks, and of each what every row scored."""
    from glassmill.evals.likelihood import ROWS
    from glassmill.evals.random_weights import untrained
    from glassmill.evals.tasks import Scores, report, score_task
    from glassmill.infer.choose import load_decoder
    from glassmill.infer.decoder import Decoder
    from glassmill.infer.find import find_model_folder
    from glassmill.tokens.tokenizer import Tokenizer

    folder = find_model_folder(model)
    tokenizer = Tokenizer.load(folder)

    def told(done: int, rows: int, name: str) -> None:
        emit(kinds.Progress(done, rows, name))

    def ask(decoder: Decoder, most: int | None) -> list[Scores]:
        return [score_task(decoder, tokenizer, task, most, asked.seed, asked.same_shots, told) for task in tasks]

    found = ask(load_decoder(folder, ROWS), asked.limit)
    learned_nothing: list[Scores] = []
    if asked.random_weights:
        emit(kinds.Note("asking a model of the same shape with random weights"))
        with untrained(folder, tokenizer, ROWS, SEED) as decoder:
            learned_nothing = ask(decoder, min(asked.limit or RANDOM_ROWS, RANDOM_ROWS))
    rows = {
        scores.task.name: [
            {"line": line, **{way: float(values[place]) for way, values in scores.credits.items()}}
            for place, line in enumerate(scores.lines)
        ]
        for scores in found
    }
    settings = {"seed": asked.seed, "limit": asked.limit, "same_shots": asked.same_shots}
    return {**report(found, learned_nothing, missing), "asked": settings, "rows": rows}


def write_results(path: Path, report: Mapping[str, Any]) -> None:
    """The whole report as a JSON file.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.write_text(json.dumps(finite(report), ensure_ascii=False, default=str, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"--out {path} cannot be written: {error.strerror or error}") from None


def tasks_table(report: Mapping[str, Any]) -> Table:
    """A task a row, and below them the groups; shares of 1 with their standard errors."""
    table = Table(title="tasks", title_justify="left", box=None, pad_edge=False)
    columns = ("task", "shots", "rows", "accuracy", "by character", "by token", "centred", "chance", "random weights")
    for name in columns:
        table.add_column(name, justify="left" if name == "task" else "right")
    for row in report["tasks"]:
        scores = [_share(row, way) for way in ("accuracy", "per_character", "per_token", "centred")]
        untrained = _share(row.get("random_weights", {}), "score")
        of = f"{row['rows']:,}" if row["rows"] == row["of"] else f"{row['rows']:,} of {row['of']:,}"
        table.add_row(plain(row["name"]), str(row["shots"]), of, *scores, f"{row['chance']:.3f}", untrained)
    for name, group in report["groups"].items():
        told = f"{group['tasks']} of {group['of']} tasks" if "of" in group else f"{group['tasks']} tasks"
        score, untrained = _share(group, "score"), _share(group.get("random_weights", {}), "score")
        chance = f"{group['chance']:.3f}" if "chance" in group else "0"
        places = ("", "", "", score) if name == "core" else (score, "", "", "")
        table.add_row(f"[bold]{plain(name)}[/bold]", "", told, *places, chance, untrained)
    return table


def _share(row: Mapping[str, Any], name: str) -> str:
    value, error = row.get(name), row.get(f"{name}_error")
    if value is None:
        return ""
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def evaluation_tables(report: Mapping[str, Any]) -> list[Table | str]:
    """The same for people."""
    tables: list[Table | str] = []
    if "tasks" in report:
        tables.append(tasks_table(report))
        tables += [
            f"core lacks {', '.join(group['missing'])}: their files are not there"
            for group in report["groups"].values()
            if group.get("missing")
        ]
        cropped = [f"{row['cropped']:,} of {plain(row['name'])}" for row in report["tasks"] if row["cropped"]]
        if cropped:
            tables.append(f"cut off at their beginning, to fit the context: {', '.join(cropped)}")
    if "tasks" not in report or report_table(report).row_count:
        tables.append(report_table(report))
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
