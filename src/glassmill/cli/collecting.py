"""Commands before the line: your own files, Common Crawl, your own site, lists of hosts, a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from glassmill.cli.base import COLLECT, RUNS, Json, Runs, SetOption, app, show_result


@app.command(rich_help_panel=COLLECT)
def add(
    paths: Annotated[list[str], typer.Argument(help="files, folders or globs", metavar="PATH...")],
    name: Annotated[str | None, typer.Option(help="name of the run folder; default: after the first path")] = None,
    settings: SetOption = None,
    runs: Runs = RUNS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="make the documents without asking")] = False,
    as_json: Json = False,
) -> None:
    """Add your own files: an inventory first, then documents with provenance for a recipe's corpus.inputs.

    Text, markup and source code, HTML, PDF, DOCX, PPTX, XLSX, ODT, ODS, ODP, RTF, EPUB, EML, MSG, MBOX, MHTML, IPYNB,
    CSV, JSON, XML, SRT, JSONL, Parquet, WARC, WET, ARC, and zip, tar or gzip of them.
    """
    from glassmill.commands.add import add_files, inventory_tables, made_lines
    from glassmill.commands.terminal import Screen

    def show(inventory: Mapping[str, object]) -> None:
        if not as_json:
            show_result(inventory, False, inventory_tables)

    screen = Screen()
    result = add_files(paths, name, runs, settings or [], yes, show, (screen,))
    show_result(result, as_json, made_lines)


@app.command(rich_help_panel=COLLECT)
def fetch(
    crawl: Annotated[str, typer.Argument(help="such as CC-MAIN-2024-22", metavar="CRAWL")],
    files: Annotated[int, typer.Option(min=1, help="number of files, about 1 GB each")] = 1,
    out: Annotated[Path, typer.Option(help="folder for the crawl's folder")] = Path("pages"),
    base_url: Annotated[str | None, typer.Option(help="a mirror with the same layout")] = None,
    settings: SetOption = None,
    as_json: Json = False,
) -> None:
    """Fetch WARC files of Common Crawl; run it again to continue an interrupted download."""
    from glassmill.commands.collect import fetch_files, fetched_lines

    overrides = [*(settings or []), f"fetch.files={files}", *([f"fetch.base_url={base_url}"] if base_url else [])]
    show_result(fetch_files(crawl, overrides, out), as_json, fetched_lines)


@app.command(rich_help_panel=COLLECT)
def crawl(
    url: Annotated[str, typer.Argument(help="the first page of your own site", metavar="URL")],
    out: Annotated[Path, typer.Option(help="folder for the site's folder")] = Path("pages"),
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="also crawl addresses that are not public")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="fetch pages again that are already there")] = False,
    settings: SetOption = None,
    as_json: Json = False,
) -> None:
    """Crawl your own site into WARC files, politely: robots.txt, sitemaps, one page at a time, within limits."""
    from glassmill.commands.collect import crawl_site, crawled_lines

    show_result(crawl_site(url, settings or [], out, allow_private, again), as_json, crawled_lines)


@app.command(rich_help_panel=COLLECT)
def lists(
    out: Annotated[Path, typer.Option(help="folder of the lists")] = Path("lists/ut1"),
    category: Annotated[list[str] | None, typer.Option(help="may be repeated; default: seven categories")] = None,
    source: Annotated[
        str, typer.Option("--from", help="upstream, or datatrove: FineWeb's copy, from a package that pip downloads")
    ] = "upstream",
    settings: SetOption = None,
    as_json: Json = False,
) -> None:
    """Install or update UT1's lists of unwanted hosts (CC BY-SA), for corpus.url.blocklists."""
    from glassmill.commands.collect import installed_lines, installed_lists

    show_result(installed_lists(source, category or [], settings or [], out), as_json, installed_lines)


classifier = typer.Typer(help="Train a quality classifier on your own good and bad examples.", no_args_is_help=True)
app.add_typer(classifier, name="classifier", rich_help_panel=COLLECT)


@classifier.command("train")
def classifier_train(
    good: Annotated[str, typer.Argument(help="a file, folder, glob or run with texts to keep")],
    bad: Annotated[str, typer.Argument(help="the same, with texts to drop")],
    out: Annotated[Path, typer.Argument(help="the folder to write")],
    settings: SetOption = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Train a linear model over words and pairs of words, for corpus.classifier.path and min_score."""
    from glassmill.commands.collect import trained, trained_lines

    show_result(trained(good, bad, out, settings or [], seed), as_json, trained_lines)
