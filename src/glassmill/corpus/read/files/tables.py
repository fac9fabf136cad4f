"""JSONL, Parquet, and JSON and CSV with a field of text: one document a row.

In: a file and the names of the fields to look for. Out: for each row its position, text, URL and date. A row without
text is reported with its cause, and the rest is read. Parquet files that glassmill wrote keep what they say of the
user's own files.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from glassmill.corpus.read.cut import Range
from glassmill.corpus.read.files.columns import HARMLESS_BYTES, column_rows, readable, rows_before
from glassmill.corpus.read.files.plain import csv_lines
from glassmill.corpus.read.files.structured import json_value
from glassmill.errors import RefusedError, UnreadableError, UserError
from glassmill.recipe import FilesSettings
from glassmill.textfiles import SAMPLE_BYTES, decode_text, encoding_shown_by

URL_FIELDS = ("url", "uri", "source_url")
DATE_FIELDS = ("date", "timestamp")
OURS = frozenset({"id", "url", "text", "language", "language_score", "source", "offset"})
"""Columns that the documents of `glassmill add` and of a corpus have."""
OWN_COLUMNS = ("url", "text", "date", "source", "offset", "section")
CHUNK = 1 << 20
MAX_EMPTY_LINES = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """`place`: byte of a JSONL file, number of another's row. `cause` says why there is no text.

    `source`, `offset`, `section` are those of the user's file, where glassmill itself wrote the row; it `is_whole`: a
    document, or a piece of one, that is not cut again.
    """

    place: int
    number: int
    text: str
    url: str = ""
    date: str = ""
    cause: str = ""
    source: str = ""
    offset: int | None = None
    section: str = ""

    @property
    def is_whole(self) -> bool:
        return self.offset is not None


def jsonl_rows(path: Path, files: FilesSettings, max_line_bytes: int, part: Range | None = None) -> Iterator[Row]:
    """The rows of a JSONL file, plain or gzip; of a part (of a plain one in UTF-8), the lines that start in it.

    Raises:
        UnreadableError: damaged gzip data; the rows before the damage have been yielded.
    """
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        try:
            file: IO[bytes] = cast("IO[bytes]", gzip.open(plain)) if packed else plain  # noqa: SIM115 (holds nothing)
            read_line = _in_utf8(file)  # must live until the file is closed
            most = max(HARMLESS_BYTES, int(files.max_ratio * path.stat().st_size))
            mark, part = file.tell() if not packed else 0, part or Range()
            if part.begin:
                file.seek(part.begin)
            begin = max(0, part.begin - mark)
            yield from _lines(read_line, files, max_line_bytes, most, begin, part.row, part.end - mark)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableError(f"damaged gzip data: {error}") from None


def _in_utf8(file: IO[bytes]) -> Callable[[int], bytes]:
    """Reads the next line, up to so many bytes, as UTF-8 whatever the file is in, as far as its start shows that."""
    mark, encoding = encoding_shown_by(file.read(SAMPLE_BYTES)) or (0, "utf-8")
    file.seek(mark)
    if encoding == "utf-8":
        return file.readline
    text = io.TextIOWrapper(file, encoding, "replace", newline="\n")
    return lambda most: text.readline(most).encode("utf-8", "replace")


def _lines(
    read_line: Callable[[int], bytes],
    files: FilesSettings,
    most: int,
    most_in_all: int,
    place: int,
    number: int,
    end: int,
) -> Iterator[Row]:
    """The rows from byte `place` on, where row `number` starts, and before byte `end`."""
    empty = 0
    while place < end and (line := read_line(most + 1)):
        begin, place = place, place + len(line)
        if len(line) > most:
            while line and not line.endswith(b"\n") and place <= most_in_all:
                line = read_line(CHUNK)
                place += len(line)
            yield Row(begin, number, "", cause=f"line too long: over the limit of {most} bytes")
        elif line.strip():
            yield _line(line, begin, number, files)
        else:
            empty += 1
            if empty > MAX_EMPTY_LINES:
                raise RefusedError(f"refused: more than {MAX_EMPTY_LINES:,} empty lines")
        number += 1
        if place > most_in_all:
            raise RefusedError(f"refused: expands more than {files.max_ratio:g} times")


def _line(line: bytes, place: int, number: int, files: FilesSettings) -> Row:
    try:
        value = json.loads(decode_text(line))
    except (UserError, ValueError, RecursionError) as error:
        return Row(place, number, "", cause=f"invalid JSON: {error}"[:200])
    if not isinstance(value, dict):
        return Row(place, number, "", cause="not a JSON object")
    return _row(value, place, number, files)


def _row(value: Mapping[str, object], place: int, number: int, files: FilesSettings) -> Row:
    texts = _texts(value, files.text_fields)
    if not texts:
        have = ", ".join(map(str, list(value)[:8]))
        return Row(place, number, "", cause=f"no text in {' or '.join(files.text_fields)} (fields: {have})"[:200])
    titles = _texts(value, [name for name in files.title_fields if name not in files.text_fields])
    text = "\n\n".join(dict.fromkeys([*titles[:1], *texts]))
    return Row(place, number, text, _first(value, URL_FIELDS), _first(value, DATE_FIELDS))


def _texts(value: Mapping[str, object], names: Sequence[str]) -> list[str]:
    return [text for name in names if isinstance(text := value.get(name), str) and text.strip()]


def _first(value: Mapping[str, object], names: Sequence[str]) -> str:
    found = next((value[name] for name in names if value.get(name)), "")
    return str(found)


def parquet_rows(path: Path, files: FilesSettings, max_bytes: int, part: Range | None = None) -> Iterator[Row]:
    """The rows of a Parquet file or a part of it, some in memory at once, only the columns that count.

    Raises:
        UnreadableError: damaged, or without a column of text.
        RefusedError: it would unpack to more than `files` allow.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(readable(path)).names
        if not any(name in names for name in files.text_fields):
            have = ", ".join(names[:12])
            raise UnreadableError(f"no column {' or '.join(files.text_fields)} (columns: {have}); see corpus.files")
        is_own = set(names) >= OURS
        known = (*files.title_fields, *files.text_fields, *URL_FIELDS, *DATE_FIELDS)
        wanted = [name for name in dict.fromkeys(OWN_COLUMNS if is_own else known) if name in names]
        first = rows_before(path, part) if part else 0
        for number, (value, cause) in enumerate(column_rows(path, wanted, files, max_bytes, part), first):
            if cause:
                yield Row(number, number, "", cause=cause)
            elif is_own:
                plain = {name: str(value.get(name) or "") for name in ("text", "url", "date", "source", "section")}
                yield Row(number, number, **plain, offset=int(value["offset"] or 0))
            else:
                yield _row(value, number, number, files)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"damaged Parquet file: {error}"[:200]) from None


def json_rows(path: Path, files: FilesSettings) -> Iterator[Row] | None:
    """The rows of a JSON file that is a list of objects with a field of text; None for another."""
    value = json_value(path)
    if not isinstance(value, list) or not any(
        isinstance(one, dict) and _texts(one, files.text_fields) for one in value
    ):
        return None
    return (
        _row(one, number, number, files)
        if isinstance(one, dict)
        else Row(number, number, "", cause="not a JSON object")
        for number, one in enumerate(value)
    )


def csv_rows(path: Path, files: FilesSettings) -> Iterator[Row] | None:
    """The rows of a CSV file with a column of text; None for another."""
    rows = csv_lines(path)
    names = next(rows, [])
    if not set(names) & set(files.text_fields):
        return None
    return (
        _row(dict(zip(names, row, strict=False)), number, number, files) for number, row in enumerate(rows) if any(row)
    )
