"""Tasks of `glassmill eval`: which are asked, what came out, and which of their rows stand in a corpus."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from glassmill.commands.terminal import plain
from glassmill.errors import UserError
from glassmill.evals.task_files import Task, find_tasks
from glassmill.run import kinds
from glassmill.run.files import finite

if TYPE_CHECKING:
    from glassmill.evals.contamination import Verdict
    from glassmill.evals.tasks import Scores

RANDOM_SEED = 7
SHOWN_PAGES = 12
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
    corpus: Path | None = None


def wanted(asked: Asked) -> tuple[list[Task], list[str]]:
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


def ask(model: Path, asked: Asked, tasks: list[Task], missing: list[str], emit: Emit) -> dict[str, Any]:
    """The report of the tasks, and of each what every row scored."""
    from glassmill.evals.likelihood import ROWS
    from glassmill.evals.random_weights import untrained
    from glassmill.evals.tasks import contamination, report, score_task
    from glassmill.infer.choose import load_decoder
    from glassmill.infer.decoder import Decoder
    from glassmill.infer.find import find_model_folder
    from glassmill.tokens.tokenizer import Tokenizer

    folder = find_model_folder(model)
    tokenizer = Tokenizer.load(folder)

    def told(done: int, rows: int, name: str) -> None:
        emit(kinds.Progress(done, rows, name))

    def scored(decoder: Decoder, most: int | None) -> list[Scores]:
        return [score_task(decoder, tokenizer, task, most, asked.seed, asked.same_shots, told) for task in tasks]

    found = scored(load_decoder(folder, ROWS), asked.limit)
    learned_nothing: list[Scores] = []
    if asked.random_weights:
        emit(kinds.Note("asking a model of the same shape with random weights"))
        with untrained(folder, tokenizer, ROWS, RANDOM_SEED) as decoder:
            learned_nothing = scored(decoder, min(asked.limit or RANDOM_ROWS, RANDOM_ROWS))
    told_of = report(found, learned_nothing, missing)
    verdicts = _looked_for(asked.corpus, found, emit) if asked.corpus else [None] * len(found)
    for row, scores, looked in zip(told_of["tasks"], found, verdicts, strict=True):
        if looked:
            row["contamination"] = contamination(scores, looked)
    rows = {scores.task.name: _rows(scores, looked) for scores, looked in zip(found, verdicts, strict=True)}
    settings = {"seed": asked.seed, "limit": asked.limit, "same_shots": asked.same_shots, "corpus": asked.corpus}
    return {**told_of, "asked": settings, "rows": rows}


def _looked_for(corpus: Path, found: Sequence[Scores], emit: Emit) -> list[list[Verdict] | None]:
    """Of every row of every task whether it stands in the corpus, in the order asked."""
    from glassmill.evals.contamination import look_into

    emit(kinds.Note(f"looking for the rows in {corpus}"))
    items = [{item.line: item for item in scores.task.items} for scores in found]
    texts = [
        f"{by_line[line].question} {by_line[line].answer}"
        for by_line, scores in zip(items, found, strict=True)
        for line in scores.lines
    ]
    verdicts = iter(
        look_into(corpus, texts, lambda done, total: emit(kinds.Progress(done, total, "shards of the corpus"))).verdicts
    )
    return [[next(verdicts) for _ in scores.lines] for scores in found]


def _rows(scores: Scores, looked: Sequence[Verdict] | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"line": line, **{way: float(values[place]) for way, values in scores.credits.items()}}
        for place, line in enumerate(scores.lines)
    ]
    for row, verdict in zip(rows, looked or (), strict=looked is not None):
        row["state"] = verdict.state
        if verdict.found:
            row |= {"documents": verdict.found, "pages": [page._asdict() for page in verdict.pages]}
    return rows


def write_results(path: Path, report: Mapping[str, Any]) -> None:
    """The whole report as a JSON file.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.write_text(json.dumps(finite(report), ensure_ascii=False, default=str, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"--out {path} cannot be written: {error.strerror or error}") from None


def tasks_tables(report: Mapping[str, Any]) -> list[Table | str]:
    """The same for people: scores, what is missing, and what stands in the corpus."""
    tables: list[Table | str] = [_scores_table(report)]
    tables += [
        f"core lacks {', '.join(group['missing'])}: their files are not there"
        for group in report["groups"].values()
        if group.get("missing")
    ]
    cropped = [f"{row['cropped']:,} of {plain(row['name'])}" for row in report["tasks"] if row["cropped"]]
    if cropped:
        tables.append(f"cut off at their beginning, to fit the context: {', '.join(cropped)}")
    if any("contamination" in row for row in report["tasks"]):
        tables.append(_contamination_table(report))
        tables += _pages(report.get("rows", {}))
    return tables


def _scores_table(report: Mapping[str, Any]) -> Table:
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


def _contamination_table(report: Mapping[str, Any]) -> Table:
    title = f"rows that stand in {report['asked']['corpus']}"
    table = Table(title=plain(title), title_justify="left", box=None, pad_edge=False)
    for name in ("task", "all", "clean", "dirty", "rows clean", "exact", "fuzzy", "too short"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for row in report["tasks"]:
        found = row["contamination"]
        scores = [_share(row, row["counted"]), *(_share(found[part], "score") for part in ("clean", "dirty"))]
        counts = (found["clean"]["rows"], found["exact"], found["fuzzy"], found["short"])
        table.add_row(plain(row["name"]), *scores, *(f"{count:,}" for count in counts))
    return table


def _pages(rows: Mapping[str, Any]) -> list[str]:
    """The first dirty rows with their pages; a file of results has all."""
    dirty = [(name, row) for name, its in rows.items() for row in its if row.get("pages")]
    lines = [
        f"{plain(name)}, line {row['line']}: {row['state']} in {row['documents']:,}: {plain(row['pages'][0]['url'])}"
        for name, row in dirty[:SHOWN_PAGES]
    ]
    return (
        [*lines, f"and {len(dirty) - SHOWN_PAGES:,} more (--out FILE has all)"] if len(dirty) > SHOWN_PAGES else lines
    )
