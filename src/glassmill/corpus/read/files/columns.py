"""Parquet within limits: what its pages unpack to is looked at before pyarrow unpacks them.

In: a file and the names of columns. Out: rows, some at a time. Source: Apache Parquet format (PageHeader), Thrift
compact protocol. A page says how large it will be, and a dictionary is stored once for all rows that name its entry, so
a few kilobytes can stand for terabytes. Pages, rows and their text have the limits that records have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from glassmill.corpus.read.cut import END, Range
from glassmill.errors import RefusedError, UnreadableError
from glassmill.recipe import FilesSettings
from glassmill.run.stores.stored import InputPath

ROWS = 256
BATCH_BYTES = 64 << 20
HARMLESS_BYTES = 64 << 20
"""A file may always unpack to so many bytes, however small it is."""
HARMLESS_ROWS = 1 << 20
MAX_PAGES = 500_000
HEADER_BYTES = 1 << 10
LONGEST_HEADER_BYTES = 1 << 20
DEEPEST = 16


def readable(path: InputPath) -> Path | IO[bytes]:
    """What pyarrow opens: a path, or, of a file that is fetched as it is read, the file."""
    return path if isinstance(path, Path) else path.open("rb")


def rows_before(path: Path, part: Range) -> int:
    """The rows of a Parquet file in the row groups that start before a part of it."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(readable(path))
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(group).num_rows for group in groups if _start(metadata, group) < part.begin)


