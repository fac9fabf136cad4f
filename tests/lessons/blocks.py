"""The blocks of a lesson, and how a learner would run them: commands in a shell, Python from top to bottom.

- `console`: lines that begin with `$ ` are commands; what follows is what they print.
- `python`: code. A `text` block right after it is what it prints.
- ` seen` behind either word: what one run printed. Training gives other numbers elsewhere, so it is not compared.

`...` in a printed text stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassmill.commands.lessons import importable
from tests.line import quiet_environment

_FENCE = re.compile(r"^```(\w+)( seen)?\n(.*?)^```$", re.M | re.S)
_BLANKS = re.compile(r"[ \t]+")
ROWS = ("│", "┃")


@dataclass(frozen=True)
class Block:
    """One block: what runs, what it prints (None: nothing is said), and whether that is compared."""

    kind: str
    code: str
    printed: str | None
    compared: bool = True


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that run, in order; of a `console` block one a command."""
    found = [(match[1], bool(match[2]), match[3], match.span()) for match in _FENCE.finditer(page)]
    for number, (kind, seen, body, (_, end)) in enumerate(found):
        if kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
                command, _, printed = re.sub(r"\\\n\s*", "", part).partition("\n")
                yield Block(kind, command, printed or None, not seen)
        elif kind == "python":
            following = found[number + 1] if number + 1 < len(found) else None
            is_next = following is not None and page[end : following[3][0]].strip() == "" and following[0] == "text"
            yield Block(kind, body, following[2] if following and is_next else None, not (following and following[1]))


def run_page(page: str, folder: Path, short: Mapping[str, str]) -> list[str]:
    """Runs every block in `folder`, and says what is not as printed.

    Args:
        short: Part of a command -> what is put in its place, for commands that would take minutes.
    """
    wrongs: list[str] = []
    namespace: dict[str, Any] = {"__name__": "lesson"}
    with contextlib.chdir(folder), importable(folder):
        for block in blocks(page):
            if block.kind == "console":
                got, wrong = _shell(block.code, short)
            else:
                got, wrong = _python(block.code, namespace)
            if wrong:
                wrongs.append(f"{block.code}\n--- {wrong}")
            elif block.compared and block.printed is not None and not alike(block.printed, got):
                wrongs.append(f"{block.code}\n--- says\n{got}\n--- the page has\n{block.printed}")
    return wrongs


def alike(wanted: str, got: str) -> bool:
    """Whether `got` is what the page has: widths of columns and blanks at line ends do not count."""
    optionflags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(_plain(wanted), _plain(got), optionflags)


def _plain(text: str) -> str:
    return "\n".join(_BLANKS.sub(" ", line).strip() for line in text.strip().splitlines() if line.strip()) + "\n"


def _shell(command: str, short: Mapping[str, str]) -> tuple[str, str]:
    for part, instead in short.items():
        command = command.replace(part, instead)
    function = f'glassmill() {{ "{sys.executable}" -m glassmill "$@"; }}; python() {{ "{sys.executable}" "$@"; }}; '
    call = ["bash", "-c", function + command]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, env=quiet_environment())
    # 1: tests of a stub that fail
    wrong = "" if done.returncode in (0, 1) else f"ends with {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout, wrong


def _python(code: str, namespace: dict[str, Any]) -> tuple[str, str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(code, "lesson", "exec"), namespace)
    except Exception as error:  # whatever the page's code raises
        return said.getvalue(), f"raises {type(error).__name__}: {error}"
    return said.getvalue(), ""
