"""Commands of the line: the demo, a recipe, each of its stages.

A stage's command, its name and its help come from its row in `glassmill.stages`; three stages have commands of their
own, because they are useful without a recipe.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from glassmill.cli.base import (
    LINE,
    RUNS,
    Json,
    ModelArgument,
    Overrides,
    Port,
    RecipeArgument,
    Runs,
    app,
    loaded,
    model_path,
    notify,
    run_path,
    run_recipe,
    show_report,
    show_result,
)
from glassmill.cli.vocabulary import vocabulary
from glassmill.errors import UserError
from glassmill.stages import STAGES, Stage


@app.command(rich_help_panel=LINE)
def demo(
    overrides: Overrides = None,
    runs: Runs = RUNS,
    port: Port = 8765,
    serve: Annotated[bool, typer.Option(help="open the studio in the browser while it runs")] = True,
    compare_unfiltered: Annotated[
        bool, typer.Option(help="run a second time with the spam filters off, and report both")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the whole line on a small generated web: from WARC files to a chat box, offline, in minutes."""
    from glassmill.commands.demo import run_demo

    report = run_demo(runs, overrides or [], port=port if serve else None, compare_unfiltered=compare_unfiltered)
    show_report(report, as_json)


@app.command(rich_help_panel=LINE)
def run(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    runs: Runs = RUNS,
    until: Annotated[str | None, typer.Option(help="the last stage to run")] = None,
    as_json: Json = False,
) -> None:
    """Run all stages of a recipe; finished ones are skipped, interrupted ones continue."""
    show_report(run_recipe(recipe, overrides, runs, until), as_json)


@app.command(rich_help_panel=LINE)
def ablate(
    recipe: RecipeArgument,
    settings: Annotated[
        list[str],
        typer.Argument(metavar="KEY=A,B...", help="settings with the values to compare, e.g. train.peak_lr=0.01,0.02"),
    ],
    seeds: Annotated[int, typer.Option(help="trainings of each variant")] = 3,
    runs: Runs = RUNS,
    out: Annotated[Path | None, typer.Option(help="folder for table and plot; default: ablations/RECIPE")] = None,
    as_json: Json = False,
) -> None:
    """Compare settings: train every combination of their values with several seeds, and show what each changes."""
    from glassmill.commands.ablate import ablation_tables, run_ablation
    from glassmill.commands.terminal import Screen

    place = out or Path("ablations") / loaded(recipe, []).name
    with Screen() as screen:
        result = run_ablation(
            lambda words: loaded(recipe, list(words)), settings, seeds, runs, place, (screen,), notify
        )
    show_result(result, as_json, ablation_tables)


