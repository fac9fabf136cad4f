"""JSONL and Parquet: one document a row.

In: a file and the names of the fields to look for. Out: for each row its position, text, URL and date. A row without
text is reported with its cause, and the rest is read.
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

from glassmill.errors import UnreadableError, UserError
from glassmill.textfiles import SAMPLE_BYTES, decode_text, encoding_shown_by

URL_FIELDS = ("url", "uri", "source_url")
DATE_FIELDS = ("date", "timestamp")
ROWS = 256


@dataclass(frozen=True, slots=True)
class Row:
    """`place`: byte of a JSONL file, number of a Parquet row. `cause` says why there is no text."""

    place: int
    number: int
    text: str
    url: str = ""
    date: str = ""
    cause: str = ""


def jsonl_rows(path: Path, text_fields: Sequence[str], max_line_bytes: int) -> Iterator[Row]:
    """The rows of a JSONL file, plain or gzip.

    Raises:
        UnreadableError: damaged gzip data; the rows before the damage have been yielded.
    """
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        try:
            file: IO[bytes] = cast("IO[bytes]", gzip.open(plain)) if packed else plain  # noqa: SIM115 (holds nothing)
            read_line = _in_utf8(file)  # must live until the file is closed
            yield from _lines(read_line, text_fields, max_line_bytes)
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


def _lines(read_line: Callable[[int], bytes], text_fields: Sequence[str], most: int) -> Iterator[Row]:
    place = number = 0
    while line := read_line(most + 1):
        begin, place = place, place + len(line)
        if len(line) > most:
            while line and not line.endswith(b"\n"):
                line = read_line(most)
                place += len(line)
            yield Row(begin, number, "", cause=f"line too long: over the limit of {most} bytes")
        elif line.strip():
            yield _line(line, begin, number, text_fields)
        number += 1


def _line(line: bytes, place: int, number: int, text_fields: Sequence[str]) -> Row:
    try:
        value = json.loads(decode_text(line))
    except (UserError, ValueError, RecursionError) as error:
        return Row(place, number, "", cause=f"invalid JSON: {error}"[:200])
    if not isinstance(value, dict):
        return Row(place, number, "", cause="not a JSON object")
    return _row(value, place, number, text_fields)


def _row(value: Mapping[str, object], place: int, number: int, text_fields: Sequence[str]) -> Row:
    text = next((text for name in text_fields if isinstance(text := value.get(name), str)), None)
    if text is None:
        have = ", ".join(map(str, list(value)[:8]))
        return Row(place, number, "", cause=f"no text in {' or '.join(text_fields)} (fields: {have})"[:200])
    return Row(place, number, text, _first(value, URL_FIELDS), _first(value, DATE_FIELDS))


def _first(value: Mapping[str, object], names: Sequence[str]) -> str:
    found = next((value[name] for name in names if value.get(name)), "")
    return str(found)


def parquet_rows(path: Path, text_fields: Sequence[str]) -> Iterator[Row]:
    """The rows of a Parquet file, a few hundred in memory at once, only the columns that count.

    Raises:
        UnreadableError: damaged, or without a column of text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if not any(name in names for name in text_fields):
                have = ", ".join(names[:12])
                raise UnreadableError(f"no column {' or '.join(text_fields)} (columns: {have}); see corpus.files")
            wanted = [name for name in (*text_fields, *URL_FIELDS, *DATE_FIELDS) if name in names]
            number = 0
            for batch in file.iter_batches(batch_size=ROWS, columns=wanted):
                for value in batch.to_pylist():
                    yield _row(value, number, number, text_fields)
                    number += 1
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"damaged Parquet file: {error}"[:200]) from None
