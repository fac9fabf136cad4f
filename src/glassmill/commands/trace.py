"""`glassmill trace`: where a text stands word for word in a model's training documents, for people and as JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TypedDict

from glassmill.commands.terminal import plain
from glassmill.corpus.look.ways import in_brief
from glassmill.corpus.look.why import way_of
from glassmill.tokens.suffixes import FOLDER, build, is_built
from glassmill.trace.origins import Origin
from glassmill.trace.tracer import PageLine, Steps, Traced, Tracer

SECONDS_BETWEEN = 3.0
WHITE = re.compile(r"\s+")


class Built(TypedDict):
    """The index of a tokens run: where it is, and its size."""

    index: str
    tokens: int
    bytes: int


class TracedPage(PageLine):
    """A page, with its way through the filters in a few words; empty if the corpus is gone."""

    way: str


def build_index(origin: Origin, notify: Callable[[str], object]) -> None:
    """Makes the index, if there is none, and says so, every few seconds."""
    if is_built(origin.tokens):
        return
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > SECONDS_BETWEEN:
            told = time.monotonic()
            notify(f"{done:,} of {total:,} tokens sorted")

    notify(f"building the index of {origin.tokens}, once")
    build(origin.tokens, tell=tell)


def built(origin: Origin, notify: Callable[[str], object]) -> Built:
    """The index of a model's training ids, made if there is none."""
    build_index(origin, notify)
    folder = origin.tokens / FOLDER
    tokens = Tracer(origin).index.tokens
    return {"index": str(folder), "tokens": tokens, "bytes": sum(file.stat().st_size for file in folder.iterdir())}


def built_lines(result: Built) -> list[str]:
    """The index in one line."""
    return [f"{plain(result['index'])}: {result['bytes'] / 1e6:,.1f} MB for {result['tokens']:,} tokens"]


def trace(origin: Origin, text: str, pages: int, clear: bool, notify: Callable[[str], object]) -> Traced:
    """The stretches of `text`, with pages and their ways; personal data masked unless `clear`."""
    build_index(origin, notify)
    found = Tracer(origin).trace(text, pages, clear)
    for stretch in found["stretches"]:
        stretch["pages"] = [TracedPage(**page, way=_way(origin, page)) for page in stretch["pages"]]
    return found


def _way(origin: Origin, page: PageLine) -> str:
    return "" if origin.corpus is None else in_brief(way_of(origin.corpus, page["shard"], page["row"]))


def traced_lines(result: Traced) -> list[str]:
    """The stretches for people, each with its pages."""
    lines = [f"looked up in {result['training_tokens']:,} training tokens ({plain(result['tokens_run'])})"]
    if result["corpus"] is None:
        lines.append("the corpus run is gone: what matches is known, the pages' URLs are not")
    if result["others"]:
        lines.append(f"the training also read {plain(', '.join(result['others']))}: trace those by themselves")
    if not result["stretches"]:
        lines.append("no word of it stands in the training documents")
    for stretch in result["stretches"]:
        some = "" if stretch["all"] else "at least "
        where = f"{_number(stretch['count'], 'time')} in {some}{_number(stretch['documents'], 'document')}"
        lines.append(f"\n[bold]{_line(stretch['text'])}[/bold]  {where}, {stretch['bits']:.0f} bits")
        for page in stretch["pages"]:
            lines += _page_lines(page)
    return lines


def _page_lines(page: PageLine) -> list[str]:
    name = page["url"] or page["source"] or f"{page['shard']}, row {page['row']:,}"
    excerpt = f"{_line(page['before'])}[bold]{_line(page['text'])}[/bold]{_line(page['after'])}"
    facts = [str(page.get("way", "")), "" if page["steps"] is None else _steps(page["steps"])]
    return [f"  {plain(name)}", f"    … {excerpt} …", *(f"    {plain(fact)}" for fact in facts if fact)]


def _steps(steps: Steps) -> str:
    if not steps["count"]:
        return "no step of the training read it"
    more = f" and {steps['count'] - len(steps['first']):,} more" if steps["count"] > len(steps["first"]) else ""
    return f"read in step{'s' * (steps['count'] > 1)} {', '.join(f'{step:,}' for step in steps['first'])}{more}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _line(text: str) -> str:
    """Text of a page in one line."""
    return plain(WHITE.sub(" ", text))
