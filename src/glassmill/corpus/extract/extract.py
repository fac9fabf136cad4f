"""HTML to text: the page's main content, without its menus, at a cost that no page can blow up.

In: HTML text. Out: plain text with a line for every paragraph, heading, list item and table row. Two engines:

- `glassmill` (content.py): one linear pass and a model of what content looks like; no page can slow it down. It needs
  the native core.
- `resiliparse` (lexbor): fourteen times as fast as trafilatura, but quadratic on crafted pages: 8,000 nested tags
  1.8 s, 16,000 `<option>` 2.2 s, 16,000 attributes 0.9 s. So the page is measured first in linear time, and one that
  breaks a cap goes to `strip_tags`, which is linear and plain.

They give different texts and are not twins. `auto` takes the first where it is built; which one a run used is part of
its identity (`facts.py`).
"""

from __future__ import annotations

import html
import re
from typing import Any, Literal

import numpy as np
from resiliparse.extract.html2text import extract_plain_text

from glassmill.corpus.extract.content import extractor, is_built
from glassmill.errors import UserError
from glassmill.recipe import ExtractSettings

_HIDDEN = re.compile(r"<!--|<(script|style|noscript|template|svg|select|head)\b")
# A formula's copies for readers aloud and for copying; its copy for eyes stays.
_COPY = re.compile(r"<annotation\b|<span\b[^<>]{0,200}?(?:katex-mathml|MJX_Assistive_MathML)")
_SHADOW = re.compile(r"<template\b([^<>]*\bshadowrootmode\b)", re.IGNORECASE)
_BLOCK_TAG = re.compile(
    r"</?(?:p|div|br|li|ul|ol|tr|table|h[1-6]|section|article|blockquote|pre|dt|dd|hr)\b[^<>]*>", re.IGNORECASE
)
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>")
_OPTION = re.compile(r"<option\b[^<]*(?:</option\s*>)?", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_MANY_LINES = re.compile(r"\n\s*\n\s*")
_OPENING = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
_TAG_START = re.compile(rb"<[a-zA-Z][a-zA-Z0-9-]*[\s/]")
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)

NO_CONTENT = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
NEVER_CONTENT = ("nav", "header", "footer", "aside", "form", "button", "dialog", "menu")
SHORT_GAP_CHARACTERS = 8192
FEW_TAGS = 300
WITHOUT_CORE = (
    "native core missing: extracting with resiliparse, which gives other texts than a machine with the core; "
    "`glassmill doctor` says how to build it"
)


def engine_of(settings: ExtractSettings) -> Literal["glassmill", "resiliparse"]:
    """The engine that `settings` select on this machine.

    Raises:
        UserError: they name glassmill, and the native core is not built here.
    """
    if settings.engine == "auto":
        return "glassmill" if is_built() else "resiliparse"
    if settings.engine == "glassmill" and not is_built():
        raise UserError(
            "corpus.extract.engine = glassmill needs the native core, which is missing here; install a C++20 compiler "
            "and install glassmill again, or set corpus.extract.engine=resiliparse"
        )
    return settings.engine


def html_to_text(page: str | bytes, settings: ExtractSettings) -> str:
    """The text of `page`, a string or UTF-8. Nothing in a page makes it raise.

    Raises:
        UserError: the engine is not built here, see `engine_of`.
    """
    if engine_of(settings) == "glassmill":
        text: str = extractor().text(page, settings.main_content)  # cleaned already
        return text
    return _by_resiliparse(page if isinstance(page, str) else page.decode("utf-8", "replace"), settings)


def _by_resiliparse(page: str, settings: ExtractSettings) -> str:
    page = as_shown(page)
    if page.count("<option") > settings.max_options:
        page = _OPTION.sub("", page)
    if broken_cap(page, settings):
        return strip_tags(page)
    text = _parse(page, main_content=settings.main_content)
    if not text and settings.main_content:  # no idea of the main content: 1 page in 40, and most of them are articles
        text = _parse(page, skip_elements=list(NEVER_CONTENT))
    return text


def as_shown(page: str) -> str:
    """The page with each formula once, and with declarative shadow trees as ordinary elements; linear.

    The native core knows these itself; resiliparse and `strip_tags` do not.
    """
    if "shadowrootmode" in page:
        page = _SHADOW.sub(r"<x-shadow\1", page)
    pieces: list[str] = []
    position = 0
    while match := _COPY.search(page, position):
        end = page.find("</annotation" if match[0].startswith("<a") else "</math", match.end())
        if end < 0:
            break
        pieces.append(page[position : match.start()])
        position = page.find(">", end) + 1 or len(page)
        if not match[0].startswith("<a") and page.startswith("</span>", position):
            position += len("</span>")
    return "".join(pieces) + page[position:]


