"""PDF to text: pages without running heads, lines joined to paragraphs, words without the hyphens of the line ends.

In: the bytes of a PDF. Out: paragraphs, a blank line between. PDFium (through pypdfium2) finds the characters and
their order, and marks the hyphens that only a line end put there. It is native code, so it runs in a supervised child
wherever documents are made.

A PDF knows lines, not paragraphs; without joining them, every line would count as one for the quality rules. A line
continues in the next one if it is nearly as long as the page's long lines.
"""

from __future__ import annotations

import re
from collections import Counter

from glassmill.errors import UnreadableError

MAX_PAGES = 20_000
SOFT_HYPHEN = "\ufffe"
FULL_LINE = 0.75
"""Share of the page's long lines from which on a line is taken to continue."""
HEAD_SHARE = 0.4
"""A first or last line that appears, but for its numbers, on this share of the pages is a running head."""

_NUMBER = re.compile(r"\d+")
_BULLET = re.compile(r"\s*(?:[•▪◦‣·–*-]|\(?[0-9a-zA-Z]{1,3}[.)])\s")
_PAGE_NUMBER = re.compile(r"\W*(?:page )?(?:\d{1,5}|[ivxlc]{1,6})(?: of \d{1,5})?\W*", re.IGNORECASE)


def pdf_to_text(content: bytes) -> str:
    """The text of a PDF; empty if it holds none (a scan).

    Raises:
        UnreadableError: damaged, locked with a password, or of more than 20,000 pages.
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        raise UnreadableError("PDF with a password" if locked else f"damaged PDF: {error}") from None
    try:
        if len(document) > MAX_PAGES:
            raise UnreadableError(f"PDF too long: {len(document)} pages, over the limit of {MAX_PAGES}")
        pages = [_page_lines(document, number) for number in range(len(document))]
    except pypdfium2.PdfiumError as error:
        raise UnreadableError(f"damaged PDF: {error}") from None
    finally:
        document.close()
    return join_lines(without_heads(pages))


def _page_lines(document: object, number: int) -> list[str]:
    page = document[number]  # type: ignore[index]
    text_page = page.get_textpage()
    try:
        text: str = text_page.get_text_range()
    finally:
        text_page.close()
        page.close()
    return [line for line in (line.rstrip() for line in text.splitlines()) if line.strip()]


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
    paragraphs: list[str] = []
    open_line = False
    for lines in pages:
        lengths = sorted(map(len, lines))
        full = FULL_LINE * lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0
        for line in lines:
            text = line.strip()
            if open_line and not _BULLET.match(line):
                last = paragraphs[-1]
                broken = last.endswith((SOFT_HYPHEN, "\u00ad"))
                paragraphs[-1] = last[:-1] + text if broken else f"{last} {text}"
            else:
                paragraphs.append(text)
            open_line = len(line) >= full or text.endswith(SOFT_HYPHEN)
    return "\n\n".join(paragraphs).replace(SOFT_HYPHEN, "")
