"""The user's text files: from paths to a stream of documents, about a megabyte in memory at a time.

.txt is read in parts of about a megabyte that end at a line break; .jsonl has a string or an object with `text` on
each line; their encoding is found as in every text file (`glassmill.textfiles`). .parquet has a column `text`; WARC and
WET files give the text of every page. A folder stands for its files of these kinds; a corpus run for its kept
documents.
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NotRequired, TypedDict, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.corpus.document import Lost
from glassmill.corpus.extract.encoding import decode, html_of
from glassmill.corpus.extract.extract import clean, html_to_text
from glassmill.corpus.read.files.columns import column_rows
from glassmill.corpus.read.files.kinds import WARC_SUFFIXES
from glassmill.corpus.read.sources import read_sources
from glassmill.corpus.read.warc import MAX_RECORD_BYTES
from glassmill.errors import RefusedError, UnreadableError, UserError
from glassmill.recipe import ExtractSettings, FilesSettings
from glassmill.run.executors import map_shards
from glassmill.run.shards import find_shards
from glassmill.run.worker import Link
from glassmill.textfiles import text_lines, text_parts

SUFFIXES = (".txt", ".jsonl", ".parquet", *WARC_SUFFIXES)
MARK_BYTES = 1 << 20
"""So much text of a table may take a worker's whole limit of CPU time."""
LENGTHS = struct.Struct("<QQ")
"""Of the bytes of a document's group and text, in a spool."""

T = TypeVar("T")


def text_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files that `paths` stand for, in order.

    Raises:
        UserError: a path does not exist, or has no text.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = find_shards(path, "documents") or path.iterdir()
            found = [file for file in inside if file.name.endswith(SUFFIXES) and file.is_file()]
            files += sorted(found) if found and found[0].parent == path else found
        elif path.is_file():
            found = [path]
            files += found
        else:
            raise UserError(f"no file or folder {path}")
        if not found or (path.is_file() and not path.name.endswith(SUFFIXES)):
            raise UserError(f"{path}: no text to read; supported are files ending in {', '.join(SUFFIXES)}")
    return files


def named_texts(
    file: Path, max_bytes: int | None = None, warn: Callable[[str], None] = lambda line: None
) -> Iterator[tuple[str, str]]:
    """Each document with the name of its group: its language if the file says so, otherwise the file's name.

    A text file is read here. Any other could ask for much time or memory: a worker with limits reads it first.

    Args:
        file: One of `text_files`.
        max_bytes: No further document once so many bytes are read.
        warn: Called with one line if pages of an archive cannot be read.

    Raises:
        UserError: the file is not what its name says, or reading it takes too much.
    """
    if file.suffix == ".txt":
        left = max_bytes
        for part in _or_refused(file, text_parts(file)):
            yield file.stem, part
            left = None if left is None else left - len(part.encode("utf-8", "replace"))
            if left is not None and left <= 0:
                return
        return
    with tempfile.TemporaryDirectory(prefix="glassmill-") as folder:
        spool = Path(folder) / "texts"
        task: SpoolTask = {"file": str(file), "out": str(spool), "max_bytes": max_bytes}
        (result,) = map_shards(f"{__name__}:{spool_shard.__name__}", [task], 1)
        if result["lost"]:
            more = f"; the first of {result['lost']:,}" if result["lost"] > 1 else ""
            warn(f"{file}: a record cannot be read: {result['first']}{more}")
        yield from _spooled(spool)


class SpoolTask(TypedDict):
    """`skip` names the items that ended a worker before, by position, with the cause."""

    file: str
    out: str
    max_bytes: int | None
    skip: NotRequired[list[tuple[int, str]]]


class SpoolResult(TypedDict):
    """The number of records that cannot be read, and the cause of the first."""

    lost: int
    first: str


def spool_shard(task: SpoolTask, link: Link) -> SpoolResult:
    """Writes the documents of a file to another, for `named_texts`; in a worker."""
    file, skip, left = Path(task["file"]), task.get("skip", []), task["max_bytes"]
    is_archive = file.name.endswith(WARC_SUFFIXES)
    if skip and not is_archive:
        raise UserError(f"cannot read {file}: {skip[-1][1]}")
    result: SpoolResult = {"lost": 0, "first": ""}
    rows = _pages(file, skip, result) if is_archive else _parquet(file) if file.suffix == ".parquet" else _lines(file)
    unmarked = 0
    with Path(task["out"]).open("wb") as spool:
        link.mark(0)
        for position, (name, text) in enumerate(_or_refused(file, rows), start=1):
            size = _write(spool, name, text) if text else 0
            left, unmarked = None if left is None else left - size, unmarked + size
            if left is not None and left <= 0:
                break
            if is_archive or unmarked >= MARK_BYTES:
                link.mark(position)
                unmarked = 0
    return result


def _write(spool: BinaryIO, name: str, text: str) -> int:
    """Writes a document; returns the bytes of its text."""
    both = [part.encode("utf-8", "surrogatepass") for part in (name, text)]
    spool.write(LENGTHS.pack(*map(len, both)) + b"".join(both))
    return len(both[1])


def _spooled(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as spool:
        while lengths := spool.read(LENGTHS.size):
            name, text = (spool.read(length).decode("utf-8", "surrogatepass") for length in LENGTHS.unpack(lengths))
            yield name, text


def _or_refused(file: Path, items: Iterator[T]) -> Iterator[T]:
    """The items; whatever is wrong with the file is one line."""
    try:
        yield from items
    except (OSError, ValueError, KeyError, pa.ArrowException, RefusedError, UnreadableError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot read {file}: {reason}") from None


def _pages(file: Path, skip: Sequence[tuple[int, str]], result: SpoolResult) -> Iterator[tuple[str, str]]:
    """The text of every page, with the default limits on pages; empty for a record that is none."""
    bounds, group = ExtractSettings(), file.name.partition(".")[0]
    for _, page in read_sources([[str(file), file.name]], skip, MAX_RECORD_BYTES, FilesSettings()):
        text = ""
        if isinstance(page, Lost):
            result["lost"] += 1
            result["first"] = result["first"] or page.cause
        elif page.kind != "other" and len(page.body) <= bounds.max_page_bytes:
            if page.kind == "html":
                text = html_to_text(html_of(page.body, page.charset), bounds)
            else:
                text = clean(decode(page.body, page.charset, is_html=False)[0])
        yield group, text


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in text_lines(file):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except RecursionError:
            raise ValueError(f"line {number} is not valid JSON: it is nested too deeply") from None
        except ValueError as error:
            raise ValueError(f"line {number} is not valid JSON: {error}") from None
        text = entry.get("text") if isinstance(entry, dict) else entry
        if not isinstance(text, str):
            raise ValueError(f"line {number} is neither a string nor an object with `text`")
        yield file.stem, text


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
