"""ODT, ODS and ODP: OpenDocument text, tables and slides.

Source: OASIS OpenDocument 1.3 part 3 (5: paragraphs and headings, 6: text, 9: tables, 10.2: slides).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element  # a name for the types; parsing is defusedxml's

from glassmill.corpus.read.files.plain import rows_sections
from glassmill.corpus.read.files.sections import Section
from glassmill.corpus.read.files.zipped import opened, parsed
from glassmill.recipe import FilesSettings

SPACE = "urn:oasis:names:tc:opendocument:xmlns:"
TEXT, TABLE, OFFICE, DRAW = (f"{{{SPACE}{name}:1.0}}" for name in ("text", "table", "office", "drawing"))
MOST_REPEATS = 64
"""A cell or row stands for at most so many equal ones; empty ones, which fill a sheet to its edge, for none."""
_SKIPPED = frozenset({f"{TEXT}tracked-changes", f"{OFFICE}annotation", f"{TEXT}note-citation", f"{OFFICE}forms"})


def odf_sections(path: Path, limits: FilesSettings) -> Iterator[Section]:
    """Paragraphs under their headings; of a spreadsheet the sheets, of a presentation the slides."""
    with opened(path, "OpenDocument", limits) as archive:
        body = next(parsed(archive, "content.xml", limits).iter(f"{OFFICE}body"), None)
    for part in body if body is not None else ():
        if part.tag == f"{OFFICE}spreadsheet":
            for table in part.findall(f"{TABLE}table"):
                name = table.get(f"{TABLE}name", "")
                yield from rows_sections(_rows(table), name, f"sheet={name}")
        elif part.tag == f"{OFFICE}presentation":
            for number, slide in enumerate(part.findall(f"{DRAW}page"), 1):
                lines = [text for text, _ in _blocks(slide)]
                yield Section("".join(f"{line}\n\n" for line in lines if line.strip()), lines[0] if lines else "",
                              f"slide={number}")  # fmt: skip
        else:
            yield from _under_headings(part)


def _under_headings(part: Element) -> Iterator[Section]:
    gathered: list[str] = []
    title = ""
    for text, is_heading in _blocks(part):
        if not text.strip():
            continue
        if is_heading:
            if gathered:
                yield Section("".join(gathered), title)
            gathered, title = [], " ".join(text.split())
        gathered.append(text + "\n\n")
    yield Section("".join(gathered), title)


def _blocks(parent: Element) -> Iterator[tuple[str, bool]]:
    """Each paragraph, heading and table row, and whether it is a heading."""
    for block in parent:
        if block.tag in (f"{TEXT}p", f"{TEXT}h"):
            yield _text(block), block.tag == f"{TEXT}h"
        elif block.tag == f"{TABLE}table":
            for row in _rows(block):
                yield "\t".join(row).rstrip(), False
        elif block.tag not in _SKIPPED:
            yield from _blocks(block)


def _rows(table: Element) -> Iterator[list[str]]:
    for child in table:
        if child.tag == f"{TABLE}table-row":
            cells: list[str] = []
            for cell in child:
                if cell.tag in (f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
                    text = " ".join(line for line, _ in _blocks(cell))
                    cells += [text] * (_repeats(cell, "columns") if text else 1)
            for _ in range(_repeats(child, "rows") if any(cells) else 0):
                yield cells
        elif child.tag.startswith(TABLE):
            yield from _rows(child)


def _repeats(element: Element, what: str) -> int:
    number = element.get(f"{TABLE}number-{what}-repeated", "1")
    return min(int(number), MOST_REPEATS) if number.isdecimal() and len(number) < 12 else 1


def _text(paragraph: Element) -> str:
    pieces: list[str] = []
    waiting: list[Element | str] = [paragraph]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            pieces.append(one)
            continue
        if one.tag in _SKIPPED:
            continue
        if one.tag == f"{TEXT}s":
            count = one.get(f"{TEXT}c", "1")
            pieces.append(" " * (min(int(count), 1000) if count.isdecimal() and len(count) < 9 else 1))
        elif one.tag == f"{TEXT}tab":
            pieces.append("\t")
        elif one.tag in (f"{TEXT}line-break", f"{TEXT}note-body"):
            pieces.append("\n" if one.tag == f"{TEXT}line-break" else " ")
        pieces.append(one.text or "")
        for child in reversed(one):
            waiting += [child.tail or "", child]
    return "".join(pieces)
