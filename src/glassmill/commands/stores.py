"""What `glassmill push` and `glassmill pull` print, see `glassmill.run.published`."""

from __future__ import annotations

from glassmill.commands.terminal import plain, size
from glassmill.run.published import Moved


def moved_line(moved: Moved, did: str) -> str:
    """The result for people."""
    number, new = moved["files"], moved["new"]
    what = f"{number:,} file{'s' * (number != 1)}, {size(moved['bytes'])}"
    if not new:
        return f"{plain(moved['run'])}: whole already ({what})"
    before = f", {number - new:,} of them before" if new < number else ""
    return f"{plain(moved['run'])}: {did} {what}{before}"
