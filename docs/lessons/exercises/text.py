"""Lesson 2: the text of a web page, and which of it is the page's own."""

from html.parser import HTMLParser

BLOCKS = {"p", "div", "br", "li", "ul", "ol", "tr", "table", "section", "article", "main", "nav", "header", "footer",
          "aside", "form", "h1", "h2", "h3", "h4", "h5", "h6"}  # fmt: skip
HIDDEN = {"script", "style", "noscript", "template", "head"}


class Blocks(HTMLParser):
    """Collects `found`: text and share of its characters inside links, block by block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, float]] = []
        self.hidden = self.links = 0
        self.parts: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        ...

    def handle_endtag(self, tag: str) -> None:
        ...

    def handle_data(self, data: str) -> None:
        ...

    def end_block(self) -> None:
        ...


def blocks(html: str) -> list[tuple[str, float]]:
    """The visible text of a page, block by block, each with the share of its characters that are inside links.

    A tag of `BLOCKS`, opening or closing, ends a block. What is inside a tag of `HIDDEN` is not visible. Runs of white
    space become one blank; empty blocks are left out.
    """
    parser = Blocks()
    parser.feed(html)
    parser.close()
    parser.end_block()
    return parser.found


def main_text(html: str) -> str:
    """The blocks that are the page's own, a line each: of 8 words or more, with less than a third inside links."""
    ...


def f1(found: str, wanted: str) -> float:
    """How well two texts agree in their words: `2 * common / (words of both)`, each word as often as it occurs.

    1.0 if both are empty.
    """
    ...
