"""XLSX: the sheets of a workbook, a line a row, cells separated by tabs.

Source: ECMA-376 part 1, 18.2 (workbook), 18.3.1.4 (cell), 18.4 (shared strings), 18.8.30 (number formats).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element  # a name for the types; parsing is defusedxml's

from glassmill.corpus.read.files.plain import rows_sections
from glassmill.corpus.read.files.sections import Section
from glassmill.corpus.read.files.zipped import R_ID, opened, parsed, related
from glassmill.errors import UnreadableError
from glassmill.recipe import FilesSettings

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
DATES = frozenset({*range(14, 23), *range(45, 48)})
"""Numbers of the built-in formats that show a date or a time."""
EPOCH = datetime(1899, 12, 30)
_NO_FORMAT = re.compile(r"\"[^\"]*\"|\\.|\[[^\]]*\]")


def xlsx_sections(path: Path, limits: FilesSettings) -> Iterator[Section]:
    """The sheets in their order."""
    with opened(path, "XLSX", limits) as archive:
        workbook = parsed(archive, "xl/workbook.xml", limits)
        parts = related(archive, "xl/workbook.xml", limits)
        strings = _strings(archive, parts, limits)
        dates = _date_styles(archive, parts, limits)
        for sheet in workbook.iter(f"{SHEET}sheet"):
            kind, part = parts.get(sheet.get(R_ID, ""), ("", ""))
            if kind == "worksheet":
                name = sheet.get("name", "")
                yield from rows_sections(_rows(archive, part, strings, dates), name, f"sheet={name}")


def _strings(archive: zipfile.ZipFile, parts: dict[str, tuple[str, str]], limits: FilesSettings) -> list[str]:
    part = next((name for kind, name in parts.values() if kind == "sharedStrings"), "")
    return [_text(item) for item in parsed(archive, part, limits).iter(f"{SHEET}si")] if part else []


def _text(item: Element) -> str:
    """The text of a string; not its reading aids (`rPh`)."""
    direct = [item, *item.findall(f"{SHEET}r")]
    return "".join(text.text or "" for one in direct for text in one.findall(f"{SHEET}t"))


def _date_styles(archive: zipfile.ZipFile, parts: dict[str, tuple[str, str]], limits: FilesSettings) -> frozenset[int]:
    """The numbers of the cell styles that show a date."""
    part = next((name for kind, name in parts.values() if kind == "styles"), "")
    if not part:
        return frozenset()
    root = parsed(archive, part, limits)
    dates = set(DATES)
    for own in root.iter(f"{SHEET}numFmt"):
        if re.search(r"[ymdhs]", _NO_FORMAT.sub("", own.get("formatCode", "")).lower().replace("general", "")):
            dates.add(int(own.get("numFmtId", "0")))
    styles = root.find(f"{SHEET}cellXfs")
    return frozenset(
        number for number, style in enumerate(styles if styles is not None else ())
        if int(style.get("numFmtId", "0")) in dates
    )  # fmt: skip


def _rows(archive: zipfile.ZipFile, part: str, strings: list[str], dates: frozenset[int]) -> Iterator[list[str]]:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, iterparse

    try:
        with archive.open(part) as file:
            data: Element | None = None
            for event, element in iterparse(file, events=("start", "end")):
                if event == "start":
                    data = element if element.tag == f"{SHEET}sheetData" else data
                elif element.tag == f"{SHEET}row":
                    yield [_cell(cell, strings, dates) for cell in element.iter(f"{SHEET}c")]
                    if data is not None:
                        data.clear()
    except (KeyError, ParseError, DefusedXmlException) as error:
        raise UnreadableError(f"invalid XML in {part}: {error}"[:200]) from None


def _cell(cell: Element, strings: list[str], dates: frozenset[int]) -> str:
    kind, value = cell.get("t", "n"), cell.findtext(f"{SHEET}v") or ""
    if kind == "inlineStr":
        inline = cell.find(f"{SHEET}is")
        return _text(inline) if inline is not None else ""
    if kind == "s":
        return strings[int(value)] if value.isdecimal() and int(value) < len(strings) else ""
    if kind == "b":
        return "TRUE" if value == "1" else "FALSE"
    if kind != "n" or not value:
        return value
    return _date(float(value)) if int(cell.get("s", "0")) in dates else _number(value)


def _number(text: str) -> str:
    """As a spreadsheet shows it: 15 digits, so that 0.1 + 0.2 is 0.3."""
    return f"{float(text):.15g}" if "." in text or "e" in text.lower() else text


def _date(days: float) -> str:
    if not 0 <= days < 3_000_000:
        return f"{days:.15g}"
    moment = EPOCH + timedelta(seconds=round(days * 86400))
    if days < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d" if days == int(days) else "%Y-%m-%d %H:%M:%S")
