"""Commands of the line: the demo, a recipe, each of its stages."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from glassmill.cli.base import (
    LINE,
    RUNS,
    Json,
    ModelArgument,
    Port,
    RecipeArgument,
    Runs,
    Words,
    app,
    loaded,
    model_path,
    run_recipe,
    show_report,
)
from glassmill.errors import UserError


@app.command(rich_help_panel=LINE)
def demo(
    words: Words = None,
    runs: Runs = RUNS,
    port: Port = 8765,
    serve: Annotated[bool, typer.Option(help="open the studio in the browser while it runs")] = True,
    compare_unfiltered: Annotated[
        bool, typer.Option(help="run again with the spam filters off, and report both")
    ] = False,
    as_json: Json = False,
) -> None:
    """The whole line on a small generated web: from WARC files to a chat box, offline, in minutes."""
    from glassmill.commands.demo import run_demo

    report = run_demo(runs, words or [], port=port if serve else None, compare_unfiltered=compare_unfiltered)
    show_report(report, as_json)


@app.command(rich_help_panel=LINE)
def run(
    recipe: RecipeArgument,
    words: Words = None,
    runs: Runs = RUNS,
    until: Annotated[str | None, typer.Option(help="the last stage to run")] = None,
    as_json: Json = False,
) -> None:
    """All stages of a recipe; what is done is skipped, what was cut off continues."""
    show_report(run_recipe(recipe, words, runs, until), as_json)


def _stage_command(name: str, help_text: str) -> None:
    def command(recipe: RecipeArgument, words: Words = None, runs: Runs = RUNS, as_json: Json = False) -> None:
        show_report(run_recipe(recipe, words, runs, until=name), as_json)

    command.__doc__ = help_text
    app.command(name, rich_help_panel=LINE)(command)


def _sharded_stage_command(name: str, help_text: str) -> None:
    def command(
        recipe: RecipeArgument,
        words: Words = None,
        runs: Runs = RUNS,
        task: Annotated[int | None, typer.Option(help="do the shards of this array task, from 0")] = None,
        tasks: Annotated[int | None, typer.Option(help="number of array tasks, see run.executor=slurm")] = None,
        as_json: Json = False,
    ) -> None:
        if task is None and tasks is None:
            show_report(run_recipe(recipe, words, runs, until=name), as_json)
            return
        from glassmill.commands.array import run_task

        show_report(run_task(loaded(recipe, words), name, runs, task, tasks), as_json)

    command.__doc__ = help_text
    app.command(name, rich_help_panel=LINE)(command)


_sharded_stage_command("corpus", "Web pages to clean documents, and every dropped page with its reason.")


@app.command(rich_help_panel=LINE)
def extract(
    archive: Annotated[Path, typer.Argument(help="a WARC or ARC file", metavar="IN")],
    out: Annotated[Path, typer.Argument(help="a .jsonl or .wet file to write, .gz or not", metavar="OUT")],
    engine: Annotated[str, typer.Option(help="auto, glassmill or resiliparse")] = "auto",
    as_json: Json = False,
) -> None:
    """The text of every HTML page in an archive, with no filter: JSONL or WET."""
    from glassmill.commands.extract import extract_archive
    from glassmill.recipe import ExtractSettings

    if engine not in ("auto", "glassmill", "resiliparse"):
        raise UserError(f"no engine {engine!r}; give auto, glassmill or resiliparse")
    settings = ExtractSettings.model_validate({"engine": engine})
    counts = extract_archive(archive, out, settings, tell=lambda line: print(line, file=sys.stderr))
    summary = f"{out}: {counts['pages']} pages ({counts['empty']} without text), {counts['lost']} lost"
    print(json.dumps(counts) if as_json else summary)


_sharded_stage_command("tokens", "Documents to id shards.")
_stage_command("train", "Id shards to a base model.")
_stage_command("sft", "A base model and conversations to an assistant.")


@app.command("eval", rich_help_panel=LINE)
def evaluate(
    model: ModelArgument,
    web: Annotated[
        Path | None, typer.Option(help="a MiniWeb run: its questions are asked, its PII is looked for")
    ] = None,
    tokens: Annotated[Path | None, typer.Option(help="a tokens run: bits per byte of its held-out documents")] = None,
    questions: Annotated[Path | None, typer.Option(help="a questions.jsonl of your own")] = None,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Scores of a model: bits per byte, answers, leaks."""
    path = model_path(model, runs)
    from glassmill.evals.eval import score
    from glassmill.infer.generate import Model
    from glassmill.recipe import EvalSettings

    settings = EvalSettings(questions=str(questions) if questions else None)
    report, _ = score(Model.load(path), settings, 7, web, tokens, lambda kind, **fields: None)
    show_report(report, as_json)


@app.command(rich_help_panel=LINE)
def miniweb(
    out: Annotated[Path, typer.Option(help="folder for WARC files, truth and questions")],
    seed: int = 7,
    pages: int = 4000,
    people: int = 48,
) -> None:
    """Writes the demo's small fictional web, with its truth: same seed, same bytes."""
    from glassmill.commands.demo import write_miniweb

    write_miniweb(out, [f"seed={seed}", f"miniweb.pages={pages}", f"miniweb.people={people}"])
    print(f"{out}: {pages} pages in warc/, their truth in truth.parquet, questions.jsonl and conversations.jsonl")
