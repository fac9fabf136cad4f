"""Conversations to ids: control tokens as ids, contents always as ordinary text. No prompt string is ever parsed.

    <|system|>{content}<|user|>{content}<|assistant|>{content}<|im_end|>

A message is `{"role": ..., "content": text or parts}`; parts are `{"type": "text", "text"}`, `{"type": "tool_call",
"expression"}` and `{"type": "tool_result", "text"}`. A sum stands inside the assistant's turn:

    <|tool_call|>12*7<|tool_result|>84<|tool_end|>The answer is 84.<|im_end|>

The engine writes the result and `<|tool_end|>`, so they are not learned; `<|tool_result|>` is, it ends the call. A
tokenizer from elsewhere brings its own template in Jinja: `glassmill.tokens.template` renders it with the same
guarantee.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from glassmill.errors import UserError
from glassmill.tokens.specials import ASSISTANT, CHAT_TEMPLATE, IM_END, SYSTEM, TOOL_CALL, TOOL_END, TOOL_RESULT, USER
from glassmill.tokens.tokenizer import Tokenizer

Message = Mapping[str, Any]
ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}


class Segment(NamedTuple):
    """A stretch of text, or the name of one control token; `learned`: must the assistant learn to write it?"""

    text: str
    control: bool = False
    learned: bool = False


def render(tokenizer: Tokenizer, messages: Sequence[Message], add_generation_prompt: bool = True) -> np.ndarray:
    """The ids of a conversation, uint32, ready for the model to answer.

    Raises:
        UserError: an unknown role or part, or the tokenizer has no chat template.
    """
    return assemble(tokenizer, segments(tokenizer, messages, add_generation_prompt))[0]


def render_with_mask(tokenizer: Tokenizer, messages: Sequence[Message]) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a finished conversation, and True where the assistant learns: its words and the end of its turn."""
    return assemble(tokenizer, segments(tokenizer, messages, add_generation_prompt=False))


def segments(tokenizer: Tokenizer, messages: Sequence[Message], add_generation_prompt: bool) -> Iterable[Segment]:
    """The conversation as text and control tokens, by our template or the tokenizer's own."""
    _check(messages)
    if tokenizer.chat_template == CHAT_TEMPLATE:
        return _own_form(messages, add_generation_prompt)
    if tokenizer.chat_template is None:
        raise UserError("this tokenizer has no chat template; it belongs to a base model, which only continues text")
    from glassmill.tokens.template import render_template  # here: jinja2 is needed for imported models alone

    flat = [{"role": message["role"], "content": plain_content(message)} for message in messages]
    return render_template(tokenizer, flat, add_generation_prompt)


def assemble(tokenizer: Tokenizer, parts: Iterable[Segment]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask.

    Neighbouring text is encoded as one, as transformers does, but never across the border of what is learned: the
    prompt ends there when the model answers, and training must see the same ids. (The two ways differ only if the
    answer begins with white space, or the template leaves a space before it.)
    """
    ids: list[np.ndarray] = []
    mask: list[np.ndarray] = []
    for text, control, learned in _joined(parts):
        piece = np.array([tokenizer.special[text]], dtype=np.uint32) if control else tokenizer.encode(text)
        ids.append(piece)
        mask.append(np.full(len(piece), learned))
    if not ids:
        return np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=bool)
    return np.concatenate(ids), np.concatenate(mask)


def plain_content(message: Message) -> str:
    """The content as one text, for templates that know no tools: a sum reads `12*7 = 84`."""
    if isinstance(message["content"], str):
        return message["content"]
    forms = {"text": "{text}", "tool_call": "{expression} = ", "tool_result": "{text}\n"}
    return "".join(forms[part["type"]].format_map(part) for part in message["content"])


def _own_form(messages: Sequence[Message], add_generation_prompt: bool) -> Iterator[Segment]:
    for message in messages:
        learned = message["role"] == "assistant"
        yield Segment(ROLES[message["role"]], control=True)
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield from _part(part, learned)
        if learned:
            yield Segment(IM_END, control=True, learned=True)
    if add_generation_prompt:
        yield Segment(ASSISTANT, control=True)


def _part(part: Mapping[str, str], learned: bool) -> Iterator[Segment]:
    if part["type"] == "tool_call":
        yield Segment(TOOL_CALL, control=True, learned=learned)
        yield Segment(part["expression"], learned=learned)
    elif part["type"] == "tool_result":
        yield Segment(TOOL_RESULT, control=True, learned=learned)
        yield Segment(part["text"])
        yield Segment(TOOL_END, control=True)
    else:
        yield Segment(part["text"], learned=learned)


def _joined(parts: Iterable[Segment]) -> Iterator[Segment]:
    """`parts` with neighbouring texts of the same kind made one, and empty texts left out."""
    waiting = Segment("")
    for part in parts:
        if not part.control and not part.text:
            continue
        if not part.control and part.learned == waiting.learned:
            waiting = Segment(waiting.text + part.text, learned=part.learned)
            continue
        if waiting.text:
            yield waiting
        waiting = Segment("") if part.control else part
        if part.control:
            yield part
    if waiting.text:
        yield waiting


def _check(messages: Sequence[Message]) -> None:
    wanted = {"text": "text", "tool_call": "expression", "tool_result": "text"}
    for number, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise UserError(f"message {number}: role {role!r}; known are {', '.join(ROLES)}")
        if isinstance(content, str):
            continue
        if not isinstance(content, Sequence):
            raise UserError(
                f"message {number}: content must be a text or a list of parts, not {type(content).__name__}"
            )
        for part in content:
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind not in wanted or not isinstance(part.get(wanted[kind]), str):
                raise UserError(f"message {number}: cannot read the part {part!r}; known types are {', '.join(wanted)}")
