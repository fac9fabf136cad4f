"""The commands `fetch`, `crawl`, `lists` and `classifier`: progress on standard error, results for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glassmill.collect.fetch import FetchResult, fetch
from glassmill.collect.lists import ListsResult, install_from_wheel, install_lists
from glassmill.commands.terminal import plain, size
from glassmill.errors import UserError
from glassmill.recipe import make_recipe

if TYPE_CHECKING:
    from glassmill.collect.crawl import CrawlResult
    from glassmill.collect.examples import ClassifierReport

SECONDS_BETWEEN_LINES = 5.0


def fetch_files(crawl: str, overrides: Sequence[str], out: Path) -> FetchResult:
    """Downloads, with progress on standard error. See `glassmill.collect.fetch`."""
    last = time.monotonic()

    def on_progress(name: str, have: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            _notify(f"{name}: {size(have)} of {size(total) if total else 'unknown'}")

    return fetch(crawl, make_recipe({}, overrides).fetch, out, _notify, on_progress)


def fetched_lines(result: FetchResult) -> list[str]:
    """What was fetched, and the next step."""
    left_out = f", {result['left_out']} left out by the byte budget" if result["left_out"] else ""
    folder = plain(result["folder"])
    return [
        f"{len(result['files']):,} of {result['listed']:,} files, {size(result['bytes'])}, in {folder}{left_out}",
        f"next: glassmill init mine.toml --input {folder}",
    ]


def crawl_site(url: str, overrides: Sequence[str], out: Path, allow_private: bool, again: bool) -> CrawlResult:
    """Crawls, with progress on standard error. See `glassmill.collect.crawl`."""
    from glassmill.collect.addresses import EVERYWHERE
    from glassmill.collect.crawl import crawl

    settings = make_recipe({}, overrides).crawl
    if allow_private:
        settings = settings.model_copy(update={"private_networks": EVERYWHERE})
    last = time.monotonic()

    def on_page(page: str, pages: int, count: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            _notify(f"{pages:,} pages, {size(count)}; now {page}")

    return crawl(url, settings, out, again, on_page)


def crawled_lines(result: CrawlResult) -> list[str]:
    """What was crawled, and the next step."""
    folder = plain(result["folder"])
    failed = f"; {len(result['failures'])} failed, first {plain(result['failures'][0])}" if result["failures"] else ""
    refused = f"; refused: {plain(', '.join(result['refused'][:3]))}" if result["refused"] else ""
    return [
        f"{result['pages']:,} pages ({result['new_pages']:,} new), {size(result['bytes'])}, in {folder};"
        f" ended: {result['reason']}{failed}{refused}",
        f"next: glassmill init mine.toml --input {folder}",
    ]


def installed_lists(source: str, categories: Sequence[str], overrides: Sequence[str], out: Path) -> ListsResult:
    """Installs UT1's lists. See `glassmill.collect.lists`.

    Raises:
        UserError: `source` is neither upstream nor datatrove.
    """
    if source == "datatrove":
        if categories or overrides:
            raise UserError("--from datatrove has a single list; leave out categories and settings")
        return install_from_wheel(out, _notify)
    if source != "upstream":
        raise UserError(f"--from {source}: use upstream or datatrove")
    chosen = [f"lists.categories={','.join(categories)}"] if categories else []
    return install_lists(make_recipe({}, [*overrides, *chosen]).lists, out, _notify)


def installed_lines(result: ListsResult) -> list[str]:
    """What is installed, and the setting that uses it."""
    folder = plain(result["folder"])
    lines = [
        f"{folder}/{name}: {', '.join(f'{count:,} {kind}' for kind, count in numbers.items())}"
        for name, numbers in result["lists"].items()
    ]
    source = f"{result['author']}, {result['licence']}; see {folder}/ATTRIBUTION.txt"
    return [*lines, f"made by the {source}", f"use them with: corpus.url.blocklists={folder}"]


def trained(good: str, bad: str, out: Path, overrides: Sequence[str], seed: int) -> ClassifierReport:
    """Trains a classifier. See `glassmill.collect.examples`."""
    from glassmill.collect.examples import train_classifier

    return train_classifier([good], [bad], out, make_recipe({}, overrides).corpus, seed)


def trained_lines(result: ClassifierReport) -> list[str]:
    """How well the classifier separates the two sides, and what each minimum score would keep."""
    passages, path = result["passages"], plain(result["path"])
    lines = [
        f"{passages['good']:,} good, {passages['bad']:,} bad passages; on the held-out tenth: AUC {result['auc']:.3f}, "
        f"accuracy {result['accuracy']:.1%}"
    ]
    lines += [
        f"min_score {row['min_score']:.6f} keeps {row['good_kept']:.0%} of the good, {row['bad_kept']:.1%} of the bad"
        for row in result["thresholds"]
    ]
    return [*lines, f"use it with: corpus.classifier.path={path} corpus.classifier.min_score=..."]


def _notify(text: str) -> None:
    sys.stderr.write(f"{text}\n")
