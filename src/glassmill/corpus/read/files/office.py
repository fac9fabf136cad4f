"""DOCX and EPUB: zip files of XML, read with the standard library and defusedxml (no entities, no outside files).

Source: ECMA-376 part 1 (WordprocessingML, 17.3), EPUB 3.3 (3: package document, spine).
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import IO
from urllib.parse import unquote
from xml.etree.ElementTree import Element  # a name for the types; parsing is defusedxml's

from glassmill.corpus.read.files.archives import check_zip, read_member
from glassmill.errors import UnreadableError
from glassmill.recipe import FilesSettings

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
PACKAGE = "{http://www.idpf.org/2007/opf}"
CHAPTER_TYPES = frozenset({"application/xhtml+xml", "text/html"})


def docx_to_text(file: IO[bytes], limits: FilesSettings) -> str:
    """The paragraphs of a Word document, a blank line between; a table row is a paragraph, its cells separated by tabs.

    Raises:
        UnreadableError: not a DOCX, or damaged.
        RefusedError: unpacks to more than `limits` allow.
    """
    with _open_zip(file, "DOCX") as archive:
        check_zip(archive, limits)
        body = _xml(archive, "word/document.xml", limits)
    paragraphs: list[str] = []
    for element in body.iter(f"{WORD}body"):
        for block in element:
            paragraphs.extend(_blocks(block))
    return "\n\n".join(text for text in paragraphs if text.strip())


def _blocks(block: Element) -> Iterator[str]:
    if block.tag == f"{WORD}p":
        yield _paragraph(block)
    elif block.tag == f"{WORD}tbl":
        for row in block.iter(f"{WORD}tr"):
            cells = (" ".join(map(_paragraph, cell.iter(f"{WORD}p"))) for cell in row.iter(f"{WORD}tc"))
            yield "\t".join(cell.strip() for cell in cells)
    elif block.tag == f"{WORD}sdt":  # a content control, such as a table of contents
        for content in block.iter(f"{WORD}p"):
            yield _paragraph(content)


def _paragraph(paragraph: Element) -> str:
    pieces: list[str] = []
    for element in paragraph.iter():
        if element.tag == f"{WORD}t":
            pieces.append(element.text or "")
        elif element.tag == f"{WORD}tab":
            pieces.append("\t")
        elif element.tag in (f"{WORD}br", f"{WORD}cr"):
            pieces.append("\n")
    return "".join(pieces)


def epub_chapters(file: IO[bytes], limits: FilesSettings) -> Iterator[tuple[str, bytes]]:
    """Name and XHTML of every chapter, in reading order.

    Raises:
        UnreadableError: not an EPUB, damaged, or with copy protection.
        RefusedError: a name points outside the book, or it unpacks to more than `limits` allow.
    """
    with _open_zip(file, "EPUB") as archive:
        check_zip(archive, limits)
        names = set(archive.namelist())
        if "META-INF/encryption.xml" in names and b"EncryptedKey" in read_member(
            archive, "META-INF/encryption.xml", limits
        ):
            raise UnreadableError("EPUB with copy protection")
        root = next(_xml(archive, "META-INF/container.xml", limits).iter(f"{CONTAINER}rootfile"), None)
        package_name = root.get("full-path", "") if root is not None else ""
        package = _xml(archive, package_name, limits)
        items = {item.get("id", ""): item for item in package.iter(f"{PACKAGE}item")}
        for reference in package.iter(f"{PACKAGE}itemref"):
            item = items.get(reference.get("idref", ""))
            if item is None or item.get("media-type") not in CHAPTER_TYPES:
                continue
            place = posixpath.join(posixpath.dirname(package_name), unquote(item.get("href", "")))
            name = posixpath.normpath(place)
            if name in names:
                yield name, read_member(archive, name, limits)


def _open_zip(file: IO[bytes], kind: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:  # the last: of a newer zip version
        raise UnreadableError(f"not a {kind} file: {error}") from None


def _xml(archive: zipfile.ZipFile, name: str, limits: FilesSettings) -> Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        content = read_member(archive, name, limits)
    except KeyError:
        raise UnreadableError(f"{name or 'package document'} is missing") from None
    try:
        root: Element = fromstring(content)
        return root
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UnreadableError(f"invalid XML in {name}: {str(error) or type(error).__name__}"[:200]) from None
