"""Jinja chat templates of imported models, rendered so that no content can become a control token.

The template runs over placeholders instead of the contents; only what the template itself wrote is searched for
control tokens, and the contents are put back as ordinary text afterwards. White space at the edges of a content
stays visible to the template, because many trim it. A template is untrusted code: it runs in Jinja's immutable
sandbox.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from glassmill.errors import UserError
from glassmill.tokens.segments import Segment
from glassmill.tokens.tokenizer import Tokenizer

PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")


def render_template(
    tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool
) -> list[Segment]:
    """The conversation as text and control tokens, by `tokenizer.chat_template`.

    Raises:
        UserError: the template fails, rejects the conversation (in its own words), or splits a content.
    """
    assert tokenizer.chat_template is not None
    hidden = [{**message, "content": _hide(message["content"], number)} for number, message in enumerate(messages)]
    try:
        rendered = _compiled(tokenizer.chat_template).render(
            messages=hidden,
            add_generation_prompt=add_generation_prompt,
            bos_token=tokenizer.bos_token or "",
            eos_token=tokenizer.eos_token or "",
        )
    except (jinja2.TemplateError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise UserError(f"the model's chat template failed: {error}") from None
    return list(_mark_turn_ends(_restore(tokenizer, rendered, messages)))


def _hide(content: str, number: int) -> str:
    """A placeholder between the white space at the content's edges."""
    inner = content.strip()
    if not inner:
        return content
    start = content.index(inner)
    return f"{content[:start]}\ue000{number}\ue001{content[start + len(inner) :]}"


def _restore(tokenizer: Tokenizer, rendered: str, messages: Sequence[Mapping[str, str]]) -> Iterator[Segment]:
    control = _control_pattern(tuple(tokenizer.special))
    for place, part in enumerate(PLACEHOLDER.split(rendered)):
        if place % 2:  # the number of a placeholder
            message = messages[int(part)]
            yield Segment(message["content"].strip(), learned=message["role"] == "assistant")
        elif "\ue000" in part or "\ue001" in part:
            raise UserError("the model's chat template splits message contents; glassmill cannot render it safely")
        else:
            pieces = control.split(part) if control else [part]
            yield from (Segment(piece, control=bool(odd % 2)) for odd, piece in enumerate(pieces) if piece)


def _mark_turn_ends(parts: Iterator[Segment]) -> Iterator[Segment]:
    """Marks what follows an assistant's content as learned, up to and including the next control token."""
    answering = False
    for part in parts:
        if part.learned:
            answering = True
        elif answering:
            part = part._replace(learned=True)
            answering = not part.control
        yield part


@lru_cache(maxsize=8)
def _control_pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if names else None


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    """Compiled as transformers does (same filters and functions), so that the same templates work."""

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return environment.from_string(template)
    except jinja2.TemplateError as error:
        raise UserError(f"the model's chat template is not valid Jinja: {error}") from None
