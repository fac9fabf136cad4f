"""One file of a folder to pages, whatever its kind; archives and letters are opened, nested at most three deep.

In: a path and its kind. Out: `Page` and `Lost`. HTML is passed on as it is, because finding its main content is
extraction; every other kind comes as text, a long document in pieces that are cut at its own sections. What has no
URL gets its place as one: `notes.zip/letters/june.txt`, `rows.jsonl#12`, `manual.pdf#page=12`.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from glassmill.corpus.document import Page
from glassmill.corpus.read.files import mail, office, opendocument, plain, rtf, sheets, structured
from glassmill.corpus.read.files.archives import DAMAGE
from glassmill.corpus.read.files.containers import CONTAINED
from glassmill.corpus.read.files.errors import UNJUDGED, cause_of
from glassmill.corpus.read.files.kinds import SAMPLE, is_text
from glassmill.corpus.read.files.places import Bounds, Items, Place
from glassmill.corpus.read.files.sections import Section, pieces, sections_of_lines
from glassmill.corpus.read.files.tables import Row, csv_rows, json_rows, jsonl_rows, parquet_rows
from glassmill.errors import RefusedError, UnreadableError
from glassmill.recipe import FilesSettings

MAX_DEPTH = 3
NOT_TEXT = "not text: the file holds binary data"
MARKUPS = ("text", "markdown", "rst", "asciidoc", "latex", "man", "texinfo", "org", "wiki", "code")
MAX_RTF_BYTES = 256 << 20
LEAST_CHARACTERS = 64 << 20
"""A file may always give so many characters, however small it is."""
UNREADABLE = (*UNJUDGED, *DAMAGE, lzma.LZMAError, struct.error, SyntaxError, AttributeError, AssertionError)
"""What readers of foreign formats raise on files that nobody thought of."""

Sections = Iterator[Section]


def _pdf(path: Path, files: FilesSettings) -> Sections:
    from glassmill.corpus.read.files.pdf import pdf_sections

    return pdf_sections(path)


SECTIONS: dict[str, Callable[[Path, FilesSettings], Sections]] = {
    "pdf": _pdf,
    "docx": office.docx_sections,
    "pptx": office.pptx_sections,
    "odf": opendocument.odf_sections,
    "xlsx": sheets.xlsx_sections,
    "rtf": lambda path, files: rtf.rtf_sections(_content(path, MAX_RTF_BYTES)),
    "csv": lambda path, files: plain.rows_sections(plain.csv_lines(path)),
    "json": lambda path, files: plain.markup_sections(path, "code"),
    "xml": lambda path, files: structured.xml_sections(path),
    "subtitles": lambda path, files: plain.subtitle_sections(path),
    "ipynb": lambda path, files: structured.notebook_sections(path),
}
"""Kinds of which one file is one document, and their readers; further those of `MARKUPS`."""


def read_file(path: Path, kind: str, place: Place, bounds: Bounds) -> Items:
    """The pages of one file of any kind but WARC."""
    try:
        if path.stat().st_size == 0:
            yield place.lost("empty file")
        elif kind in CONTAINED:
            if place.depth >= MAX_DEPTH:
                yield place.lost(f"archives nested more than {MAX_DEPTH} deep")
            else:
                yield from CONTAINED[kind](path, place, bounds)
        elif kind == "html":
            yield _html(_content(path, bounds.max_bytes), None, place)
        elif kind == "mhtml":
            yield _html(*mail.page_of_mhtml(_content(path, bounds.max_bytes)), place)
        elif kind == "epub":
            for number, (chapter, content) in enumerate(office.epub_chapters(path, bounds.files)):
                url = f"{place.name}/{chapter}"
                yield Page(url, content, place.source, place.offset + number, "html", "text/html", "utf-8")
        elif (rows := _rows(path, kind, bounds)) is not None:
            for row in rows:
                yield from _row(row, place, bounds.files)
        else:
            yield from documents_of(_sections(path, kind, bounds), place, bounds.files)
    except (UnreadableError, RefusedError) as error:
        yield place.lost(str(error))
    except UNREADABLE as error:
        yield place.lost(f"{kind} file cannot be read: {cause_of(error)}"[:300])


def documents_of(sections: Sections, place: Place, files: FilesSettings, date: str = "") -> Iterator[Page]:
    """A document as pages of text: one, or several if it is longer than a page may be."""
    sign = "&" if "#" in place.name else "#"
    for number, piece in enumerate(pieces(sections, files.split_characters)):
        if number == 0 or piece.text.strip():
            url = f"{place.name}{sign}{piece.anchor}" if piece.anchor else place.name
            body = piece.text.encode("utf-8", "replace")
            yield Page(
                url, body, place.source, place.offset, "text", "text/plain", "utf-8", date=date, section=piece.title
            )


def _sections(path: Path, kind: str, bounds: Bounds) -> Sections:
    """The document's sections, as long as they do not grow beyond all measure."""
    size = path.stat().st_size
    if not bounds.files.split_characters:
        _check_size(size, bounds.max_bytes)
    most = max(LEAST_CHARACTERS, int(bounds.files.max_ratio * size))
    sections = SECTIONS[kind](path, bounds.files) if kind in SECTIONS else plain.markup_sections(path, kind)
    for section in sections:
        most -= len(section.text)
        if most < 0:
            raise RefusedError(f"refused: its text is more than {bounds.files.max_ratio:g} times as large as the file")
        yield section


def _rows(path: Path, kind: str, bounds: Bounds) -> Iterator[Row] | None:
    """The rows of a table in which each row is a document; None for other files."""
    files = bounds.files
    if kind == "jsonl":
        with path.open("rb") as file:
            start = file.read(SAMPLE)
        if not start.startswith(b"\x1f\x8b") and not is_text(start):
            raise UnreadableError(NOT_TEXT)
        return jsonl_rows(path, files, bounds.max_bytes, bounds.part)
    if kind == "parquet":
        return parquet_rows(path, files, bounds.max_bytes, bounds.part)
    if kind == "csv":
        return csv_rows(path, files)
    return json_rows(path, files) if kind == "json" else None


def _row(row: Row, place: Place, files: FilesSettings) -> Items:
    url = row.url or f"{place.name}#{row.number}"
    one = Place(url, row.source or place.name, row.place if row.offset is None else row.offset)
    if row.cause:
        yield one.lost(row.cause)
    elif row.is_whole:
        body = row.text.encode("utf-8", "replace")
        yield Page(url, body, one.source, one.offset, "text", "text/plain", "utf-8", date=row.date, section=row.section)
    else:
        yield from documents_of(sections_of_lines(row.text.splitlines(keepends=True)), one, files, row.date)


def _html(content: bytes, charset: str | None, place: Place) -> Page:
    if not is_text(content[:SAMPLE]):
        raise UnreadableError(NOT_TEXT)
    return Page(place.name, content, place.source, place.offset, "html", "text/html", charset)


def _content(path: Path, most: int) -> bytes:
    _check_size(path.stat().st_size, most)
    return path.read_bytes()


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise UnreadableError(f"file too large: {size} bytes, over the limit of {most}")
