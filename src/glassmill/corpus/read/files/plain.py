"""Text files of every markup, tables and subtitles: read as streams, so that 100 MB take a few megabytes of memory.

In: a file. Out: sections. The encoding is that of the first megabytes; see `glassmill.textfiles`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from glassmill.corpus.extract.encoding import decode
from glassmill.corpus.read.files.kinds import is_text
from glassmill.corpus.read.files.sections import FLUSH, Section, sections_of_lines
from glassmill.errors import UnreadableError
from glassmill.textfiles import Decoder, encoding_shown_by

SAMPLE = 8 << 20
CHUNK = 1 << 18
FIELD_CHARACTERS = 1 << 20
DELIMITERS = ",;\t|"
_TIMING = re.compile(r"\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->")
_CUE_TAG = re.compile(r"<[^<>]{1,100}>|\{\\[^{}]{1,100}\}")


def text_chunks(path: Path) -> Iterator[str]:
    """The text in chunks of about 256 kB, every line end as a newline.

    Raises:
        UnreadableError: no text, or no text from some place on.
    """
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
        if not is_text(sample[: 1 << 16]):
            raise UnreadableError("not text: the file holds binary data")
        whole = sample if len(sample) < SAMPLE else sample[: sample.rfind(b"\n") + 1] or sample
        skip, encoding = encoding_shown_by(sample[: 1 << 16]) or (0, decode(whole, is_html=False)[1])
        decoder = Decoder(encoding)
        file.seek(skip)
        place, open_return = skip, ""
        while data := file.read(CHUNK):
            if not encoding.startswith(("utf-16", "utf-32")) and not is_text(data):
                raise UnreadableError(f"not text from byte {place:,} on: the file holds binary data")
            place += len(data)
            text = open_return + decoder.decode(data)
            open_return = "\r" if text.endswith("\r") else ""
            yield text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        rest = open_return + decoder.decode(b"", True)
        yield rest.replace("\r\n", "\n").replace("\r", "\n")


def text_lines(path: Path) -> Iterator[str]:
    """Lines with their ends; one of more than a megabyte comes in parts."""
    rest = ""
    for chunk in text_chunks(path):
        lines = (rest + chunk).split("\n")
        rest = lines.pop()
        yield from (line + "\n" for line in lines)
        if len(rest) > 4 * CHUNK:
            yield rest
            rest = ""
    if rest:
        yield rest


def markup_sections(path: Path, markup: str) -> Iterator[Section]:
    """A file of plain text or markup, which is kept as it is."""
    yield from sections_of_lines(text_lines(path), markup)


def delimiter_of(lines: Iterable[str]) -> str:
    """What separates the fields: the candidate that divides most of the first lines in equally many."""
    rows = [line for line in lines if line.strip()]

    def fits(candidate: str) -> tuple[int, int]:
        counts = [row.count(candidate) for row in rows]
        often = max(set(counts), key=counts.count, default=0)
        return (counts.count(often) if often else 0, often)

    return max(DELIMITERS, key=fits)


_DELIMITER = re.compile(r"sep=([^\s\w])\s*$", re.IGNORECASE)
"""A first line by which Excel tells itself the delimiter."""


def csv_lines(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV or TSV file. From a row on that is none, such as a quote without an end, lines are rows."""
    csv.field_size_limit(FIELD_CHARACTERS)
    first = [line for line, _ in zip(text_lines(path), range(20), strict=False)]
    named = _DELIMITER.match(first[0]) if first else None
    lines = text_lines(path)
    done = len(list(islice(lines, 1))) if named else 0
    before = done
    reader = csv.reader(lines, delimiter=named[1] if named else delimiter_of(first))
    try:
        for row in reader:
            yield row
            done = before + reader.line_num
    except csv.Error:
        for number, line in enumerate(text_lines(path)):
            if number >= done:
                yield [line.rstrip("\n")]


def row_text(cells: Iterable[object]) -> str:
    """A row of a table as a line: its cells with a tab between."""
    return "\t".join(" ".join(str(cell).split()) for cell in cells if cell is not None).rstrip()


def rows_sections(rows: Iterable[Iterable[object]], title: str = "", anchor: str = "") -> Iterator[Section]:
    """A table as text, a line a row."""
    gathered: list[str] = []
    size = 0
    for row in rows:
        line = row_text(row)
        if not line.strip():
            continue
        gathered.append(line + "\n")
        size += len(line) + 1
        if size > FLUSH:
            yield Section("".join(gathered), title, anchor)
            gathered, size = [], 0
    yield Section("".join(gathered) + "\n", title, anchor)


def subtitle_sections(path: Path) -> Iterator[Section]:
    """What is said in an SRT or VTT file: without numbers, times and tags."""
    yield from sections_of_lines(_spoken(text_lines(path)))


def _spoken(lines: Iterable[str]) -> Iterator[str]:
    held: str | None = None  # a line that is a cue's name if a time follows
    block = ""
    last = ""
    for line in lines:
        plain = line.strip()
        if plain.startswith(("WEBVTT", "NOTE", "STYLE", "REGION")) and not last:
            block = plain.split()[0]
        if _TIMING.match(line):
            held, block = None, "cue"
        elif not plain:
            block = ""
        elif block in ("", "cue"):
            if held is not None:
                yield held
            held = None
            text = _CUE_TAG.sub("", line).strip() + "\n"
            if block == "cue":
                if text.strip():
                    yield text
            else:
                held = text
        last = plain
    if held is not None:
        yield held
