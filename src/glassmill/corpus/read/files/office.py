"""DOCX, PPTX and EPUB: zip files of XML, read with the standard library and defusedxml (no entities, no outside files).

Source: ECMA-376 part 1 (WordprocessingML, 17.3; PresentationML, 19.3; DrawingML, 21.1.2), EPUB 3.3 (3: package
document, spine).
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote
from xml.etree.ElementTree import Element  # a name for the types; parsing is defusedxml's

from glassmill.corpus.read.files.archives import read_member
from glassmill.corpus.read.files.sections import Section
from glassmill.corpus.read.files.zipped import R_ID, opened, parsed, related
from glassmill.errors import UnreadableError
from glassmill.recipe import FilesSettings

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
SLIDE = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
MOVED_AWAY = f"{WORD}moveFrom"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
PACKAGE = "{http://www.idpf.org/2007/opf}"
CHAPTER_TYPES = frozenset({"application/xhtml+xml", "text/html"})
_HEADING = re.compile(r"(?:heading|berschrift|titre|title|t[ií]tulo|kop|rubrik|otsikko|nag[łl][óo]wek).{0,3}\d*$", re.I)


# --- DOCX -------------------------------------------------------------------------------------------------------------


def docx_to_text(file: IO[bytes], limits: FilesSettings) -> str:
    """The paragraphs of a Word document, a blank line between; see `docx_sections`."""
    return "".join(section.text for section in docx_sections(file, limits)).strip()


def docx_sections(file: IO[bytes] | Path, limits: FilesSettings) -> Iterator[Section]:
    """The paragraphs of a Word document, and its notes; a table row is a paragraph, its cells separated by tabs.

    Raises:
        UnreadableError: not a DOCX, or damaged.
        RefusedError: unpacks to more than `limits` allow.
    """
    with opened(file, "DOCX", limits) as archive:
        names = archive.NameToInfo
        body = parsed(archive, "word/document.xml", limits)
        headings = _heading_styles(archive, limits)
        notes = [
            parsed(archive, name, limits)
            for name in ("word/footnotes.xml", "word/endnotes.xml")
            if name in names
        ]  # fmt: skip
    gathered: list[str] = []
    title = ""
    for root in (*body.iter(f"{WORD}body"), *notes):
        for block, style in _blocks(root):
            if not block.strip():
                continue
            if style in headings:
                if gathered:
                    yield Section("".join(gathered), title)
                gathered, title = [], " ".join(block.split())
            gathered.append(block + "\n\n")
    yield Section("".join(gathered), title)


def _heading_styles(archive: zipfile.ZipFile, limits: FilesSettings) -> frozenset[str]:
    """The ids of the styles that are headings, by their name or their outline level."""
    found = {f"Heading{level}" for level in range(1, 10)} | {"Title"}
    if "word/styles.xml" in archive.NameToInfo:
        for style in parsed(archive, "word/styles.xml", limits).iter(f"{WORD}style"):
            name = style.find(f"{WORD}name")
            level = style.find(f"{WORD}pPr/{WORD}outlineLvl")
            if level is not None or (name is not None and _HEADING.match(name.get(f"{WORD}val", ""))):
                found.add(style.get(f"{WORD}styleId", ""))
    return frozenset(found)


def _blocks(parent: Element) -> Iterator[tuple[str, str]]:
    """Each paragraph and table row under `parent`, with the paragraph's style; whatever wraps it."""
    for block in parent:
        if block.tag == f"{WORD}p":
            style = block.find(f"{WORD}pPr/{WORD}pStyle")
            yield _paragraph(block), style.get(f"{WORD}val", "") if style is not None else ""
        elif block.tag == f"{WORD}tbl":
            for row in _inside(block, f"{WORD}tr"):
                cells = (" ".join(text for text, _ in _blocks(cell)).strip() for cell in _inside(row, f"{WORD}tc"))
                yield "\t".join(cells), ""
        elif block.tag != FALLBACK and not block.tag.endswith("Pr"):
            yield from _blocks(block)


def _inside(parent: Element, tag: str) -> Iterator[Element]:
    """The nearest elements of that tag under `parent`."""
    for child in parent:
        if child.tag == tag:
            yield child
        else:
            yield from _inside(child, tag)


def _paragraph(paragraph: Element) -> str:
    pieces: list[str] = []
    waiting = [paragraph]
    while waiting:
        element = waiting.pop()
        if element.tag == f"{WORD}r" and _is_hidden(element):
            continue
        if element.tag in (f"{WORD}t", f"{MATH}t"):
            pieces.append(element.text or "")
        elif element.tag == f"{WORD}tab" and element.get(f"{WORD}val") is None:  # with a value: a stop's position
            pieces.append("\t")
        elif element.tag in (f"{WORD}br", f"{WORD}cr"):
            pieces.append("\n")
        elif element.tag == f"{WORD}noBreakHyphen":
            pieces.append("-")
        if element.tag not in (FALLBACK, MOVED_AWAY):
            waiting.extend(reversed(element))
    return "".join(pieces)