def _parse(page: str, **options: Any) -> str:
    try:
        text = extract_plain_text(page, preserve_formatting=True, alt_texts=False, **options)
    except TypeError:  # a lone surrogate, from an encoding that allows one
        page = page.encode("utf-8", "replace").decode("utf-8")
        text = extract_plain_text(page, preserve_formatting=True, alt_texts=False, **options)
    return clean(text)


def clean(text: str) -> str:
    """Text without control characters, trailing blanks and runs of empty lines."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = [line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def title_of(page: str) -> str:
    """What stands in `<title>`, for display."""
    match = _TITLE.search(page[:65536])
    return " ".join(html.unescape(match[1]).split()) if match else ""


def broken_cap(page: str, settings: ExtractSettings) -> str | None:
    """Which cap the page breaks: `tags`, `attributes` or `depth`. Linear, and a fraction of the parser's time."""
    tags = page.count("<")
    if tags > settings.max_tags:
        return "tags"
    if tags > FEW_TAGS or len(page) > SHORT_GAP_CHARACTERS:
        codes = np.frombuffer(page.encode("utf-8", "replace"), np.uint8)
        starts = np.flatnonzero(codes == ord("<"))
        if _attributes_on_one_tag(codes, starts, settings.max_attributes):
            return "attributes"
        if _depth_estimate(codes, starts) > settings.max_depth and depth(page) > settings.max_depth:
            return "depth"
    return None


def _attributes_on_one_tag(codes: np.ndarray, starts: np.ndarray, most: int) -> bool:
    """Whether some stretch from one `<` to the next holds more attributes than `most` before its `>`."""
    if len(starts) == 0:
        return False
    ends = np.append(starts[1:], len(codes))
    # A tag of n attributes has at least 2n characters.
    for place in np.flatnonzero(ends - starts > 2 * most):
        stretch = codes[starts[place] : ends[place]].tobytes()
        if _TAG_START.match(stretch) and stretch.find(b">") not in range(2 * most):
            tag = _QUOTED.sub(b"", stretch).partition(b">")[0]
            if max(tag.count(b"="), len(tag.split())) > most:
                return True
    return False


def _depth_estimate(codes: np.ndarray, starts: np.ndarray) -> int:
    """At least the true depth on nearly every page: an opening tag counts 1, a closing one -1."""
    following = codes[np.minimum(starts + 1, len(codes) - 1)]
    letters = following | 0x20
    steps = ((letters >= ord("a")) & (letters <= ord("z"))).astype(np.int64) - (following == ord("/"))
    level = np.cumsum(steps)
    return int(np.max(level - np.minimum.accumulate(np.minimum(level, 0)), initial=0))


def depth(page: str) -> int:
    """The deepest nesting of open elements, as a forgiving parser sees it."""
    open_elements: dict[str, int] = {}
    level = deepest = 0
    for closing, name in _OPENING.findall(page):
        name = name.lower()
        if name in NO_CONTENT:
            continue
        if not closing:
            open_elements[name] = open_elements.get(name, 0) + 1
            if name in ("p", "li", "td", "tr", "option", "dt", "dd") and open_elements[name] > 1:
                open_elements[name] -= 1  # the second one ends the first
                continue
            level += 1
            deepest = max(deepest, level)
        elif open_elements.get(name, 0) > 0:
            open_elements[name] -= 1
            level -= 1
    return deepest


def strip_tags(page: str) -> str:
    """All visible text of a page, by steps that look at every character a fixed number of times."""
    text = _BLOCK_TAG.sub("\n", _visible(as_shown(page)))
    text = html.unescape(_TAG.sub("", text))
    return clean(_MANY_LINES.sub("\n\n", _BLANKS.sub(" ", text)))


def _visible(page: str) -> str:
    """Without comments and elements that show no text. One that never ends hides nothing, except a script or style."""
    pieces: list[str] = []
    endless: set[str] = set()
    lower, position, searched = page.lower(), 0, 0
    if len(lower) != len(page):  # a few letters grow when lowered; places would not fit
        lower = page
    while match := _HIDDEN.search(lower, searched):
        closing = f"</{match[1]}" if match[1] else "-->"
        end = -1 if closing in endless else lower.find(closing, match.end())
        searched = match.end()
        if end < 0:
            endless.add(closing)
            if match[1] not in ("script", "style"):
                continue
            end = len(lower)
        pieces.append(page[position : match.start()])
        position = searched = lower.find(">", end) + 1 or len(lower)
    pieces.append(page[position:])
    return "".join(pieces)
