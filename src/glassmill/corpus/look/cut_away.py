"""A page's HTML with what extraction took of it: every piece of the HTML, and whether the text has it.

In: a document of a corpus run, by its place among the run's input files, which are read again. Out: the HTML in pieces.
Where the HTML says something twice, a piece may be taken for the other one; the words of the text are all there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from glassmill.corpus.document import Page
from glassmill.corpus.extract.encoding import decode
from glassmill.corpus.extract.extract import html_to_text
from glassmill.corpus.pii import PLACEHOLDERS, leaving, mask
from glassmill.corpus.pii.reserved import Leave
from glassmill.corpus.read.cut import Range
from glassmill.corpus.read.files.kinds import WARC, kind_of
from glassmill.corpus.read.sources import read_pages
from glassmill.errors import UserError
from glassmill.recipe import load_recipe
from glassmill.run.inputs import recorded_inputs

MOST_CHARACTERS = 40_000
"""Of HTML that are shown; a page may have megabytes."""
_MARGIN = 500
"""Characters that are masked beyond those that are shown: what the cut would halve is known whole."""
_INLINE = "a|abbr|b|bdi|bdo|big|cite|code|em|font|i|ins|kbd|label|mark|q|s|samp|small|span|strong|sub|sup|tt|u|var|wbr"
_CHARACTER = r"&#?\w{1,32};?|."
_INLINE_TAG = rf"<!--.*?(?:-->|\Z)|</?(?:{_INLINE})\b[^>]*(?:>|\Z)"
_TAG = r"<[a-zA-Z/!?][^>]*(?:>|\Z)"
_AS_WRITTEN = re.compile(_CHARACTER, re.DOTALL)
_AS_READ = re.compile(rf"(?P<inline>{_INLINE_TAG})|(?P<tag>{_TAG})|{_CHARACTER}", re.DOTALL | re.IGNORECASE)
_PIECE = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|noscript|template|svg|title)\b.*?(?:</\1\s*>|\Z)|<[a-zA-Z/!?][^>]*(?:>|\Z)|[^<\s]+|<",
    re.DOTALL | re.IGNORECASE,
)


class Piece(NamedTuple):
    """A piece of HTML, and whether its words are in the text."""

    text: str
    kept: bool


def cut_away(run: Path, web: Path | None, source: str, offset: int, url: str) -> tuple[list[Piece], str]:
    """The HTML of a page in pieces, and its text as extraction left it, both with personal data masked.

    Args:
        run: The corpus run.
        web: The generated web that it read, if it did.
        source, offset, url: Of the document.

    Raises:
        UserError: the input file is not there any more, has another page there, or is no archive of pages.
    """
    page = _page(_file_of(run, web, source), source, offset, url)
    settings = load_recipe(run / "recipe.toml").corpus
    leave, most = leaving(True, settings.pii.allow), MOST_CHARACTERS + _MARGIN
    markup = decode(page.body, page.charset)[0]
    text = mask(html_to_text(markup, settings.extract)[:most], leave=leave)[0][:MOST_CHARACTERS]
    return list(pieces(masked(markup[:most], leave)[:MOST_CHARACTERS], text)), text


def masked(markup: str, leave: Leave | None = None) -> str:
    """HTML without the personal data that it holds as written, or as it reads: tags cut it, and entities spell it.

    >>> masked("<a href='mailto:ada@mills.de'>ada&#64;<b>mills</b>.de</a>")
    "<a href='mailto:[email]'>[email]</a>"
    """
    found: list[tuple[int, int, str]] = []
    for pattern in (_AS_WRITTEN, _AS_READ):
        text, places = _resolved(markup, pattern)
        found += [(places[span.start][0], places[span.end - 1][1], span.kind) for span in mask(text, leave=leave)[1]]
    said, position = list[str](), 0
    for start, end, kind in sorted(found):
        if position <= start:
            said += [markup[position:start], PLACEHOLDERS[kind]]
        position = max(position, end)
    return "".join(said) + markup[position:]


def _resolved(markup: str, pattern: re.Pattern[str]) -> tuple[str, list[tuple[int, int]]]:
    """Characters with entities resolved, and where each stands in `markup`. A tag that ends no word leaves nothing."""
    text, places = list[str](), list[tuple[int, int]]()
    for match in pattern.finditer(markup):
        tag = match.groupdict()
        said = "" if tag.get("inline") else "\n" if tag.get("tag") else html.unescape(match[0])
        text.append(said)
        places += [match.span()] * len(said)
    return "".join(text), places


def pieces(markup: str, text: str) -> Iterator[Piece]:
    """HTML cut where words of the text begin and end. Words are compared as they follow each other.

    >>> [piece.text for piece in pieces("<nav>Home</nav><p>Ada &amp; Bo</p>", "Ada & Bo") if piece.kept]
    ['Ada &amp; Bo']
    """
    places = [match.span() for match in _PIECE.finditer(markup) if not match[0].startswith("<")]
    words = [html.unescape(markup[start:end]) for start, end in places]
    matcher = SequenceMatcher(None, words, text.split())  # frequent words only extend a match, so no page is slow
    spans: list[list[int]] = []
    for match in matcher.get_matching_blocks():
        for start, end in places[match.a : match.a + match.size]:
            if spans and not markup[spans[-1][1] : start].strip():
                spans[-1][1] = end
            else:  # something stands between: a tag, or words that were cut away
                spans.append([start, end])
    position = 0
    for start, end in spans:
        if position < start:
            yield Piece(markup[position:start], False)
        yield Piece(markup[start:end], True)
        position = end
    if position < len(markup):
        yield Piece(markup[position:], False)


def _file_of(run: Path, web: Path | None, source: str) -> Path:
    paths = [Path(row["path"]) for row in recorded_inputs(run) if row["name"] == source]
    paths += [web / "warc" / source] if web is not None and "/" not in source else []
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise UserError(f"{source}, which this page was read from, is not here any more, so its HTML is not known")
    return path


def _page(path: Path, source: str, offset: int, url: str) -> Page:
    kind = kind_of(path)
    if kind not in (WARC, "html"):
        raise UserError(f"{source} is no archive of web pages: only of these, HTML stands beside the text")
    found = next(read_pages(path, source, part=Range(offset, offset + 1) if kind == WARC else None), None)
    if not isinstance(found, Page) or found.url != url.partition("#")[0] or found.kind != "html":
        raise UserError(f"{source} has no page of HTML there any more: it is not the file that was read")
    return found