def column_rows(
    path: Path, wanted: Sequence[str], files: FilesSettings, max_bytes: int, part: Range | None = None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Each row's values, and why it is not read, if so: a value of more than `max_bytes`.

    Of a part, the rows of the row groups that start in it.

    Raises:
        RefusedError: it would unpack to more than `files` allow.
        UnreadableError: damaged.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(readable(path)) as file:
        names = _flat(file, wanted)
        texts = [name for name in names if _is_text(file, name)]
        part = part or Range()
        groups = [
            group for group in range(file.num_row_groups) if part.begin <= _start(file.metadata, group) < part.end
        ]
        largest = _check_pages(path, file, names, files, max_bytes, groups)
    most = max(HARMLESS_BYTES, int(files.max_ratio * path.stat().st_size))
    rows = min(ROWS, max(1, BATCH_BYTES // max(largest, 1)))
    with pq.ParquetFile(readable(path), read_dictionary=texts, buffer_size=1 << 20) as file:
        for batch in file.iter_batches(batch_size=rows, columns=names, row_groups=groups):
            lengths = [_lengths(batch.column(name)) for name in texts]
            most -= sum(map(sum, lengths))
            whole = batch.to_pylist() if sum(map(sum, lengths)) <= BATCH_BYTES else None
            if most < 0:
                raise RefusedError(f"refused: its text is more than {files.max_ratio:g} times as large as the file")
            for number in range(batch.num_rows):
                longest = max((length[number] for length in lengths), default=0)
                if longest > max_bytes:
                    yield {}, f"row too large: {longest} bytes, over the limit of {max_bytes}"
                else:
                    yield (whole[number] if whole else batch.slice(number, 1).to_pylist()[0]), ""


def _flat(file: Any, wanted: Sequence[str]) -> list[str]:
    import pyarrow as pa

    return [name for name in wanted if not pa.types.is_nested(file.schema_arrow.field(name).type)]


def _is_text(file: Any, name: str) -> bool:
    import pyarrow as pa

    kind = file.schema_arrow.field(name).type
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind))


def _lengths(column: Any) -> list[int]:
    """The bytes of each value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.DictionaryArray):
        of_entries = pc.binary_length(column.dictionary)
        column = of_entries.take(column.indices)
    else:
        column = pc.binary_length(column)
    return [length or 0 for length in column.to_pylist()]


def _start(metadata: Any, group: int) -> int:
    """Where a row group says that it starts; whatever it says, it is in one part of the file."""
    column = metadata.row_group(group).column(0) if metadata.row_group(group).num_columns else None
    return max(0, min(column.data_page_offset, END - 1)) if column else 0


def _check_pages(
    path: Path, file: Any, names: Sequence[str], files: FilesSettings, max_bytes: int, groups: Sequence[int]
) -> int:
    """The unpacked bytes of the largest page of the columns; raises as `column_rows`."""
    metadata, size = file.metadata, path.stat().st_size
    if metadata.num_rows > max(HARMLESS_ROWS, size):
        raise RefusedError(f"refused: {metadata.num_rows:,} rows in {size:,} bytes")
    largest = total = pages = 0
    with path.open("rb") as raw:
        for group in groups:
            if not metadata.row_group(group).num_rows:
                continue
            for number in range(metadata.row_group(group).num_columns):
                column = metadata.row_group(group).column(number)
                if column.path_in_schema.partition(".")[0] not in names:
                    continue
                for unpacked in _pages(raw, column):
                    largest, total, pages = max(largest, unpacked), total + unpacked, pages + 1
                    if unpacked > max_bytes + HARMLESS_BYTES:
                        raise RefusedError(f"refused: a page of {unpacked:,} bytes")
                    if total > HARMLESS_BYTES and total > files.max_ratio * size:
                        raise RefusedError(f"refused: expands more than {files.max_ratio:g} times")
                    if pages > MAX_PAGES:
                        raise RefusedError(f"refused: more than {MAX_PAGES:,} pages")
    return largest


def _pages(raw: IO[bytes], column: Any) -> Iterator[int]:
    """The stated size of each page of a column chunk, unpacked."""
    starts = [column.data_page_offset, column.dictionary_page_offset if column.has_dictionary_page else None]
    place = min((start for start in starts if start), default=0)  # a chunk without values has no data page: 0
    if not place:
        return
    end = place + column.total_compressed_size
    while place < end:
        unpacked, packed, length = _header(raw, place)
        if packed < 0 or unpacked < 0:
            raise UnreadableError("damaged Parquet file: a page of negative size")
        yield unpacked
        place += length + packed


def _header(raw: IO[bytes], place: int) -> tuple[int, int, int]:
    """Unpacked and packed bytes of the page, and the length of its header."""
    size = HEADER_BYTES
    while True:
        raw.seek(place)
        data = raw.read(size)
        try:
            fields, length = _struct(data, 0, 0)
            return fields[2], fields[3], length
        except (IndexError, KeyError):
            if len(data) < size or size >= LONGEST_HEADER_BYTES:
                raise UnreadableError("damaged Parquet file: no page header") from None
            size = min(32 * size, LONGEST_HEADER_BYTES)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise UnreadableError("damaged Parquet file: a number of more than 64 bits")


def _struct(data: bytes, place: int, depth: int) -> tuple[dict[int, int], int]:
    """The whole numbers among the fields of a Thrift struct, and where it ends."""
    if depth > DEEPEST:
        raise UnreadableError("damaged Parquet file: a page header nested too deep")
    fields: dict[int, int] = {}
    number = 0
    while head := data[place]:
        place += 1
        if head >> 4:
            number += head >> 4
        else:
            zigzag, place = _varint(data, place)
            number = zigzag >> 1
        if head & 15 in (4, 5, 6):
            zigzag, place = _varint(data, place)
            fields[number] = (zigzag >> 1) ^ -(zigzag & 1)
        else:
            place = _skip(data, place, head & 15, depth)
    return fields, place + 1


def _skip(data: bytes, place: int, kind: int, depth: int) -> int:
    if kind in (1, 2):  # a truth value, which is in the field's head
        return place
    if kind == 3:
        return place + 1
    if kind in (4, 5, 6):
        return _varint(data, place)[1]
    if kind == 7:
        return place + 8
    if kind == 8:
        length, place = _varint(data, place)
        if place + length > len(data):
            raise IndexError
        return place + length
    if kind in (9, 10):
        head = data[place]
        count, place = (head >> 4, place + 1) if head >> 4 < 15 else _varint(data, place + 1)
        for _ in range(count):
            place = _skip(data, place, head & 15, depth + 1) + (head & 15 in (1, 2))
        return place
    if kind == 12:
        return _struct(data, place, depth + 1)[1]
    raise UnreadableError("damaged Parquet file: an unknown field in a page header")
