"""Rows of the user's tables, each with its place: JSONL, a JSON list, CSV, TSV, Parquet.

JSON must be UTF-8 (RFC 8259, section 8.1), with or without a byte order mark: of another encoding every letter would be
a guess. Tables are read as spreadsheets write them.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.textfiles import encoding_shown_by, read_text

MAX_LINE_BYTES = 64 << 20
MAX_FILE_BYTES = 512 << 20
"""Of a file that is read whole: a JSON list, a table of text."""
SAMPLE_BYTES = 1 << 12
TABLES = {".csv": ",", ".tsv": "\t"}
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK": "zip", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}


def read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """The rows of a file, each with its file and line in words. Of a table, names of columns are in lower case.

    Raises:
        UserError: no such file, or it is none of the kinds above; the message has file and line.
    """
    try:
        yield from _rows(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        start = file.read(SAMPLE_BYTES)
    packed = next((name for magic, name in PACKED.items() if start.startswith(magic)), None)
    if packed is not None:
        raise UserError(f"{path} is packed with {packed}; unpack it first")
    if path.suffix.lower() == ".parquet" or start.startswith(b"PAR1"):
        return _parquet(path)
    if path.suffix.lower() in TABLES:
        return _table(path, TABLES[path.suffix.lower()])
    _, encoding = encoding_shown_by(start) or (0, "utf-8")
    if encoding != "utf-8":
        raise UserError(f"{path}, line 1 is in {encoding.upper()}, and JSON is in UTF-8: save it as UTF-8")
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    return _json_list(path) if text[:1] == b"[" and not _is_row(text) else _json_lines(path)


def _is_row(text: bytes) -> bool:
    """Whether a text that begins with `[` is JSONL whose rows are lists: its first line is a complete list."""
    line, end, rest = text.partition(b"\n")
    try:
        return isinstance(json.loads(line), list) and bool(end) and rest.lstrip()[:1] == b"["
    except (ValueError, RecursionError):
        return False


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"{path}, line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise UserError(f"{place} is longer than {MAX_LINE_BYTES >> 20} MB; put one object on each line")
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not line.strip():
                continue
            if number == 1 and line.strip() == b"{":  # one object over many lines
                yield from _json_list(path)
                return
            yield place, _parsed(line, place, "; each line must hold one JSON object")


def _json_list(path: Path) -> Iterator[tuple[str, Any]]:
    """The rows of a file that is one JSON value: a list, or an object with one list (`{"data": [...]}`)."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(f"{path} has over {MAX_FILE_BYTES >> 20} MB in one JSON list; write one object a line")
    value = _parsed(path.read_bytes().removeprefix(codecs.BOM_UTF8), str(path))
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
        value = [value] if not lists or "role" in lists[0][0] or "from" in lists[0][0] else lists[0]
    elif value and all(isinstance(item, dict) and ("role" in item or "from" in item) for item in value):
        value = [value]  # the messages of a single conversation
    yield from ((f"{path}, item {number}", row) for number, row in enumerate(value, start=1))


def _parsed(data: bytes, place: str, hint: str = "") -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place} is not UTF-8 (byte {data[error.start]:#04x} at {error.start}): save the file as UTF-8"
        ) from None
    except RecursionError:
        raise UserError(f"{place} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        reason = getattr(error, "msg", None) or str(error).partition(";")[0]
        raise UserError(f"{place} is not valid JSON ({reason}){hint}") from None


def _table(path: Path, delimiter: str) -> Iterator[tuple[str, Any]]:
    """The rows of a table with a header; Excel's semicolons are found by the header."""
    text = read_text(path, MAX_FILE_BYTES)
    header = text.partition("\n")[0]
    if delimiter == "," and header.count(";") > header.count(","):
        delimiter = ";"
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            cells = {str(key).strip().lower(): value for key, value in row.items() if key and value not in (None, "")}
            yield f"{path}, line {reader.line_num}", cells
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num} is not a row of a table: {error}") from None


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", {key: value for key, value in row.items() if value is not None}
    except (pa.ArrowException, ValueError) as error:
        raise UserError(f"{path} is a damaged Parquet file: {str(error).splitlines()[0]}") from None
