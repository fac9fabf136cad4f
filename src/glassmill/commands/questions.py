"""What is typed into a chat, or piped in: lines, questions of several lines, and the history of earlier sessions.

A line that ends in a backslash goes on in the next one; a line that begins with three quotation marks, up to the next
three.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

QUOTES = '"""'
HISTORY_LINES = 1000
PROMPT, MORE = "you   ", "  ... "


class Typed:
    """Questions of a person, with line editing and history where the system has readline."""

    def __init__(self, history: Path) -> None:
        self._history = history
        try:
            import readline
        except ImportError:  # Windows
            return
        self._readline = readline
        readline.set_history_length(HISTORY_LINES)
        try:
            readline.read_history_file(history)
        except (OSError, UnicodeError):
            readline.clear_history()

    def next(self) -> str | None:
        """The next question; empty after Ctrl-C, which forgets the line; `None` after Ctrl-D."""
        try:
            return question(self._line)
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            return ""

    def _line(self, goes_on: bool) -> str:
        # the marks tell readline which characters take no room on the screen
        return input(f"\001\033[1;32m\002{MORE if goes_on else PROMPT}\001\033[0m\002")

    def save(self) -> None:
        """Keep the history for the next session, readable by its owner only."""
        if not hasattr(self, "_readline"):
            return
        try:
            self._history.parent.mkdir(parents=True, exist_ok=True)
            self._history.touch(mode=0o600)
            self._readline.write_history_file(self._history)
        except OSError:
            pass  # a folder that can't be written is no reason to end a chat with an error


def piped() -> str | None:
    """The next question from standard input that is no terminal."""
    return question(lambda goes_on: input())


def question(line: Callable[[bool], str]) -> str | None:
    r"""The next question; `None` at the end of the input.

    Args:
        line: Reads a line; it is told whether the line belongs to a question that has begun.

    >>> lines = iter(["a \\", "b", '\"\"\"c', "", 'd\"\"\"'])
    >>> question(lambda goes_on: next(lines)), question(lambda goes_on: next(lines))
    ('a \nb', 'c\n\nd')
    """
    try:
        text = line(False).lstrip("\ufeff")
    except EOFError:
        return None
    try:
        if text.strip().startswith(QUOTES):
            text = text.strip().removeprefix(QUOTES)
            while not text.rstrip().endswith(QUOTES):
                text += "\n" + line(True)
            text = text.rstrip().removesuffix(QUOTES)
        else:
            while text.endswith("\\"):
                text = text[:-1]
                text += "\n" + line(True)
    except EOFError:
        pass  # the end of the input ends the question, too
    return text.strip()
