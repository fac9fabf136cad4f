"""Small office files and letters, written by hand: what `papers` does not have."""

from __future__ import annotations

import json
import struct
from email.message import EmailMessage

from tests.corpus.papers import zipped

RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def relations(parts: dict[str, tuple[str, str]]) -> str:
    rows = "".join(
        f'<Relationship Id="{key}" Type="{RELATION}/{kind}" Target="{target}"/>'
        for key, (kind, target) in parts.items()
    )
    return f'<Relationships xmlns="{PACKAGE}">{rows}</Relationships>'


def xlsx(sheets: dict[str, str], strings: list[str], formats: str = "") -> bytes:
    """Sheets by name, their rows as XML."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    names = "".join(f'<sheet name="{name}" r:id="s{n}"/>' for n, name in enumerate(sheets))
    parts = {f"s{n}": ("worksheet", f"worksheets/{n}.xml") for n in range(len(sheets))}
    shared = "".join(f"<si><t>{text}</t></si>" for text in strings)
    return zipped(
        {
            "xl/workbook.xml": f'<workbook {space} xmlns:r="{RELATION}"><sheets>{names}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                parts | {"t": ("sharedStrings", "sharedStrings.xml"), "y": ("styles", "/xl/styles.xml")}
            ),
            "xl/sharedStrings.xml": f"<sst {space}>{shared}</sst>",
            "xl/styles.xml": f"<styleSheet {space}>{formats}</styleSheet>",
            **{
                f"xl/worksheets/{n}.xml": f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>"
                for n, rows in enumerate(sheets.values())
            },
        }
    )


def pptx(slides: list[tuple[str, str, str]]) -> bytes:
    """Slides of a title, a body and notes, in reverse order in the file."""
    p, a = (f"http://schemas.openxmlformats.org/{name}/2006/main" for name in ("presentationml", "drawingml"))

    def shape(kind: str, text: str) -> str:
        place = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
        return f"<p:sp>{place}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"

    def page(root: str, shapes: str) -> str:
        return f'<p:{root} xmlns:p="{p}" xmlns:a="{a}"><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{root}>'

    order = "".join(f'<p:sldId r:id="r{n}"/>' for n in range(len(slides)))
    members: dict[str, bytes | str] = {
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{p}" xmlns:r="{RELATION}">'
        f"<p:sldIdLst>{order}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(
            {f"r{n}": ("slide", f"slides/slide{len(slides) - n}.xml") for n in range(len(slides))}
        ),
    }
    for n, (title, body, notes) in enumerate(slides):
        name = f"slide{len(slides) - n}.xml"
        members[f"ppt/slides/{name}"] = page("sld", shape("title", title) + shape("body", body))
        members[f"ppt/slides/_rels/{name}.rels"] = relations({"n": ("notesSlide", f"../notesSlides/{name}")})
        members[f"ppt/notesSlides/{name}"] = page("notes", shape("sldNum", "99") + shape("body", notes))
    return zipped(members)


def odf(body: str) -> bytes:
    """An OpenDocument file; `body` is what stands in `office:body`."""
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in (("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"))
    )
    content = f"<office:document-content {spaces}><office:body>{body}</office:body></office:document-content>"
    return zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})


def eml(subject: str, body: str, attached: dict[str, bytes] | None = None, html: bool = False) -> bytes:
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = subject, "The mill <mill@example.org>", "team@example.org"
    letter.set_content(body, subtype="html" if html else "plain")
    for name, content in (attached or {}).items():
        letter.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return letter.as_bytes()


def notebook(*cells: tuple[str, str, str]) -> bytes:
    """Cells of a type, a source and an output."""
    made = [
        {"cell_type": kind, "source": source.splitlines(keepends=True), "metadata": {},
         "outputs": [{"output_type": "stream", "text": [output]}] if output else []}
        for kind, source, output in cells
    ]  # fmt: skip
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()


def msg(properties: dict[str, bytes], attached: dict[str, bytes] | None = None) -> bytes:
    """An Outlook message: a compound file (MS-CFB, version 3) with a stream for each property.

    The streams are padded to 4,096 bytes, below which they would lie in a stream of small ones.
    """
    sector, free, end, special = 512, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    streams = [(f"__substg1.0_{name}", content) for name, content in properties.items()]
    inner = [(f"__substg1.0_{name}", content) for name, content in (attached or {}).items()]
    entries: list[tuple[str, int, int, int, int, bytes]] = []  # name, type, left, right, child, content

    def chain(first: int, names: list[tuple[str, bytes]], last: tuple[int, int] | None = None) -> None:
        """Siblings as a chain of right-hand ones, in the order that the format wants."""
        for number, (name, content) in enumerate(names):
            following = first + number + 1 if number + 1 < len(names) or last else free
            entries.append((name, 2, free, following, free, content))

    names = sorted(streams, key=lambda one: (len(one[0]), one[0].upper()))
    begin_inner = 1 + len(names) + 1
    entries.append(("Root Entry", 5, free, free, 1, b""))
    chain(1, names, (begin_inner, 0) if inner else None)
    if inner:
        entries.append(("__attach_version1.0_#00000000", 1, free, free, begin_inner, b""))
        chain(begin_inner, sorted(inner, key=lambda one: (len(one[0]), one[0].upper())))
    data, table, directory = b"", [], b""
    for name, kind, left, right, child, content in entries:
        start, size = end, 0
        if kind == 2:
            size = max(4096, len(content))
            start = len(data) // sector
            count = -(-size // sector)
            data += content.ljust(count * sector, b"\0")
            table += [*range(start + 1, start + count), end]
        raw = name.encode("utf-16-le")
        directory += raw.ljust(64, b"\0") + struct.pack(
            "<HBBIII16sIQQIQ", len(raw) + 2, kind, 1, left, right, child, b"", 0, 0, 0, start, size
        )
    directory = directory.ljust(-(-len(directory) // sector) * sector, b"\0")
    first_directory = len(table)
    count = len(directory) // sector
    table += [*range(first_directory + 1, first_directory + count), end]
    fats = 1
    while (len(table) + fats) > fats * (sector // 4):
        fats += 1
    first_fat = len(table)
    table += [special] * fats
    fat = b"".join(struct.pack("<I", one) for one in table).ljust(fats * sector, b"\xff")
    magic = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    head = struct.pack(
        "<8s16sHHHHHHIIIIIIIII", magic, b"", 0x3E, 3, 0xFFFE, 9, 6, 0, 0, 0, fats, first_directory, 0, 4096, end, 0, end
    )
    head += struct.pack("<I", 0) + b"".join(struct.pack("<I", first_fat + n) for n in range(fats))
    return head.ljust(sector, b"\xff") + data + directory + fat
