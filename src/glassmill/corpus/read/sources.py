"""Input files to pages: WARC, WET and ARC, and every kind of file that a folder of documents holds.

In: paths. Out: for each file, `Page` and `Lost` in order. What cannot be read becomes a `Lost` with its cause; nothing
is skipped silently. A link that points outside its folder is not followed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.judge.web_address import MAX_URL_CHARACTERS
from glassmill.corpus.read.cut import Range, Source, of_input
from glassmill.corpus.read.files.archives import why_refused
from glassmill.corpus.read.files.kinds import OTHER, SUPPORTED, WARC, kind_of, unsupported
from glassmill.corpus.read.files.places import Bounds, Items, Place
from glassmill.corpus.read.files.reading import read_file
from glassmill.corpus.read.http import UNKNOWN_TYPES, Response, is_binary, parse_response, starts_like_html
from glassmill.corpus.read.warc import MAX_RECORD_BYTES, Record, read_records
from glassmill.errors import BodyError, UserError
from glassmill.recipe import FilesSettings
from glassmill.run.executors import Result, map_shards
from glassmill.run.inputs import input_files
from glassmill.run.stores.spool import copied, spooled
from glassmill.run.stores.stored import InputPath
from glassmill.run.worker import Link

HTML_TYPES = frozenset(("text/html", "application/xhtml+xml", "application/xhtml"))
XML_TYPES = frozenset(("text/xml", "application/xml"))
PDF_TYPE = "application/pdf"
PAGE_SCHEMES = frozenset(("http", "https", "ftp", "ftps", "sftp", "file", "gopher", "gemini"))
"""Crawlers write logs and more at others: `metadata://gnu.org/...`, `urn:X-wpull:log`, `dns:`, `screenshot:`."""
MAX_DATE_CHARACTERS = 64
"""Longer ones are no dates, as URLs over `MAX_URL_CHARACTERS` are no addresses: they would be hashed, split and stored
again and again."""
PROBE_CPU_S = 5.0
FILES_PROBED = 500

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?!\d{1,5}(?:/|\Z))")


def find_sources(words: Sequence[str], mapped: Callable[..., list[Result]] = map_shards) -> list[Source]:
    """The files that paths, folders and globs name. A file goes by its name, with folders where that is not unique.

    Args:
        mapped: Does what `map_shards` does.

    Raises:
        UserError: a word names no file, or none of the files can be read.
    """
    files = input_files(words)
    sources = [Source(one.path, one.name, one.size, one.refused) for one in files]
    problem = ""
    for begin in range(0, len(sources), FILES_PROBED):
        found = _first_problem(sources[begin : begin + FILES_PROBED], mapped)
        if found is None:
            return sources
        problem = problem or found
    more = f" (nor do the other {len(sources) - 1} inputs)" if len(sources) > 1 else ""
    raise UserError(f"no pages in input {sources[0].path}: {problem}{more}; give {SUPPORTED}")


def _first_problem(sources: Sequence[Source], mapped: Callable[..., list[Result]]) -> str | None:
    """Why the first of them cannot be read, if none can be; None as soon as one can.

    What must be opened for that is opened in a supervised child: nobody knows what it holds.
    """
    problem, unknown = "", []
    for source in sources:
        cause, is_certain = _why_unreadable(source)
        if is_certain and not cause:
            return None
        problem = problem or cause
        if not is_certain:
            unknown.append(source)
    if unknown:
        task = {"inputs": [source.as_input() for source in unknown]}
        (result,) = mapped(f"{__name__}:{probe.__name__}", [task], 1, cpu_limit_s=PROBE_CPU_S)
        if result["problem"] is None:
            return None
        problem = result["problem"] if unknown[0] is sources[0] else problem
    return problem


def _why_unreadable(source: Source) -> tuple[str, bool]:
    """Why it cannot be read, as far as its name and size tell, and whether that is all there is to know."""
    if source.refused or source.size == 0:
        return source.refused or "empty file", True
    kind = kind_of(source.path)
    if kind == OTHER:
        return unsupported(source.path.name), True
    return "", kind not in ("archive", WARC)


class ProbeTask(TypedDict):
    """What a task carries of archives; `skip` as everywhere."""

    inputs: list[list[object]]
    skip: NotRequired[list[tuple[int, str]]]


def probe(task: ProbeTask, link: Link) -> dict[str, str | None]:
    """Why the first of some archives cannot be read, if none can be: looks at the first record or member of each."""
    skipped = dict(task.get("skip", []))
    problem = ""
    for position, given in enumerate(task["inputs"]):
        link.mark(position)
        cause = skipped.get(position) or _first_record_problem(of_input(given).path)
        if not cause:
            return {"problem": None}
        problem = problem or cause
    return {"problem": problem}


def _first_record_problem(path: InputPath) -> str:
    kind = kind_of(path)
    with at_hand(path, Range() if kind == WARC else None) as here:
        if kind == "archive":
            return why_refused(here, FilesSettings())
        first = next(iter(read_records(here)), None)
    is_none = isinstance(first, Lost) and first.cause.startswith(("not a WARC", "no WARC version line"))
    return first.cause if is_none and isinstance(first, Lost) else ""


def read_sources(
    inputs: Sequence[Sequence[object]],
    skip: Sequence[tuple[int, str]],
    max_record_bytes: int,
    files: FilesSettings,
    part: Range | None = None,
) -> Iterator[tuple[Source, Page | Lost]]:
    """The contents of a shard's inputs, one after the other, without the items that crashed a worker before.

    Args:
        inputs: What a task carries of each `Source`.
        skip: Position among all that is read here, from 0, and cause (see `run.executors.map_shards`). A page whose
            position is listed comes as a `Lost`; if it is listed twice, merely reading it ended the process, so
            its file ends before it.
        part: Of the only input, which of its records are read; filled where there is more to know of it.
    """
    causes, times = dict(skip), Counter(position for position, _ in skip)
    position = 0
    for given in inputs:
        source, offset = of_input(given), 0
        items = read_source(source, max_record_bytes, files, part)
        while times[position] < 2 and (item := next(items, None)) is not None:
            is_skipped = position in causes and isinstance(item, Page)
            yield source, Lost(item.offset, causes[position], item.url) if is_skipped else item
            position, offset = position + 1, item.offset
        if times[position] > 1:
            yield source, Lost(offset, f"the rest of the file cannot be read: {causes[position]}")
            position += 1


def read_source(
    source: Source, max_record_bytes: int, files: FilesSettings, part: Range | None = None
) -> Iterator[Page | Lost]:
    """The contents of one source; a refused one is reported and not opened."""
    if source.refused:
        yield Lost(0, source.refused)
    else:
        yield from read_pages(source.path, source.name, max_record_bytes, files, part)


def read_pages(
    path: InputPath,
    name: str,
    max_record_bytes: int = MAX_RECORD_BYTES,
    files: FilesSettings = FilesSettings(),  # noqa: B008 (immutable)
    part: Range | None = None,
) -> Iterator[Page | Lost]:
    """The contents of one input file, or of a part of it."""
    kind = kind_of(path)
    with at_hand(path, part) as here:
        yield from _within_limits(_read(here, kind, Place(name, name), Bounds(files, max_record_bytes, _read, part)))


@contextmanager
def at_hand(path: InputPath, part: Range | None) -> Iterator[Path]:
    """The file where readers of local files can read it: one of a store as a copy, or as what they read of the part."""
    if isinstance(path, Path):
        yield path
    elif part is None:
        with copied(path) as here:
            yield here
    else:
        with spooled(path, part.end) as filled:
            yield cast("Path", filled)  # the readers of parts open and map it, and ask for its size


def _within_limits(items: Items) -> Iterator[Page | Lost]:
    for item in items:
        if len(item.url) > MAX_URL_CHARACTERS:
            cause = f"URL too long: {len(item.url)} characters, over the limit of {MAX_URL_CHARACTERS}"
            yield Lost(item.offset, item.cause if isinstance(item, Lost) else cause, item.url[:MAX_URL_CHARACTERS])
        elif isinstance(item, Page) and len(item.date) > MAX_DATE_CHARACTERS:
            yield replace(item, date=item.date[:MAX_DATE_CHARACTERS])
        else:
            yield item


def _read(path: Path, kind: str, place: Place, bounds: Bounds) -> Items:
    if kind == WARC:
        for record in read_records(path, max_record_bytes=bounds.max_bytes, part=bounds.part):
            yield record if isinstance(record, Lost) else _page_of(record, place.name, bounds.files)
    elif kind == OTHER:
        yield place.lost(unsupported(path.name) if path.stat().st_size else "empty file")
    else:
        yield from read_file(path, kind, place, bounds)


def _page_of(record: Record, source: str, files: FilesSettings) -> Page | Lost:
    headers, url = record.headers, record.url
    date = headers.get("warc-date", "")
    if not _is_address_of_a_page(url):
        kind = f"a crawler's own record ({headers.get('content-type', '').partition(';')[0][:60]})"
        return Page(url, b"", source, record.offset, "other", kind, date=date)
    if record.type == "conversion":
        return Page(url, record.block, source, record.offset, "text", "text/plain", "utf-8", date=date)
    try:
        response = parse_response(record.block)
    except BodyError as error:
        return Lost(record.offset, str(error), url)
    if record.type == "resource" and not response.content_types:
        response.content_types = [headers.get("content-type", "")]
    media_type = _media_type_of(response, headers.get("warc-identified-payload-type", "").lower())
    kind = "other"
    if media_type in HTML_TYPES:
        kind = "html"
    elif record.type == "resource" and media_type == "text/plain":
        kind = "text"
    elif media_type == PDF_TYPE and files.pdf_responses:
        kind = "pdf"
    if kind in ("html", "text") and is_binary(response.body):
        return Lost(record.offset, f"binary data announced as {media_type}", url)
    return Page(url, response.body, source, record.offset, kind, media_type, response.charset, response.status, date)


def _is_address_of_a_page(url: str) -> bool:
    """Not that of a log, an argument list, a DNS answer or a screenshot, which crawlers keep among the pages."""
    scheme = _SCHEME.match(url)
    return not scheme or scheme[1].lower() in PAGE_SCHEMES


def _media_type_of(response: Response, identified: str) -> str:
    """What the page is: HTML where the server says so, else what the crawler found out, the server says, or we see."""
    stated = response.media_type
    start = response.body[:1024].lstrip()
    if start.startswith(b"%PDF-"):
        return PDF_TYPE  # whatever the server said
    if stated in HTML_TYPES:
        return stated
    if not identified and stated in UNKNOWN_TYPES:
        return "text/html" if starts_like_html(response.body) else "application/octet-stream"
    if stated in XML_TYPES and b"<html" in start.lower():
        return "application/xhtml+xml"
    return identified or stated
