"""JSON, notebooks and XML: what people can read of them.

Source: nbformat 4 (Jupyter); of XML any, DocBook 5 among them: an element with text of its own is a paragraph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element  # a name for the types; parsing is defusedxml's

from glassmill.corpus.extract.extract import strip_tags
from glassmill.corpus.read.files.plain import text_chunks
from glassmill.corpus.read.files.sections import FLUSH, Section, sections_of_lines
from glassmill.errors import UnreadableError

MAX_BYTES = 32 << 20
"""Of a JSON file that is parsed; a larger one is read as the text it is."""
MAX_VALUES = 3_000_000
MAX_TREE_BYTES = 4 << 20
"""Of an XML file that is parsed whole: an element of four bytes takes 150 in memory."""
MAX_ELEMENTS = 1_000_000
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[<>]{0,1000}(?:\[[^\]]{0,100000}\]\s{0,100})?>")
HEADINGS = frozenset({"title", "head", "subtitle", "heading", "h1", "h2", "h3"})
KEEPS_LINES = frozenset({"programlisting", "screen", "literallayout", "pre", "synopsis", "code", "verse", "address"})


# --- JSON -------------------------------------------------------------------------------------------------------------


def json_value(path: Path) -> Any:
    """The value in the file; None if it is none, is too large, or has too many parts."""
    if path.stat().st_size > MAX_BYTES:
        return None
    text = "".join(text_chunks(path))
    if sum(map(text.count, "[{,")) > MAX_VALUES:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def notebook_sections(path: Path) -> Iterator[Section]:
    """The cells of a notebook, text and code in their order, with what the code printed.

    Raises:
        UnreadableError: not a notebook.
    """
    value = json_value(path)
    if not isinstance(value, dict):
        raise UnreadableError("not a notebook: no JSON object")
    cells = value.get("cells")
    if cells is None:  # version 3
        sheets = value.get("worksheets")
        cells = [cell for sheet in sheets or () if isinstance(sheet, dict) for cell in sheet.get("cells") or ()]
    if not isinstance(cells, list):
        raise UnreadableError("not a notebook: no cells")
    texts = [_cell(cell) for cell in cells if isinstance(cell, dict)]
    yield from sections_of_lines("".join(f"{text}\n\n" for text in texts if text.strip()).splitlines(True), "markdown")


def _cell(cell: Mapping[str, object]) -> str:
    parts = [_joined(cell.get("source", cell.get("input")))]
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict):
            data = output.get("data")
            shown = data.get("text/plain") if isinstance(data, dict) else None
            parts.append(_joined(output.get("text", shown)))
    if cell.get("cell_type") == "heading":  # version 3
        level = cell.get("level")
        parts[0] = "#" * (level if isinstance(level, int) and 0 < level < 7 else 1) + " " + parts[0]
    return "\n\n".join(part.rstrip("\n") for part in parts if part.strip())


def _joined(value: object) -> str:
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


# --- XML --------------------------------------------------------------------------------------------------------------


def xml_sections(path: Path) -> Iterator[Section]:
    """The text of an XML file: a paragraph for each element with text of its own.

    Invalid XML, and one with entities of its own, loses its tags and keeps the rest.

    Raises:
        UnreadableError: a large file is invalid from some place on, or has too many elements at once.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    invalid = (ParseError, DefusedXmlException, ValueError, LookupError)
    if path.stat().st_size > MAX_TREE_BYTES:
        try:
            yield from _under_headings(_parts(path))
        except UnreadableError:
            raise
        except invalid as error:
            raise UnreadableError(f"invalid XML: {error}") from None
        return
    try:
        root: Element = parse(path).getroot()
    except invalid:
        text = _DOCTYPE.sub("", "".join(text_chunks(path)), count=1)
        yield from sections_of_lines(strip_tags(text).splitlines(True))
        return
    yield from _under_headings(_paragraphs(root))


def _under_headings(paragraphs: Iterator[tuple[str, str]]) -> Iterator[Section]:
    gathered: list[str] = []
    title, size = "", 0
    for text, tag in paragraphs:
        if tag in HEADINGS or size > FLUSH:
            if gathered:
                yield Section("".join(gathered), title)
            title = " ".join(text.split()) if tag in HEADINGS else title
            gathered, size = [], 0
        gathered.append(text + "\n\n")
        size += len(text)
    yield Section("".join(gathered), title)


def _parts(path: Path) -> Iterator[tuple[str, str]]:
    """The paragraphs of a large file; of the children of its root, one is in memory at a time."""
    from defusedxml.ElementTree import iterparse

    root: Element | None = None
    waiting: Element | None = None  # what follows it, up to the next tag, is not there yet
    depth = count = 0
    for event, element in iterparse(path, events=("start", "end")):
        depth += 1 if event == "start" else -1
        count += 1
        if count > 2 * MAX_ELEMENTS:
            raise UnreadableError(f"XML with more than {MAX_ELEMENTS:,} elements in one part")
        if event == "start" and root is None:
            root = element
        elif root is not None and waiting is not None and (event == "start" or depth == 0):
            yield from _paragraphs(waiting)
            if (waiting.tail or "").strip():
                yield " ".join((waiting.tail or "").split()), ""
            root.remove(waiting)
            waiting, count = None, 0
        if event == "end" and depth == 1:
            waiting = element


def _paragraphs(root: Element) -> Iterator[tuple[str, str]]:
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if not isinstance(element.tag, str):
            continue  # a comment or an instruction
        tag = element.tag.rpartition("}")[2].lower()
        is_mixed = bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)
        if is_mixed or tag in KEEPS_LINES or not len(element):
            text = "".join(element.itertext())
            text = text.strip("\n") if tag in KEEPS_LINES else " ".join(text.split())
            if text.strip():
                yield text, tag
        else:
            waiting.extend(reversed(element))
