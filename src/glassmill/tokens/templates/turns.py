"""What a chat template says about itself: the token behind an answer, and what it needs that nobody has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from glassmill.errors import UserError
from glassmill.tokens.templates.marked import ASSISTANT
from glassmill.tokens.templates.process import ask

PROBE = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})


class Templated(Protocol):
    """What this module needs of a `Tokenizer`."""

    special: dict[str, int]
    chat_template: str | None

    @property
    def names(self) -> Mapping[str, str]: ...


def turn_end(tokenizer: Templated) -> str | None:
    """The control token that the template writes right behind an answer, if it does."""
    if tokenizer.chat_template is None:
        return None
    request = {"template": tokenizer.chat_template, "messages": PROBE, "add_generation_prompt": False}
    try:
        answer = ask({**request, "names": dict(tokenizer.names)})
    except UserError:
        return None  # it rejects this conversation
    end = 0
    for run_end, origin in _with_ends(answer["origins"]):
        end = run_end if origin >= ASSISTANT else end
    rest = str(answer["text"])[end:].lstrip() if end else ""
    return _first_of(tokenizer.special, rest)


def _with_ends(runs: Iterable[list[int]]) -> Iterable[tuple[int, int]]:
    """The end of every run, and its origin."""
    end = 0
    for length, origin in runs:
        end += length
        yield end, origin


def _first_of(names: Iterable[str], text: str) -> str | None:
    longest_first = sorted(names, key=len, reverse=True)
    found = re.match("|".join(map(re.escape, longest_first)) or "(?!)", text)
    return found[0] if found else None


def complaint(template: str) -> str | None:
    """In one line, what keeps a template from working here; `None` if nothing does."""
    try:
        unknown = ask({"template": template, "check": True})["unknown"]
    except UserError as error:
        return str(error)
    if unknown:
        return f"the model's chat template calls functions that do not exist here: {', '.join(unknown)}"
    return None
