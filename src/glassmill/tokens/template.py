"""Chat templates of imported models: the ids of `apply_chat_template`, except that no content becomes a control token.

The template runs over the real contents, in a process of its own that keeps the origin of every character
(`glassmill.tokens.templates`). Control tokens count where the template wrote them; everything else is ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from glassmill.errors import UserError
from glassmill.tokens.codecs import repair
from glassmill.tokens.templates.marked import ASSISTANT, SILENT, TEMPLATE
from glassmill.tokens.templates.process import ask
from glassmill.tokens.tokenizer import Tokenizer

RESERVED = {"messages", "add_generation_prompt", "chat_template", "tokenize", "continue_final_message"}
GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")


class Rendered(NamedTuple):
    """A conversation as text.

    Attributes:
        text: What the template made.
        origins: Where each character is from, `(T,)` uint8, see `templates.marked`.
        generation: First and last + 1 character of what the template says the assistant writes, if it says so.
        opening: What the template writes where an answer is to follow.
    """

    text: str
    origins: np.ndarray
    generation: list[list[int]] | None
    opening: str


def render_text(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    add_generation_prompt: bool,
    options: Mapping[str, Any] | None = None,
    silent: Sequence[int] = (),
) -> Rendered:
    """The conversation as text, by the tokenizer's template.

    Args:
        tokenizer: It has a template of its own.
        messages: As the template wants them: plain contents, and whatever else a message has.
        add_generation_prompt: Whether an answer follows.
        options: Variables of the template: `tools`, `documents`, `enable_thinking`, ...; `chat_template` names one of
            several templates.
        silent: Numbers of the assistant's messages that are not learned.

    Raises:
        UserError: the template fails, rejects the conversation (in its own words), takes contents apart in a way that
            cannot be followed, or needs too much time or memory.
    """
    options = dict(options or {})
    name = options.pop("chat_template", None)
    if taken := options.keys() & RESERVED:
        raise UserError(f"{min(taken)} cannot be set as a variable of the chat template")
    template = _template(tokenizer, name, options.get("tools"))
    request = {
        "template": template,
        "messages": [_message(message) for message in messages],
        "add_generation_prompt": add_generation_prompt,
        "names": tokenizer.names,
        "tools": _repaired(options.pop("tools", None)),
        "documents": _repaired(options.pop("documents", None)),
        "options": _repaired(options),
        "with_opening": not add_generation_prompt,
        "silent": list(silent),
    }
    answer = ask(request)
    lengths, origins = zip(*answer["origins"], strict=True) if answer["origins"] else ((), ())
    spans = answer["generation"] if GENERATION.search(template) else None
    by_character = np.repeat(np.array(origins, dtype=np.uint8), np.array(lengths, dtype=int))
    return Rendered(answer["text"], by_character, spans, answer.get("opening", ""))


def render_template(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    add_generation_prompt: bool,
    options: Mapping[str, Any] | None = None,
    continue_last: bool = False,
    silent: Sequence[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (uint32) and mask (True where the assistant learns), both `(T,)`. See `render_text`.

    `continue_last`: up to the last word of the last message, an answer that has not ended.
    """
    rendered = render_text(tokenizer, messages, add_generation_prompt, options, silent)
    if continue_last:
        said = np.flatnonzero(rendered.origins >= ASSISTANT)
        if not said.size:
            raise UserError("the model's chat template leaves out the answer that is to be continued")
        end = said[-1] + 1
        rendered = rendered._replace(text=rendered.text[:end], origins=rendered.origins[:end], generation=None)
    written = rendered.origins == TEMPLATE
    if tokenizer.engine is not None:
        ids, spans = tokenizer.engine.conversation(rendered.text, written)
    else:
        ids, spans = _native(tokenizer, rendered.text, written)
    others = ~written & ~_is_learned(rendered.origins)
    learned = _learned(rendered, _control_ends(tokenizer, rendered.text, written), bool(silent)) & ~others
    return ids, _any_within(learned, spans) & ~_any_within(others, spans)