def _is_hidden(run: Element) -> bool:
    """Whether Word does not show it (17.3.2.41)."""
    vanish = run.find(f"{WORD}rPr/{WORD}vanish")
    return vanish is not None and vanish.get(f"{WORD}val", "1") not in ("0", "false", "off")


# --- PPTX -------------------------------------------------------------------------------------------------------------


def pptx_sections(path: Path, limits: FilesSettings) -> Iterator[Section]:
    """The slides in their order, with their notes."""
    with opened(path, "PPTX", limits) as archive:
        parts = related(archive, "ppt/presentation.xml", limits)
        order = parsed(archive, "ppt/presentation.xml", limits).iter(f"{SLIDE}sldId")
        for number, slide in enumerate(order, 1):
            part = parts.get(slide.get(R_ID, ""), ("", ""))[1]
            root = parsed(archive, part, limits)
            notes = [name for kind, name in related(archive, part, limits).values() if kind == "notesSlide"]
            text = _slide_text(root)
            for name in notes:
                text += _slide_text(parsed(archive, name, limits), notes=True)
            if text:
                yield Section(text, _slide_title(root), f"slide={number}")


def _slide_text(root: Element, notes: bool = False) -> str:
    """Paragraphs and table rows; of a page of notes only the notes."""
    lines: list[str] = []
    waiting: list[Element] = [root]
    while waiting:
        element = waiting.pop()
        if element.tag == f"{DRAWING}p":
            lines.append(_drawn(element))
        elif element.tag == f"{DRAWING}tr":
            cells = (" ".join(map(_drawn, cell.iter(f"{DRAWING}p"))) for cell in element.iter(f"{DRAWING}tc"))
            lines.append("\t".join(cells))
        elif element.tag != FALLBACK and not (notes and _placeholder(element) not in (None, "body")):
            waiting.extend(reversed(element))
    return "".join(line + "\n\n" for line in lines if line.strip())


def _drawn(paragraph: Element) -> str:
    return "".join(
        (element.text or "") if element.tag == f"{DRAWING}t" else "\n"
        for element in paragraph.iter()
        if element.tag in (f"{DRAWING}t", f"{DRAWING}br")
    ).strip()


def _placeholder(shape: Element) -> str | None:
    """What a shape is a placeholder for; None if it is none."""
    if shape.tag != f"{SLIDE}sp":
        return None
    kind = shape.find(f"{SLIDE}nvSpPr/{SLIDE}nvPr/{SLIDE}ph")
    return kind.get("type", "body") if kind is not None else None


def _slide_title(root: Element) -> str:
    for shape in root.iter(f"{SLIDE}sp"):
        if _placeholder(shape) in ("title", "ctrTitle"):
            return " ".join(" ".join(map(_drawn, shape.iter(f"{DRAWING}p"))).split())
    return ""


# --- EPUB -------------------------------------------------------------------------------------------------------------


def epub_chapters(file: IO[bytes] | Path, limits: FilesSettings) -> Iterator[tuple[str, bytes]]:
    """Name and XHTML of every chapter, in reading order.

    Raises:
        UnreadableError: not an EPUB, damaged, or with copy protection.
        RefusedError: a name points outside the book, or it unpacks to more than `limits` allow.
    """
    with opened(file, "EPUB", limits) as archive:
        names = archive.NameToInfo
        if "META-INF/encryption.xml" in names and b"EncryptedKey" in read_member(
            archive, "META-INF/encryption.xml", limits
        ):
            raise UnreadableError("EPUB with copy protection")
        root = next(parsed(archive, "META-INF/container.xml", limits).iter(f"{CONTAINER}rootfile"), None)
        package_name = root.get("full-path", "") if root is not None else ""
        package = parsed(archive, package_name, limits)
        items = {item.get("id", ""): item for item in package.iter(f"{PACKAGE}item")}
        seen: set[str] = set()
        for reference in package.iter(f"{PACKAGE}itemref"):
            item = items.get(reference.get("idref", ""))
            if item is None or item.get("media-type") not in CHAPTER_TYPES or item.get("properties") == "nav":
                continue
            place = posixpath.join(posixpath.dirname(package_name), unquote(item.get("href", "")))
            name = posixpath.normpath(place)
            if name in names and name not in seen:  # a chapter may be named again and again
                seen.add(name)
                yield name, read_member(archive, name, limits)
