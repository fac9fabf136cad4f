"""PDF to text: pages without running heads, lines joined to paragraphs, words without the hyphens of the line ends.

In: a PDF. Out: paragraphs, a blank line between, by page. PDFium (through pypdfium2) finds the characters and
their order, and marks the hyphens that only a line end put there. It is native code, so it runs in a supervised child
wherever documents are made. A file is read page by page, so that its length costs no memory.

A PDF knows lines, not paragraphs; without joining them, every line would count as one for the quality rules. A line
continues in the next one if it is nearly as long as the page's long lines.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassmill.corpus.read.files.sections import Section
from glassmill.errors import RefusedError, UnreadableError

MAX_PAGES = 20_000
HARMLESS_PAGES, PAGE_BYTES = 200, 40
"""A file names one page object again and again, if it has more pages than bytes for them."""
HARMLESS_BYTES, MAX_RATIO = 64 << 20, 200
MAX_FILTERS = 3
CHUNK, KEPT_BYTES = 1 << 18, 4 << 20
PAGES_AT_ONCE = 100
"""Running heads are looked for in so many pages at once."""
SOFT_HYPHEN = "\ufffe"
FULL_LINE = 0.75
"""Share of the page's long lines from which on a line is taken to continue."""
HEAD_SHARE = 0.4
"""A first or last line that appears, but for its numbers, on this share of the pages is a running head."""
LONG = 20_000
"""Characters after which a paragraph ends, whatever its lines look like."""
NO_OCR = "scanned pages without text; OCR is not part of glassmill: run ocrmypdf first"

_STREAM = re.compile(rb"stream\r?\n(?=[\x08-\x78][\x01\x5e\x9c\xda])")
_ZLIB = re.compile(rb"[\x08-\x78][\x01\x5e\x9c\xda]")
_NUMBER = re.compile(r"\d+")
_BULLET = re.compile(r"\s*(?:[•▪◦‣·–*-]|\(?[0-9a-zA-Z]{1,3}[.)])\s")
_PAGE_NUMBER = re.compile(r"\W*(?:page )?(?:\d{1,5}|[ivxlc]{1,6})(?: of \d{1,5})?\W*", re.IGNORECASE)


def pdf_to_text(content: bytes) -> str:
    """The text of a PDF; empty if it holds none. Raises what `pdf_sections` raises, but for scans."""
    return "".join(section.text for section in pdf_sections(content, scans=[])).strip()


