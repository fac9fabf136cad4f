"""What commands share: the application, common arguments and options, and how a result is shown.

Nothing heavy is imported in `cli` before a command runs: `--help` answers in under half a second.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from glassmill.recipe import Recipe

app = typer.Typer(
    name="glassmill",
    help="From raw web pages to a language model you can talk to, with every step open to look at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

RecipeArgument = Annotated[
    str, typer.Argument(help="a recipe file, or the name of a built-in one: demo, documents, web", metavar="RECIPE")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="settings, such as train.minutes=2", metavar="[KEY=VALUE]...")
]
Runs = Annotated[Path, typer.Option("--runs", help="the folder with all runs", envvar="GLASSMILL_RUNS")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")]
ModelArgument = Annotated[
    str, typer.Argument(help="a model folder, or a run's name such as sft/demo-3f9a1c", metavar="MODEL")
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 picks a free one")]
Host = Annotated[str, typer.Option("--host", help="any address but 127.0.0.1 needs an API key")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar="GLASSMILL_API_KEY", help="the key that clients must send")
]
AllowHost = Annotated[
    list[str] | None, typer.Option("--allow-host", help="a name by which clients call the server; may be repeated")
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", help="a web page that may use the API: https://app.example; may be repeated"),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="a setting, such as corpus.files.text_fields=body; may be repeated")
]
RunArgument = Annotated[str, typer.Argument(help="a corpus run: its folder, or a name such as corpus/demo-3f9a1c")]
RUNS = Path("runs")
WIDTH_OF_FILES = 240
"""Width of tables in a file or a pipe, in characters."""

COLLECT, LINE, LOOK, USE, SETUP = "Collect", "The line", "Look inside", "Use a model", "Before you start"


def loaded(recipe: str, overrides: list[str] | None) -> Recipe:
    """The recipe of that path or name, changed by `key=value` overrides."""
    from glassmill.recipe import find_recipe, load_recipe

    return load_recipe(find_recipe(recipe), overrides or [])


def run_recipe(recipe: str, overrides: list[str] | None, runs: Path, until: str | None) -> Mapping[str, object]:
    """Runs a recipe's stages up to `until`, shows their progress, and returns the report."""
    read = loaded(recipe, overrides)
    if until is not None:
        read = read.with_stage(until)
    notify("reading the recipe's inputs")
    from glassmill.commands.report import line_report
    from glassmill.commands.terminal import Screen
    from glassmill.pipeline import run_line

    with Screen() as screen:
        return line_report(run_line(read, runs, (screen,), until))


def model_path(model: str, runs: Path) -> Path:
    """The model's folder, found before torch is loaded, which takes seconds."""
    from glassmill.infer.find import find_model

    return find_model(model, runs)


def notify(text: str) -> None:
    """Says what a command is doing before it has a result to show."""
    print(f"{text} ...", file=sys.stderr, flush=True)


def run_path(path: Path | None, runs: Path, has: str) -> Path | None:
    """The folder of a run that has the file `has`, from its path or its name."""
    from glassmill.run.names import find_folder

    return path and find_folder(path, runs, lambda run: (run / has).is_file(), "run", f"has {has}")


def given_key(api_key: str | None) -> str | None:
    """The API key of option or environment; a variable that is set to nothing is a mistake, not the wish for no key."""
    return os.environ.get("GLASSMILL_API_KEY") if api_key is None else api_key


def tell_address(url: str) -> None:
    """Says where the page is, once it is open."""
    sys.stderr.write(f"{url}   the page; {url.rstrip('/')}/v1 is the OpenAI-compatible API. Ctrl-C stops the server.\n")


def show_report(report: Mapping[str, object], as_json: bool) -> None:
    """A line's report, or a part of one."""
    from glassmill.commands.terminal import report_tables

    show_result(report, as_json, report_tables)


def show_result(value: Mapping[str, object], as_json: bool, draw: Callable[[Any], Any]) -> None:
    """A command's result on standard output: as JSON, or as what `draw` makes of it for people."""
    if as_json:
        print(_json(value))
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    drawn = draw(value)
    for part in drawn if isinstance(drawn, list) else [drawn]:
        console.print(part, soft_wrap=isinstance(part, str))  # a command or a path in a line stays whole


def _json(value: object) -> str:
    """Readable JSON that no terminal obeys: unsafe characters as JSON's own escapes."""
    from glassmill.printable import printable
    from glassmill.run.files import finite

    text = json.dumps(finite(value), indent=1, ensure_ascii=False, default=str, allow_nan=False)
    if all(map(str.isprintable, text.split("\n"))):
        return text
    return "".join(c if c == "\n" or printable(c) == c else json.dumps(c)[1:-1] for c in text)