@app.command(rich_help_panel=LINE)
def rates(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=20, max=1000, help="so many rates, one step each")] = 80,
    decades: Annotated[
        float, typer.Option(min=0.5, max=8, help="powers of ten between the lowest and the highest rate")
    ] = 3.0,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Suggest a learning rate: train a few steps at rising rates, and look where the loss falls fastest."""
    from glassmill.commands.rates import find_rates, rate_tables
    from glassmill.commands.terminal import Screen

    with Screen() as screen:
        result = find_rates(loaded(recipe, overrides), runs, steps, decades, (screen,), notify)
    show_result(result, as_json, rate_tables)


@app.command(rich_help_panel=LINE)
def extract(
    archive: Annotated[Path, typer.Argument(help="a WARC or ARC file", metavar="IN")],
    out: Annotated[Path, typer.Argument(help="the .jsonl or .wet file to write, with or without .gz", metavar="OUT")],
    engine: Annotated[str, typer.Option(help="auto, glassmill or resiliparse")] = "auto",
    as_json: Json = False,
) -> None:
    """Extract the text of every HTML page in an archive, unfiltered, as JSONL or WET."""
    from glassmill.commands.extract import extract_archive
    from glassmill.commands.terminal import plain
    from glassmill.printable import printable
    from glassmill.recipe import ExtractSettings

    if engine not in ("auto", "glassmill", "resiliparse"):
        raise UserError(f"unknown engine {engine!r}; give auto, glassmill or resiliparse")
    settings = ExtractSettings.model_validate({"engine": engine})
    counts = extract_archive(archive, out, settings, notify=lambda line: print(printable(line), file=sys.stderr))
    summary = f"{out}: {counts['pages']} pages ({counts['empty']} without text), {counts['lost']} lost"
    if counts["not_html"]:
        summary += f"; {counts['not_html']} records that are no HTML pages left out"
    show_result(counts, as_json, lambda _: plain(summary))


def evaluate(
    model: ModelArgument,
    web: Annotated[
        Path | None, typer.Option(help="a miniweb run or its name, for its questions and its planted personal data")
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="a tokens run or its name: bits per byte of its held-out documents")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="your own {question, answer} rows: JSONL, JSON, CSV, TSV or Parquet")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="tasks to choose answers in: core, names of files or folders, with commas")
    ] = None,
    task_files: Annotated[
        Path, typer.Option(envvar="GLASSMILL_TASKS", help="the folder with the files of the tasks")
    ] = Path("tasks"),
    memorised: Annotated[
        bool,
        typer.Option("--memorised", help="which training passages does it continue word for word, by their number"),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="rows of each task, or passages of each class (200), at most")
    ] = None,
    shots: Annotated[int | None, typer.Option(min=0, max=64, help="solved examples before each row")] = None,
    same_shots: Annotated[bool, typer.Option(help="the same examples before all rows of a task: faster")] = False,
    random_weights: Annotated[bool, typer.Option(help="ask a model that has learned nothing, too")] = True,
    corpus: Annotated[
        str | None, typer.Option(help="a corpus run or its name: which rows of the tasks stand in its documents")
    ] = None,
    seed: Annotated[int, typer.Option(help="draws the examples")] = 1234,
    out: Annotated[Path | None, typer.Option(help="a JSON file for the results, with every row of the tasks")] = None,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    path, web, tokens = model_path(model, runs), run_path(web, runs, "world.json"), run_path(tokens, runs, "index.json")
    from glassmill.commands.evaluate import evaluate_model, evaluation_tables
    from glassmill.commands.inspect import find_run
    from glassmill.commands.memorised import origin_of_ids
    from glassmill.commands.tasks import Asked, write_results

    if corpus and tasks is None:
        raise UserError("--corpus says which rows of tasks stand in a corpus; give --tasks, too")
    folder = find_run(corpus, runs) if corpus else None
    how = (task_files, limit, shots, same_shots, random_weights, seed, folder)
    asked = None if tasks is None else Asked(tasks, *how)
    if out and not (out.absolute().parent.is_dir() and not out.is_dir()):
        raise UserError(f"--out {out} cannot be written: give the name of a file in a folder that is there")
    origin = origin_of_ids(path, tokens, runs) if memorised else None
    report = evaluate_model(path, web, tokens, questions, asked, origin, limit)
    if out:
        write_results(out, report)
    if as_json:
        report.pop("rows", None)
    show_result(report, as_json, evaluation_tables)


def miniweb(
    out: Annotated[Path, typer.Option(help="folder for WARC files, truth and questions")],
    seed: int = 7,
    pages: int = 4000,
    people: int = 48,
) -> None:
    from glassmill.commands.demo import write_miniweb

    write_miniweb(out, [f"seed={seed}", f"miniweb.pages={pages}", f"miniweb.people={people}"])
    print(f"{out}: {pages} pages in warc/, their truth in truth.parquet, questions.jsonl and conversations.jsonl")


def _command(stage: Stage) -> Callable[..., None]:
    def command(recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = RUNS, as_json: Json = False) -> None:
        show_report(run_recipe(recipe, overrides, runs, until=stage.name), as_json)

    return command


def _array_command(stage: Stage) -> Callable[..., None]:
    def command(
        recipe: RecipeArgument,
        overrides: Overrides = None,
        runs: Runs = RUNS,
        task: Annotated[int | None, typer.Option(help="do the shards of this array task, from 0")] = None,
        tasks: Annotated[int | None, typer.Option(help="number of array tasks, see run.executor=slurm")] = None,
        as_json: Json = False,
    ) -> None:
        if task is None and tasks is None:
            show_report(run_recipe(recipe, overrides, runs, until=stage.name), as_json)
            return
        from glassmill.commands.array import run_task

        show_report(run_task(loaded(recipe, overrides), stage.name, runs, task, tasks), as_json)

    return command


OWN_COMMANDS: dict[str, Callable[..., None]] = {"miniweb": miniweb, "eval": evaluate}

for _stage in STAGES:
    if _stage.name == "tokenizer":
        app.add_typer(vocabulary, name=_stage.name, rich_help_panel=LINE)
        continue
    _function = OWN_COMMANDS.get(_stage.name) or (_array_command if _stage.array else _command)(_stage)
    app.command(_stage.name, help=_stage.help, rich_help_panel=LINE)(_function)