def pdf_sections(source: bytes | Path, scans: list[int] | None = None) -> Iterator[Section]:
    """The text of each page that has some.

    Args:
        scans: Takes the numbers of the pages that are pictures without text; without it they are an error at the end.

    Raises:
        UnreadableError: damaged, locked with a password, of more than 20,000 pages, or with scanned pages.
        RefusedError: see `check_streams`.
    """
    import pypdfium2

    check_streams(source if isinstance(source, bytes) else source.read_bytes())
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    try:
        document = pypdfium2.PdfDocument(source)
    except (pypdfium2.PdfiumError, FileNotFoundError) as error:
        locked = "password" in str(error).lower()
        raise UnreadableError("PDF with a password" if locked else f"damaged PDF: {error}") from None
    found: list[int] = [] if scans is None else scans
    paragraphs = _Paragraphs()
    try:
        count = len(document)
        if count > min(MAX_PAGES, HARMLESS_PAGES + size // PAGE_BYTES):
            raise UnreadableError(f"PDF too long: {count} pages in {size} bytes, over the limit of {MAX_PAGES}")
        for begin in range(0, count, PAGES_AT_ONCE):
            numbers = range(begin, min(begin + PAGES_AT_ONCE, count))
            pages = [_page_lines(document, number, found) for number in numbers]
            for number, lines in zip(numbers, without_heads(pages), strict=True):
                yield from paragraphs.add(number, lines)
    except pypdfium2.PdfiumError as error:
        raise UnreadableError(f"damaged PDF: {error}") from None
    finally:
        document.close()
    yield from paragraphs.rest()
    if found and scans is None:
        raise UnreadableError(NO_OCR if len(found) == count else f"{NO_OCR} ({len(found):,} of {count:,} pages)")


def check_streams(content: bytes) -> None:
    """Unpacks the compressed streams and forgets them, because PDFium has no limit on what they expand to.

    Raises:
        RefusedError: they expand to more than 64 MB and 200 times the file.
    """
    left = max(HARMLESS_BYTES, MAX_RATIO * len(content))
    for match in _STREAM.finditer(content):
        packed, place = content, match.end()
        for _ in range(MAX_FILTERS):  # a stream may be packed again and again
            first, left = _expanded(packed, place, left)
            if left < 0:
                raise RefusedError(f"refused: its streams expand more than {MAX_RATIO} times")
            if not _ZLIB.match(first):
                break
            packed, place = first, 0


def _expanded(packed: bytes, place: int, left: int) -> tuple[bytes, int]:
    """The first bytes of a stream, unpacked, and what is left of `left` after all of it."""
    inflate, pieces, have = zlib.decompressobj(), [], 0
    rest = b""
    try:
        while left >= 0 and not inflate.eof and (rest or place < len(packed)):
            if not rest:
                rest, place = packed[place : place + CHUNK], place + CHUNK
            piece = inflate.decompress(rest, CHUNK)
            rest = inflate.unconsumed_tail
            left -= len(piece)
            if have < KEPT_BYTES:
                pieces.append(piece)
                have += len(piece)
    except zlib.error:
        pass
    return b"".join(pieces), left


def _page_lines(document: Any, number: int, scans: list[int]) -> list[str]:
    page = document[number]
    text_page = page.get_textpage()
    try:
        text: str = text_page.get_text_range()
        lines = [line for line in (line.rstrip() for line in text.splitlines()) if line.strip()]
        if not lines and next(page.get_objects(filter=[3], max_depth=3), None) is not None:  # 3: a picture
            scans.append(number)
        return lines
    finally:
        text_page.close()
        page.close()


def without_heads(pages: list[list[str]]) -> list[list[str]]:
    """The pages without running heads, feet and page numbers: first and last lines that many pages share."""
    edges = Counter(_blank_numbers(line) for lines in pages for line in {*lines[:1], *lines[-1:]})
    often = max(3, HEAD_SHARE * len(pages))

    def is_head(line: str) -> bool:
        return bool(_PAGE_NUMBER.fullmatch(line)) or edges[_blank_numbers(line)] >= often

    kept = []
    for lines in pages:
        begin, end = 0, len(lines)
        while begin < end and begin < 2 and is_head(lines[begin]):
            begin += 1
        while end > begin and end > len(lines) - 2 and is_head(lines[end - 1]):
            end -= 1
        kept.append(lines[begin:end])
    return kept


def _blank_numbers(line: str) -> str:
    return _NUMBER.sub("0", line.strip())


def join_lines(pages: list[list[str]]) -> str:
    """Paragraphs out of lines, across pages too."""
    paragraphs = _Paragraphs()
    sections = [section for number, lines in enumerate(pages) for section in paragraphs.add(number, lines)]
    return "".join(section.text for section in [*sections, *paragraphs.rest()]).strip()


class _Paragraphs:
    """Takes lines page by page and gives the pages before: a paragraph may end on the next one."""

    def __init__(self) -> None:
        self.page: list[str] = []
        self.number = 0
        self.is_open = False

    def add(self, number: int, lines: list[str]) -> Iterator[Section]:
        lengths = sorted(map(len, lines))
        full = FULL_LINE * lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0
        paragraphs = self.page  # of the page before, as long as its last paragraph goes on
        for line in lines:
            text = line.strip()
            if self.is_open and paragraphs and len(paragraphs[-1]) < LONG and not _BULLET.match(line):
                last = paragraphs[-1]
                broken = last.endswith((SOFT_HYPHEN, "\u00ad"))
                paragraphs[-1] = last[:-1] + text if broken else f"{last} {text}"
            else:
                if paragraphs is self.page and self.number != number:
                    yield from self.rest()
                    paragraphs, self.number = self.page, number
                paragraphs.append(text)
            self.is_open = len(line) >= full or text.endswith(SOFT_HYPHEN)

    def rest(self) -> Iterator[Section]:
        if self.page:
            text = "".join(f"{paragraph}\n\n" for paragraph in self.page).replace(SOFT_HYPHEN, "")
            self.page = []
            yield Section(text, f"page {self.number + 1}", f"page={self.number + 1}")
