"""Commands before the line: own files, Common Crawl, an own site, lists of hosts, a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from glassmill.cli.base import COLLECT, RUNS, Json, Runs, SetOption, app, show_result


@app.command(rich_help_panel=COLLECT)
def add(
    paths: Annotated[list[str], typer.Argument(help="files, folders or globs", metavar="PATH...")],
    name: Annotated[str | None, typer.Option(help="names the run folder; default: after the first path")] = None,
    settings: SetOption = None,
    runs: Runs = RUNS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="make the documents without asking")] = False,
    as_json: Json = False,
) -> None:
    """Your own files: an inventory first, then documents with provenance for a recipe's corpus.inputs.

    HTML, Markdown, text, PDF, DOCX, EPUB, JSONL, Parquet, WARC, WET, ARC, and zip or tar of them.
    """
    from glassmill.commands.add import add_files, inventory_tables, made_lines
    from glassmill.commands.terminal import Screen

    def show(inventory: dict[str, Any]) -> None:
        if not as_json:
            show_result(inventory, False, inventory_tables)

    screen = Screen()
    result = add_files(paths, name, runs, settings or [], yes, show, (screen,))
    if as_json:
        show_result(result, True, made_lines)
    else:
        print("\n".join(made_lines(result)))


@app.command(rich_help_panel=COLLECT)
def fetch(
    crawl: Annotated[str, typer.Argument(help="such as CC-MAIN-2024-22", metavar="CRAWL")],
    files: Annotated[int, typer.Option(min=1, help="how many; each about 1 GB")] = 1,
    out: Annotated[Path, typer.Option(help="folder for the crawl's folder")] = Path("pages"),
    base_url: Annotated[str | None, typer.Option(help="another place with the same layout")] = None,
    settings: SetOption = None,
    as_json: Json = False,
) -> None:
    """WARC files of Common Crawl; a second call goes on where the first was cut off."""
    from glassmill.commands.collect import fetch_files, fetched_lines

    words = [*(settings or []), f"fetch.files={files}", *([f"fetch.base_url={base_url}"] if base_url else [])]
    show_result(fetch_files(crawl, words, out), as_json, fetched_lines)


@app.command(rich_help_panel=COLLECT)
def crawl(
    url: Annotated[str, typer.Argument(help="the first page of a site of your own", metavar="URL")],
    out: Annotated[Path, typer.Option(help="folder for the site's folder")] = Path("pages"),
    allow_private: Annotated[bool, typer.Option("--allow-private", help="addresses that are not public, too")] = False,
    again: Annotated[bool, typer.Option("--again", help="ask again for pages that are there")] = False,
    settings: SetOption = None,
    as_json: Json = False,
) -> None:
    """Your own site as WARC files, politely: robots.txt, sitemaps, one page at a time, within limits."""
    from glassmill.commands.collect import crawl_site, crawled_lines

    show_result(crawl_site(url, settings or [], out, allow_private, again), as_json, crawled_lines)


@app.command(rich_help_panel=COLLECT)
def lists(
    out: Annotated[Path, typer.Option(help="folder of the lists")] = Path("lists/ut1"),
    category: Annotated[list[str] | None, typer.Option(help="may be repeated; default: seven of them")] = None,
    source: Annotated[
        str, typer.Option("--from", help="upstream, or datatrove: FineWeb's copy, out of a package that pip fetches")
    ] = "upstream",
    settings: SetOption = None,
    as_json: Json = False,
) -> None:
    """UT1's lists of unwanted hosts (CC BY-SA), installed or updated, for corpus.url.blocklists."""
    from glassmill.commands.collect import installed_lines, installed_lists

    show_result(installed_lists(source, category or [], settings or [], out), as_json, installed_lines)


classifier = typer.Typer(help="A quality classifier from your own good and bad examples.", no_args_is_help=True)
app.add_typer(classifier, name="classifier", rich_help_panel=COLLECT)


@classifier.command("train")
def classifier_train(
    good: Annotated[str, typer.Argument(help="file, folder, glob or run of texts that are wanted")],
    bad: Annotated[str, typer.Argument(help="the same, not wanted")],
    out: Annotated[Path, typer.Argument(help="folder to write")],
    settings: SetOption = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """A linear model over words and pairs of words; for corpus.classifier.path and min_score."""
    from glassmill.commands.collect import trained, trained_lines

    show_result(trained(good, bad, out, settings or [], seed), as_json, trained_lines)
