"""Markdown on a terminal while it is being written.

Blocks that are finished are printed once and scroll away as usual; only the last, growing one is drawn again and again.
Line breaks stay, HTML is shown as it was written, and links show where they lead.
"""

from __future__ import annotations

import time

from markdown_it import MarkdownIt
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

FENCES = ("```", "~~~")
REDRAWN_EVERY_S = 0.06


class MarkdownStream:
    """Pieces of text in, Markdown on the console; use as a context around an answer."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._open, self._next_draw = "", 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> MarkdownStream:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.update("", refresh=True)
        self._live.stop()
        if self._open.strip():
            self.console.print(markdown(self._open))

    def write(self, text: str) -> None:
        """Show more of the answer."""
        finished, self._open = split(self._open + text)
        if finished.strip():
            self._live.update("")
            self.console.print(markdown(finished), Text())
        start = time.monotonic()
        if finished or start >= self._next_draw:
            self._live.update(self._growing(), refresh=True)
            end = time.monotonic()
            self._next_draw = end + max(REDRAWN_EVERY_S, 4 * (end - start))  # so that drawing never falls behind

    def _growing(self) -> RenderableType:
        """As much of the last block's end as fits on the screen: what is higher could not be drawn again."""
        lines = self.console.render_lines(markdown(self._open), pad=False)
        shown = lines[-max(1, self.console.height - 2) :]
        return Group(*(Text.assemble(*((part.text, part.style or "") for part in line)) for line in shown))


def split(text: str) -> tuple[str, str]:
    r"""What is finished, and the rest, from the last line that begins a new block: after a blank one, not indented.

    >>> split("one\n\ntwo"), split("```\na\n\nb"), split("- a\n\n  b")
    (('one\n\n', 'two'), ('', '```\na\n\nb'), ('', '- a\n\n  b'))
    """
    fence, end, place, blank_before = "", 0, 0, False
    for line in text.splitlines(keepends=True):
        word = line.strip()
        if not fence and blank_before and word and not line[0].isspace():
            end = place
        if not fence and word.startswith(FENCES):
            fence = word[:3]
        elif word == fence:
            fence = ""
        blank_before = not word
        place += len(line)
    return text[:end], text[end:]


def markdown(text: str) -> Markdown:
    """Text as Markdown with its line breaks, and without HTML: `List<int>` is no tag."""
    shown = Markdown("", hyperlinks=False)
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    shown.parsed = parser.parse(text)
    for block in shown.parsed:
        for part in block.children or ():
            if part.type == "softbreak":
                part.type = "hardbreak"
    return shown
