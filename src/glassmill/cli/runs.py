"""Commands that look into a run, and those to use before the first one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from glassmill.cli.base import (
    LOOK,
    RUNS,
    SETUP,
    Json,
    Overrides,
    RecipeArgument,
    RunArgument,
    Runs,
    app,
    loaded,
    notify,
    show_result,
)
from glassmill.errors import UserError

run_commands = typer.Typer(
    help="List the runs with sizes and numbers; also: compare, delete.", invoke_without_command=True
)
app.add_typer(run_commands, name="runs", rich_help_panel=LOOK)

PapersArgument = Annotated[
    str, typer.Argument(help="a model folder, or a run such as sft/demo-3f9a1c", metavar="MODEL|RUN")
]
PapersFolder = Annotated[
    Path | None, typer.Option("--out", help="the folder to write; default: runs/papers/<name of the run>")
]
Clear = Annotated[bool, typer.Option("--clear", help="show personal data and secrets instead of masking them")]


@run_commands.callback()
def list_of_runs(context: typer.Context, runs: Runs = RUNS, as_json: Json = False) -> None:
    """List the runs with sizes and numbers; also: compare, delete."""
    if context.invoked_subcommand is None:
        from glassmill.commands.runs import run_table
        from glassmill.run.listing import list_runs

        show_result(list_runs(runs), as_json, run_table)


@run_commands.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="finished runs of one stage", metavar="RUN RUN...")],
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Show what differs between runs of one stage: settings, inputs, machine; and their numbers side by side."""
    from glassmill.commands.runs import comparison_table
    from glassmill.run.listing import compare as side_by_side

    show_result(side_by_side(names, runs), as_json, comparison_table)


@run_commands.command()
def delete(
    names: Annotated[list[str], typer.Argument(help="runs", metavar="RUN...")],
    runs: Runs = RUNS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="delete; without it, only show")] = False,
    as_json: Json = False,
) -> None:
    """Show, and with --yes delete, runs and everything that was made from them."""
    from glassmill.commands.runs import deletion_lines
    from glassmill.run.listing import delete as delete_runs

    show_result(delete_runs(names, runs, yes), as_json, deletion_lines)


