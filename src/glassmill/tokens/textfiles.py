"""The user's text files: from paths to a stream of documents, about a megabyte in memory at a time.

.txt is read in parts of about a megabyte that end at a line break; .jsonl has a string or an object with `text` on
each line; their encoding is found as in every text file (`glassmill.textfiles`). .parquet has a column `text`; WARC and
WET files give the text of every page. A folder stands for its files of these kinds; a corpus run for its kept
documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.corpus.document import Page
from glassmill.corpus.extract.encoding import decode, html_of
from glassmill.corpus.extract.extract import clean, html_to_text
from glassmill.corpus.read.files.columns import column_rows
from glassmill.corpus.read.files.kinds import WARC_SUFFIXES
from glassmill.corpus.read.sources import read_pages
from glassmill.corpus.read.warc import MAX_RECORD_BYTES
from glassmill.errors import RefusedError, UnreadableError, UserError
from glassmill.recipe import ExtractSettings, FilesSettings
from glassmill.textfiles import text_lines, text_parts

SUFFIXES = (".txt", ".jsonl", ".parquet", *WARC_SUFFIXES)


def text_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files that `paths` stand for, in order.

    Raises:
        UserError: a path does not exist, or has no text.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            place = path / "shards" if (path / "shards").is_dir() else path
            found = sorted(file for file in place.iterdir() if file.name.endswith(SUFFIXES))
            files += [file for file in found if not file.name.startswith("dropped-")]
        elif path.is_file():
            found = [path]
            files += found
        else:
            raise UserError(f"no file or folder {path}")
        if not found or (path.is_file() and not path.name.endswith(SUFFIXES)):
            raise UserError(f"{path}: no text to read; supported are files ending in {', '.join(SUFFIXES)}")
    return files


def named_texts(file: Path) -> Iterator[tuple[str, str]]:
    """Each document with the name of its group: its language if the file says so, otherwise the file's name.

    Raises:
        UserError: the file is not what its name says.
    """
    try:
        if file.suffix == ".parquet":
            yield from _parquet(file)
        elif file.name.endswith(WARC_SUFFIXES):
            yield from ((file.name.partition(".")[0], text) for text in _pages(file) if text)
        elif file.suffix == ".jsonl":
            yield from ((file.stem, text) for text in _json_lines(file))
        else:
            yield from ((file.stem, part) for part in text_parts(file))
    except (OSError, ValueError, KeyError, pa.ArrowException, RefusedError, UnreadableError) as error:
        raise UserError(f"cannot read {file}: {str(error).splitlines()[0]}") from None


def _pages(file: Path) -> Iterator[str]:
    """The text of every readable page, with the default limits on pages."""
    bounds = ExtractSettings()
    for page in read_pages(file, file.name):
        if isinstance(page, Page) and page.kind != "other" and len(page.body) <= bounds.max_page_bytes:
            if page.kind == "html":
                yield html_to_text(html_of(page.body, page.charset), bounds)
            else:
                yield clean(decode(page.body, page.charset, is_html=False)[0])


def _json_lines(file: Path) -> Iterator[str]:
    for number, line in text_lines(file):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number} is not valid JSON: {error}") from None
        text = entry.get("text") if isinstance(entry, dict) else entry
        if not isinstance(text, str):
            raise ValueError(f"line {number} is neither a string nor an object with `text`")
        yield text


def _parquet(file: Path) -> Iterator[tuple[str, str]]:
    names = pq.read_schema(file).names
    if "text" not in names:
        raise ValueError("it has no column `text`")
    columns = ["text", *(["language"] if "language" in names else [])]
    for row, cause in column_rows(file, columns, FilesSettings(), MAX_RECORD_BYTES):
        if cause:
            raise ValueError(cause)
        if row.get("text"):
            yield row.get("language") or file.stem, row["text"]
