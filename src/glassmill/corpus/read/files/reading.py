"""One file of a folder to pages, whatever its kind; archives are opened, nested at most three deep.

In: a path and its kind. Out: `Page` and `Lost`. A PDF or DOCX is passed on as it is, with its kind: turning it into
text is extraction, done where a page that hangs can be quarantined. What has no URL gets its place as one:
`notes.zip/letters/june.txt`, `rows.jsonl#12`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

from glassmill.corpus.document import Lost, Page
from glassmill.corpus.read.files.archives import Member, members_of, read_limited, unpacked
from glassmill.corpus.read.files.kinds import OTHER, kind_of_name
from glassmill.corpus.read.files.office import docx_to_text, epub_chapters
from glassmill.corpus.read.files.tables import jsonl_rows, parquet_rows
from glassmill.errors import RefusedError, UnreadableError
from glassmill.recipe import FilesSettings

MAX_DEPTH = 3
WHOLE = {
    "html": "text/html",
    "text": "text/plain",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
"""Kinds of which one file is one page, and their media types."""

Items = Iterator[Page | Lost]
Reader = Callable[[Path, str, int, FilesSettings], Items]


def read_file(
    path: Path, kind: str, name: str, settings: FilesSettings, max_bytes: int, reader: Reader, depth: int = 0
) -> Items:
    """The pages of one file.

    Args:
        name: What the file is called in the corpus.
        max_bytes: Of one page; a larger one is reported instead.
        reader: Reads the kinds that this module does not (WARC), found inside an archive.
    """
    try:
        if kind in WHOLE:
            yield _whole(path, kind, name, max_bytes)
        elif kind == "epub":
            with path.open("rb") as file:
                for number, (chapter, content) in enumerate(epub_chapters(file, settings)):
                    yield Page(f"{name}/{chapter}", content, name, number, "html", "text/html", "utf-8")
        elif kind in ("jsonl", "parquet"):
            yield from _rows(path, kind, name, settings, max_bytes)
        elif kind == "archive" and depth < MAX_DEPTH:
            for member in members_of(path, settings):
                if not _is_hidden(member.name):
                    yield from _member(member, name, settings, max_bytes, reader, depth)
        elif kind == "archive":
            yield Lost(0, f"archives nested more than {MAX_DEPTH} deep", name)
        else:
            yield from reader(path, name, max_bytes, settings)
    except (UnreadableError, RefusedError) as error:
        yield Lost(0, str(error), name)


def document_text(kind: str, content: bytes, settings: FilesSettings) -> str:
    """The text of a PDF or DOCX.

    Raises:
        UnreadableError: damaged, or locked with a password.
        RefusedError: a DOCX that unpacks to more than the settings allow.
    """
    if kind == "pdf":
        from glassmill.corpus.read.files.pdf import pdf_to_text

        return pdf_to_text(content)
    return docx_to_text(io.BytesIO(content), settings)


def why_archive_refused(path: Path, settings: FilesSettings) -> str:
    """Why nothing of the archive at `path` can be read; empty where its first member can."""
    try:
        next(members_of(path, settings), None)
    except (UnreadableError, RefusedError) as error:
        return str(error)
    return ""


def _whole(path: Path, kind: str, name: str, max_bytes: int) -> Page | Lost:
    size = path.stat().st_size
    if size > max_bytes:
        return Lost(0, f"file too large: {size} bytes, over the limit of {max_bytes}", name)
    return Page(name, path.read_bytes(), name, 0, kind, WHOLE[kind])


def _rows(path: Path, kind: str, name: str, settings: FilesSettings, max_bytes: int) -> Items:
    fields = settings.text_fields
    for row in jsonl_rows(path, fields, max_bytes) if kind == "jsonl" else parquet_rows(path, fields):
        url = row.url or f"{name}#{row.number}"
        if row.cause:
            yield Lost(row.place, row.cause, url)
        else:
            body = row.text.encode("utf-8", "replace")
            yield Page(url, body, name, row.place, "text", "text/plain", "utf-8", date=row.date)


def _member(member: Member, archive: str, settings: FilesSettings, max_bytes: int, reader: Reader, depth: int) -> Items:
    kind, name = kind_of_name(member.name), f"{archive}/{member.name}"
    try:
        if member.cause:
            yield Lost(member.offset, member.cause, name)
        elif kind == OTHER:
            suffix = Path(member.name).suffix
            yield Lost(member.offset, f"unsupported file type: {suffix or 'no suffix'}", name)
        elif kind in WHOLE:
            body = read_limited(member, max_bytes)
            yield (
                Page(name, body, archive, member.offset, kind, WHOLE[kind])
                if body
                else Lost(member.offset, "empty file", name)
            )
        else:
            with unpacked(member, settings) as path:
                yield from read_file(path, kind, name, settings, max_bytes, reader, depth + 1)
    except UnreadableError as error:
        yield Lost(member.offset, str(error), name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