@app.command(rich_help_panel=LOOK)
def query(
    run: RunArgument,
    statement: Annotated[
        str, typer.Argument(help="SQL over the tables kept, dropped, documents and quarantine", metavar="SQL")
    ],
    runs: Runs = RUNS,
    limit: Annotated[int, typer.Option(min=1, help="rows to show")] = 100,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Query the documents of a corpus run with SQL: query RUN "select rule, count(*) from dropped group by rule"."""
    from glassmill.commands.inspect import answer, answer_table, find_run

    show_result(answer(find_run(run, runs), statement, limit, clear), as_json, answer_table)


@app.command(rich_help_panel=LOOK)
def search(
    run: RunArgument,
    question: Annotated[str, typer.Argument(help="what to look for, in words")],
    runs: Runs = RUNS,
    limit: Annotated[int, typer.Option(min=1, max=50, help="passages to show")] = 5,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Search the documents of a corpus run: the passages that a question is about, with document and place."""
    from glassmill.commands.search import found_tables
    from glassmill.commands.search import search as look

    show_result(look(run, runs, question, limit, clear, notify), as_json, found_tables)


@app.command(rich_help_panel=LOOK)
def why(
    run: RunArgument,
    url: Annotated[str, typer.Argument(help="the page's URL as the corpus has it, or a file's name or path")],
    runs: Runs = RUNS,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Why a page was kept or dropped: every step of the corpus run, with rule, value and bound."""
    from glassmill.commands.inspect import explain, find_run, way_tables

    show_result(explain(find_run(run, runs), url, clear), as_json, way_tables)


@app.command(rich_help_panel=LOOK)
def trace(
    run: Annotated[
        str, typer.Argument(help="a model, or a run such as sft/demo-3f9a1c or tokens/demo-3f9a1c", metavar="MODEL")
    ],
    text: Annotated[str | None, typer.Argument(help="an answer, or any text", metavar="[TEXT]")] = None,
    pages: Annotated[int, typer.Option(min=0, max=100, help="pages to show of each stretch")] = 3,
    build: Annotated[bool, typer.Option("--build", help="make the index now; else the first text makes it")] = False,
    runs: Runs = RUNS,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Trace a text to the training documents: its longest stretches that stand there word for word, and their pages."""
    from glassmill.commands.trace import built, built_lines, traced_lines
    from glassmill.commands.trace import trace as look
    from glassmill.trace.origins import find_run, origin_of

    if text is None and not build:
        raise UserError('give the text to trace: glassmill trace MODEL "some words of its answer"')
    origin = origin_of(find_run(run, runs))
    if text is None:
        show_result(built(origin, notify), as_json, built_lines)
    else:
        show_result(look(origin, text, pages, clear, notify), as_json, traced_lines)


@app.command(rich_help_panel=LOOK)
def windows(
    run: Annotated[str, typer.Argument(help="a model, or a run such as train/demo-3f9a1c", metavar="MODEL")],
    step: Annotated[int, typer.Option(min=1, help="of the training, counted from 1")] = 1,
    row: Annotated[int, typer.Option(min=1, help="which of the step's windows, counted from 1")] = 1,
    runs: Runs = RUNS,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Show a window that a step of a training read: its documents, and the loss of every token, then and now."""
    from glassmill.commands.windows import window_lines
    from glassmill.trace.origins import find_run, origin_of
    from glassmill.trace.windows import WindowReader

    folder = find_run(run, runs)
    show_result(WindowReader(origin_of(folder), folder).window(step, row, clear=clear), as_json, window_lines)


@app.command(rich_help_panel=LOOK)
def audit(
    model: PapersArgument,
    out: PapersFolder = None,
    runs: Runs = RUNS,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Hash all that a model was made from, and write a page of it: documents, licences, personal data, drops."""
    from glassmill.commands.papers import audit as look
    from glassmill.commands.papers import audited_lines

    result = look(model, runs, out, clear, notify)
    show_result(result, as_json, audited_lines)
    if result["wrong"]:
        raise typer.Exit(2)


@app.command(rich_help_panel=LOOK)
def card(
    model: PapersArgument,
    out: PapersFolder = None,
    runs: Runs = RUNS,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Write a model's papers: model card, data card, EU training summary, record of personal data, software."""
    from glassmill.commands.papers import card as write
    from glassmill.commands.papers import written_lines

    show_result(write(model, runs, out, clear, notify), as_json, written_lines)


@app.command(rich_help_panel=LOOK)
def verify(
    folders: Annotated[
        list[str] | None,
        typer.Argument(help="runs, model folders, or folders that hold such; default: all runs", metavar="[RUN]..."),
    ] = None,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Hash the files of finished runs and models again, and name those that are not as they were written."""
    from glassmill.commands.verify import verified_lines
    from glassmill.commands.verify import verify as look

    result = look(folders or [], runs)
    show_result(result, as_json, verified_lines)
    if result["damaged"]:
        raise typer.Exit(2)


@app.command(rich_help_panel=SETUP)
def init(
    path: Annotated[Path, typer.Argument(help="the recipe to write")] = Path("recipe.toml"),
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="file, folder, glob or a run of add; may be repeated")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="documents or web; default: web if the inputs are WARC files only")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing file")] = False,
) -> None:
    """Write a commented recipe for your own documents, or for WARC files of a crawl."""
    from glassmill.commands.init import write_template

    chosen = write_template(path, tuple(inputs or ()), force, profile)
    first = "" if inputs else "name your pages in corpus.inputs, then "
    says = {
        "documents": "your own documents: only copies are dropped, and personal data is masked",
        "web": "crawled pages, with FineWeb's filters",
    }
    print(f"wrote {path} for {says[chosen]}\nnext: {first}glassmill plan {path}, then glassmill run {path}")


@app.command(rich_help_panel=SETUP)
def plan(recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = RUNS, as_json: Json = False) -> None:
    """Estimate what a recipe will take before it starts: bytes, tokens, parameters, FLOPs, memory, minutes."""
    read = loaded(recipe, overrides)
    notify("reading the recipe's inputs")
    from glassmill.commands.plan import make_plan, plan_table

    show_result(make_plan(read, runs, notify), as_json, plan_table)


@app.command(rich_help_panel=SETUP)
def doctor(runs: Runs = RUNS, as_json: Json = False) -> None:
    """Check what this machine can do, and what is missing."""
    from glassmill.commands.doctor import examine, health_table

    show_result(examine(runs), as_json, health_table)


@app.command(rich_help_panel=SETUP)
def clean(
    runs: Runs = RUNS,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="also runs that never finished")] = False,
    layers: Annotated[
        bool, typer.Option("--layers", help="also the texts that spare further corpus runs the reading")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="delete; without it, only show")] = False,
    as_json: Json = False,
) -> None:
    """Show, and with --yes delete, what no command needs any more: checkpoints of finished runs, scratch files."""
    from glassmill.commands.clean import clean as clean_runs
    from glassmill.commands.clean import clean_lines

    show_result(clean_runs(runs, unfinished, yes, layers), as_json, clean_lines)


@app.command(rich_help_panel=SETUP)
def lessons(
    number: Annotated[int | None, typer.Argument(help="of a lesson: shows its page", metavar="[NUMBER]")] = None,
    exercise: Annotated[
        bool, typer.Option("--exercise", help="write the stub of its exercise into this folder")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="test your file in this folder")] = False,
) -> None:
    """Learn how each stage works: eight lessons, each with an exercise and the tests that decide it."""
    from glassmill.commands import lessons as work

    if number is None:
        if exercise or check:
            raise UserError("which lesson? `glassmill lessons 1 --exercise`")
        show_result({"lessons": work.all_lessons()}, False, lambda found: work.lesson_table(found["lessons"]))
        return
    lesson = work.find_lesson(number)
    if exercise:
        print(f"wrote {work.begin(lesson, Path())}; fill it, then: glassmill lessons {number} --check")
    if check:
        result = work.check(lesson, Path())
        print("\n".join(work.checked_lines(result)))
        raise typer.Exit(1 if any(one["wrong"] is not None for one in result["tests"]) else 0)
    if not exercise:
        if sys.stdout.isatty():
            show_result({"page": lesson}, False, lambda found: work.lesson_page(found["page"]))
        else:
            print(lesson.page.read_text(encoding="utf-8"), end="")