def _template(tokenizer: Tokenizer, name: object, tools: object) -> str:
    templates = tokenizer.templates or {"default": tokenizer.chat_template or ""}
    if name is None:
        name = "tool_use" if tools is not None and "tool_use" in templates else "default"
    if name not in templates:
        raise UserError(f"this model has no chat template {name!r}; it has {', '.join(sorted(templates))}")
    return templates[str(name)]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as transformers passes it on: without empty fields, its reasoning under each of the usual names."""
    known = {key: _repaired(value) for key, value in message.items() if value is not None}
    fields = ("reasoning_content", "thinking", "reasoning")
    reasoning = next((known[name] for name in fields if name in known), None)
    return known if reasoning is None else {"thinking": reasoning, **known, "reasoning_content": reasoning}


def _repaired(value: Any) -> Any:
    """`value` without lone surrogates."""
    if isinstance(value, str):
        return repair(value)
    if isinstance(value, Mapping):
        return {_repaired(key): _repaired(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_repaired(one) for one in value]
    return value


def _is_learned(origins: Any) -> Any:
    """Whether an origin, or each of an array, is that of an answer that is learned."""
    return (origins >= ASSISTANT) & (origins < SILENT)


def _learned(rendered: Rendered, control_ends: np.ndarray, some_are_silent: bool) -> np.ndarray:
    """True for the characters that the assistant writes, `(T,)`: its contents, and the end of its turn.

    What the template writes between two parts of one answer belongs to it (`</think>`), and so do what stands between
    the opening of the turn and its first word (`<tool_call>`), and what follows it up to the next control token, which
    ends the turn.
    """
    text, origins, generation, opening = rendered
    learned = np.zeros(len(text), dtype=bool)
    if generation is not None:
        for start, end in generation:
            learned[start:end] = not some_are_silent or _is_learned(origins[start:end]).any()
        return learned
    learned |= _is_learned(origins)
    borders = np.flatnonzero(np.diff(origins)) + 1
    starts, ends = [0, *borders.tolist()] if text else [], [*borders.tolist(), len(text)]
    for start, end in zip(starts, ends, strict=False):
        before = origins[start - 1] if start else TEMPLATE
        after = origins[end] if end < len(text) else TEMPLATE
        if origins[start] != TEMPLATE:
            continue
        if _is_learned(before) and after == before:
            learned[start:end] = True
            continue
        if _is_learned(after) and opening and (found := text.rfind(opening, start, end)) >= 0:
            learned[found + len(opening) : end] = True
        if not _is_learned(before):
            continue
        if (stop := control_ends[(control_ends > start) & (control_ends <= end)]).size:
            learned[start : stop[0]] = True
    return learned


def _control_ends(tokenizer: Tokenizer, text: str, written: np.ndarray) -> np.ndarray:
    """Where control tokens that the template wrote end, in characters, ascending."""
    return np.array([end for _, end in _controls(tokenizer, text, written)], dtype=np.int64)


def _controls(tokenizer: Tokenizer, text: str, written: np.ndarray) -> list[tuple[int, int]]:
    longest_first = sorted(tokenizer.special, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
    inside = np.concatenate([[0], np.cumsum(~written)])
    found, at = [], 0
    while match := pattern.search(text, at):
        own = inside[match.end()] == inside[match.start()]
        if own:
            found.append(match.span())
        at = match.end() if own else match.start() + 1
    return found


def _native(tokenizer: Tokenizer, text: str, written: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and character spans for a vocabulary of our own with a template from elsewhere."""
    ids: list[np.ndarray] = [np.zeros(0, dtype=np.uint32)]
    spans: list[np.ndarray] = [np.zeros((0, 2), dtype=np.int64)]
    at = 0
    for start, end in [*_controls(tokenizer, text, written), (len(text), len(text))]:
        part = text[at:start]
        numbers, in_bytes = tokenizer.encode_with_spans(part)
        borders = np.concatenate([[0], np.cumsum([len(char.encode()) for char in part], dtype=np.int64)])
        first = np.searchsorted(borders, in_bytes[:, 0], "right") - 1
        last = np.searchsorted(borders, in_bytes[:, 1], "left")
        ids.append(numbers)
        spans.append(np.stack([first, last], axis=1) + at)
        if end > start:
            ids.append(np.array([tokenizer.special[text[start:end]]], dtype=np.uint32))
            spans.append(np.array([[start, end]]))
        at = end
    return np.concatenate(ids), np.concatenate(spans)


def _any_within(flags: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Whether any flag is set within each span."""
    counts = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(counts[spans[:, 1]] > counts[spans[:, 0]])
