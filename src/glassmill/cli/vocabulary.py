"""`glassmill tokenizer`: run the stage of a recipe, train on text files, report on any tokenizer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import typer.core

from glassmill.cli.base import RUNS, Json, Overrides, RecipeArgument, Runs, run_recipe, show_report, show_result
from glassmill.errors import UserError
from glassmill.stages import stage_named


class _RecipeOr(typer.core.TyperGroup):
    """`glassmill tokenizer RECIPE` runs the stage, unless the word after `tokenizer` is one of its commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["make", *args])


vocabulary = typer.Typer(cls=_RecipeOr, help=f"{stage_named('tokenizer').help} Also: train, report, explain.")
Texts = Annotated[
    list[Path], typer.Argument(help=".txt, .jsonl, .parquet or WARC files, folders of them, a corpus run or its name")
]
TokenizerName = Annotated[
    str, typer.Argument(help="a tokenizer's folder or file, a run's name, or a known name", metavar="TOKENIZER")
]


@vocabulary.command("make")
def make_vocabulary(
    recipe: RecipeArgument, overrides: Overrides = None, runs: Runs = RUNS, as_json: Json = False
) -> None:
    """Run the stage of a recipe; the same as `glassmill tokenizer RECIPE`."""
    show_report(run_recipe(recipe, overrides, runs, until="tokenizer"), as_json)


@vocabulary.command("train")
def train_vocabulary(
    texts: Texts,
    out: Annotated[Path, typer.Option(help="the folder to write")],
    vocab_size: Annotated[int, typer.Option(help="ids, special tokens included; rounded up to 64")] = 32_768,
    pattern: Annotated[
        str, typer.Option(help="llama3, cl100k_base, o200k_base, gpt2, smollm, qwen2, whitespace, or a regex")
    ] = "llama3",
    tie_break: Annotated[
        str,
        typer.Option(
            help="which of equally frequent pairs is joined first: bytes (as rustbpe) or hf (as Hugging Face)"
        ),
    ] = "bytes",
    threads: Annotated[int, typer.Option(min=0, help="0: all cores")] = 0,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Train a vocabulary on text files, without a recipe."""
    from glassmill.commands.terminal import Screen
    from glassmill.commands.tokenizer import find_texts, train_from_files, training_table

    if tie_break not in ("bytes", "hf"):
        raise UserError(f"--tie-break {tie_break}: give bytes or hf")
    ties: Literal["bytes", "hf"] = "hf" if tie_break == "hf" else "bytes"
    with Screen() as screen:
        done = train_from_files(
            [find_texts(path, runs) for path in texts], out, vocab_size, pattern, ties, threads, screen
        )
    show_result(done, as_json, training_table)


@vocabulary.command("report")
def report_vocabulary(
    name: TokenizerName,
    texts: Texts,
    against: Annotated[
        str | None, typer.Option(help="a second tokenizer for the same text, such as cl100k_base")
    ] = None,
    runs: Runs = RUNS,
    max_megabytes: Annotated[float, typer.Option(min=0, help="read at most this much of each file")] = 20,
    as_json: Json = False,
) -> None:
    """Report bytes per token by language and domain, fertility, unused symbols, the compression curve."""
    from glassmill.commands.tokenizer import find_texts, find_tokenizer, report_on, report_tables

    other = find_tokenizer(against, runs) if against else None
    paths = [find_texts(path, runs) for path in texts]
    show_result(report_on(find_tokenizer(name, runs), paths, other, int(max_megabytes * 1e6)), as_json, report_tables)


@vocabulary.command("explain")
def explain_vocabulary(
    name: TokenizerName,
    text: Annotated[str, typer.Argument(help="the text to cut into tokens; - reads standard input")],
    runs: Runs = RUNS,
    as_json: Json = False,
) -> None:
    """Show how a text is cut into tokens: id, text, bytes, and why the text was cut there."""
    from glassmill.commands.tokenizer import explain, explanation_table, find_tokenizer

    given = sys.stdin.buffer.read().decode(errors="replace") if text == "-" else text
    show_result(explain(find_tokenizer(name, runs), given), as_json, explanation_table)
