"""Input files to pages: WARC, WET and ARC, and every kind of file that a folder of documents holds.

In: paths. Out: for each file, `Page` and `Lost` in order. What cannot be read becomes a `Lost` with its cause; nothing
is skipped silently. A link that points outside its folder is not followed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.files.archives import why_refused
from glassmill.corpus.read.files.kinds import CONTAINERS, OTHER, SUPPORTED, WARC, kind_of, unsupported
from glassmill.corpus.read.files.places import Bounds, Items, Place
from glassmill.corpus.read.files.reading import read_file
from glassmill.corpus.read.http import UNKNOWN_TYPES, Response, is_binary, parse_response, starts_like_html
from glassmill.corpus.read.warc import MAX_RECORD_BYTES, Record, read_records
from glassmill.errors import BodyError, UserError
from glassmill.recipe import FilesSettings
from glassmill.run.inputs import input_files

HTML_TYPES = frozenset(("text/html", "application/xhtml+xml", "application/xhtml"))
XML_TYPES = frozenset(("text/xml", "application/xml"))
PDF_TYPE = "application/pdf"
PAGE_SCHEMES = frozenset(("http", "https", "ftp", "ftps", "sftp", "file", "gopher", "gemini"))
"""Crawlers write logs and more at others: `metadata://gnu.org/...`, `urn:X-wpull:log`, `dns:`, `screenshot:`."""
FILES_PER_SHARD = 500
BYTES_PER_SHARD = 64 << 20

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?!\d{1,5}(?:/|\Z))")


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, the name it goes by in the corpus, its size in bytes, and why it must not be read, if so."""

    path: Path
    name: str
    size: int
    refused: str = ""

    @property
    def is_archive(self) -> bool:
        return not self.refused and kind_of(self.path) in CONTAINERS


def find_sources(words: Sequence[str]) -> list[Source]:
    """The files that paths, folders and globs name. A file goes by its name, with folders where that is not unique.

    Raises:
        UserError: a word names no file, or none of the files can be read.
    """
    files = input_files(words)
    sources = [Source(file.path, file.name, file.path.stat().st_size, file.refused) for file in files]
    problems = [problem for source in sources if (problem := _why_unreadable(source))]
    if len(problems) == len(sources):
        more = f" (nor do the other {len(problems) - 1} inputs)" if len(problems) > 1 else ""
        raise UserError(f"no pages in input {sources[0].path}: {problems[0]}{more}; give {SUPPORTED}")
    return sources


def _why_unreadable(source: Source) -> str | None:
    if source.refused or source.size == 0:
        return source.refused or "empty file"
    kind = kind_of(source.path)
    if kind == OTHER:
        return unsupported(source.path.name)
    if kind == "archive" and (cause := why_refused(source.path, FilesSettings())):
        return cause
    if kind == WARC and (first := next(iter(read_records(source.path)), None)) and isinstance(first, Lost):
        return first.cause if first.cause.startswith(("not a WARC", "no WARC version line")) else None
    return None


def group(sources: Sequence[Source]) -> list[list[Source]]:
    """The sources by shard: an archive is a shard of its own, other files share shards in the order given."""
    shards: list[list[Source]] = []
    gathered: list[Source] = []
    for source in sources:
        if source.is_archive:
            shards.append([source])
            continue
        if len(gathered) >= FILES_PER_SHARD or sum(one.size for one in gathered[-FILES_PER_SHARD:]) > BYTES_PER_SHARD:
            shards.append(gathered)
            gathered = []
        gathered.append(source)
    return [*shards, gathered] if gathered else shards


def read_sources(
    inputs: Sequence[Sequence[str]],
    skip: Sequence[tuple[int, str]],
    max_record_bytes: int,
    files: FilesSettings,
) -> Iterator[tuple[Source, Page | Lost]]:
    """The contents of a shard's inputs, one after the other, without the items that crashed a worker before.

    Args:
        inputs: Of each file its path, its name, and why it must not be read, if so: what a task carries of a `Source`.
        skip: Position among all that is read here, from 0, and cause (see `run.executors.map_shards`). A page whose
            position is listed comes as a `Lost`; if it is listed twice, merely reading it ended the process, so
            its file ends before it.
    """
    causes, times = dict(skip), Counter(position for position, _ in skip)
    position = 0
    for path, name, *refused in inputs:
        source, offset = Source(Path(path), name, 0, *refused), 0
        items = read_source(source, max_record_bytes, files)
        while times[position] < 2 and (item := next(items, None)) is not None:
            is_skipped = position in causes and isinstance(item, Page)
            yield source, Lost(item.offset, causes[position], item.url) if is_skipped else item
            position, offset = position + 1, item.offset
        if times[position] > 1:
            yield source, Lost(offset, f"the rest of the file cannot be read: {causes[position]}")
            position += 1


def read_source(source: Source, max_record_bytes: int, files: FilesSettings) -> Iterator[Page | Lost]:
    """The contents of one source; a refused one is reported and not opened."""
    if source.refused:
        yield Lost(0, source.refused)
    else:
        yield from read_pages(source.path, source.name, max_record_bytes, files)


def read_pages(
    path: Path,
    name: str,
    max_record_bytes: int = MAX_RECORD_BYTES,
    files: FilesSettings = FilesSettings(),  # noqa: B008 (immutable)
) -> Iterator[Page | Lost]:
    """The contents of one input file."""
    yield from _read(path, kind_of(path), Place(name, name), Bounds(files, max_record_bytes, _read))


def _read(path: Path, kind: str, place: Place, bounds: Bounds) -> Items:
    if kind == WARC:
        for record in read_records(path, max_record_bytes=bounds.max_bytes):
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
