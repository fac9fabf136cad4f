"""A long document becomes several, cut at its own sections: headings, pages, slides, sheets, chapters.

In: sections in order, as a reader finds them; the text of each carries its own blank lines. Out: pieces of at most
`most` characters, with the heading and the place of the first section in each. Only what one piece holds is in memory.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

FLUSH = 1 << 16
"""A section that goes on longer than this many characters is passed on in parts."""
MAX_TITLE = 160
_MARKS = {
    "markdown": re.compile(r" {0,3}#{1,6}\s+(.*?)[\s#]*$"),
    "asciidoc": re.compile(r"={1,6}\s+(.+?)\s*=*$"),
    "latex": re.compile(r"\s*\\(?:part|chapter|(?:sub)*section)\*?(?:\[[^\]]*\])?\{(.+?)\}"),
    "man": re.compile(r"\.\s*(?:SH|SS|Sh|Ss)\s+\"?(.+?)\"?\s*$"),
    "texinfo": re.compile(r"@(?:chapter|(?:sub)*section|appendix\w*|unnumbered\w*|majorheading|top)\s+(.+)"),
    "org": re.compile(r"\*{1,6}\s+(.+)"),
    "wiki": re.compile(r"={1,6}\s*([^=].*?)\s*=+\s*$"),
    "text": re.compile(
        r"((?:(?:chapter|part|section|appendix)\s+\w+|\d{1,3}(?:\.\d{1,3}){0,4}\.?\s+[^\W\d_]).{0,80})$", re.IGNORECASE
    ),
}  # fmt: skip
"""Heading lines of the plain kinds of markup."""
UNDERLINED = frozenset({"markdown", "rst", "text", "asciidoc"})
"""Kinds in which a line of punctuation under a line makes it a heading."""
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}\s*$")
_FENCE = re.compile(r" {0,3}(?:```|~~~)")
_HTML_HEADING = re.compile(r"<h[1-6]\b[^<>]{0,500}>", re.I)
_TAG = re.compile(r"<[^<>]{0,500}>")
_NO_SLUG = re.compile(r"[^\w]+")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"')\]]*\s")


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document. `title`: its heading; `anchor`: its place, such as `page=12`, or empty."""

    text: str
    title: str = ""
    anchor: str = ""


def pieces(sections: Iterable[Section], most: int) -> Iterator[Section]:
    """The sections gathered to pieces of at most `most` characters; with 0 all of them are one piece.

    A document that is one piece has neither title nor anchor. The anchors of the others differ from each other. If
    reading ends with an error, what came before is a piece, and the error follows.
    """
    used: Counter[str] = Counter()
    held: Section | None = None
    gathered: list[Section] = []
    size = 0
    failure: Exception | None = None
    bounded = _bounded(sections, most)
    while True:
        try:
            section = next(bounded, None)
        except Exception as error:
            failure, section = error, None
        if section is None:
            break
        if gathered and most and size + len(section.text) > most:
            if held:
                yield held
            held = _joined(gathered, used)
            gathered, size = [], 0
        gathered.append(section)
        size += len(section.text)
    last = _joined(gathered, used)
    if held:
        yield held
    if last.text.strip() or not failure:
        yield last if held else replace(last, title="", anchor="")
    if failure:
        raise failure


def _bounded(sections: Iterable[Section], most: int) -> Iterator[Section]:
    for section in sections:
        if most and len(section.text) > most:
            yield from (replace(section, text=part) for part in cut(section.text, most))
        else:
            yield section


def cut(text: str, most: int) -> Iterator[str]:
    """The text in parts of at most `most` characters, cut at the best place of each part's second half."""
    begin = 0
    while len(text) - begin > most:
        end = _best_cut(text, begin + most // 2, begin + most)
        yield text[begin:end]
        begin = end
    yield text[begin:]


def _best_cut(text: str, first: int, last: int) -> int:
    for mark in ("\n\n", "\n"):
        place = text.rfind(mark, first, last)
        if place >= 0:
            return place + len(mark)
    ends = [match.end() for match in _SENTENCE_END.finditer(text, first, last)]
    place = ends[-1] if ends else text.rfind(" ", first, last) + 1
    return place or last


def _joined(sections: list[Section], used: Counter[str]) -> Section:
    title = next((section.title for section in sections if section.title), "")
    anchor = next((section.anchor for section in sections if section.anchor), "") or slug(title) or "part"
    used[anchor] += 1
    if used[anchor] > 1:
        anchor = f"{anchor}-{used[anchor]}"
        used[anchor] += 1
    return Section("".join(section.text for section in sections), title[:MAX_TITLE], anchor)


def slug(title: str) -> str:
    """A heading as the anchor that web pages give it: `Getting started!` is `getting-started`."""
    return _NO_SLUG.sub("-", title.lower()).strip("-")[:60].strip("-")


def sections_of_lines(lines: Iterable[str], markup: str = "text") -> Iterator[Section]:
    """Sections of plain text in `markup`; lines with their ends. Joined, the sections are the lines."""
    mark = _MARKS.get(markup)
    gathered: list[str] = []
    title, size, fenced = "", 0, False
    for line in lines:
        if markup == "markdown" and _FENCE.match(line):
            fenced = not fenced
        begins = None
        is_start = markup != "text" or not gathered or not gathered[-1].strip()
        if mark and not fenced and is_start and len(line) <= 2 * MAX_TITLE and (match := mark.match(line.rstrip("\n"))):
            begins = _plain_title(match[1])
        if begins is None and markup in UNDERLINED and not fenced and _is_underlined(gathered, line):
            heading = gathered.pop()
            if gathered:
                yield Section("".join(gathered), title)
            gathered, size, title = [heading, line], len(heading) + len(line), _plain_title(heading)
            continue
        if begins is not None or (size > FLUSH and (not line.strip() or size > 4 * FLUSH)):
            if gathered:
                yield Section("".join(gathered), title)
            gathered, size = [], 0
            title = title if begins is None else begins
        gathered.append(line)
        size += len(line)
    yield Section("".join(gathered), title)


def _is_underlined(before: list[str], line: str) -> bool:
    if not before or not _UNDERLINE.match(line) or (len(before) > 1 and before[-2].strip()):
        return False
    heading = before[-1].strip()
    return 0 < len(heading) <= MAX_TITLE and not _UNDERLINE.match(before[-1]) and len(line.strip()) >= len(heading) - 3


def _plain_title(text: str) -> str:
    return " ".join(text.split()).strip("*_` ")[:MAX_TITLE]


def sections_of_html(text: str, page: str) -> Iterator[Section]:
    """Sections of the text that was extracted from an HTML page: a line that is one of its headings begins one."""
    headings: Counter[str] = Counter()
    for match in _HTML_HEADING.finditer(page):
        end = page.find("</h", match.end(), match.end() + 2000)
        if end > 0:
            headings[" ".join(html.unescape(_TAG.sub("", page[match.end() : end])).split())] += 1
    gathered: list[str] = []
    title = ""
    for line in text.splitlines(keepends=True):
        plain = " ".join(line.split())
        if plain and headings[plain] > 0:
            headings[plain] -= 1
            if gathered:
                yield Section("".join(gathered), title)
            gathered, title = [], plain[:MAX_TITLE]
        gathered.append(line)
    yield Section("".join(gathered), title)
