"""Conversations to ids: control tokens as ids, contents always as ordinary text. No prompt string is ever parsed.

    <|system|>{content}<|user|>{content}<|assistant|>{content}<|im_end|>

A message is `{"role": ..., "content": text or parts}`; parts are `{"type": "text", "text"}`, `{"type": "tool_call",
"expression"}` and `{"type": "tool_result", "text"}`. A calculation goes inside the assistant's turn:

    <|tool_call|>12*7<|tool_result|>84<|tool_end|>The answer is 84.<|im_end|>

The engine writes the result and `<|tool_end|>`, so they are not learned; `<|tool_result|>` is, because it ends the
call. An imported tokenizer brings its own Jinja template: `glassmill.tokens.template` renders it with the same
guarantee.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from glassmill.errors import UserError
from glassmill.tokens.segments import Segment, assemble
from glassmill.tokens.specials import ASSISTANT, CHAT_TEMPLATE, IM_END, SYSTEM, TOOL_CALL, TOOL_END, TOOL_RESULT, USER
from glassmill.tokens.tokenizer import Tokenizer

Message = Mapping[str, Any]
ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
FOREIGN_ROLES = (*ROLES, "developer", "tool", "function", "ipython")


def render(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    add_generation_prompt: bool = True,
    continue_last: bool = False,
    options: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """The ids of a conversation, uint32, ready for the model to answer, or to go on with the assistant's last message.

    `options` are variables of an imported model's template: `tools`, `documents`, `enable_thinking`, ...

    Raises:
        UserError: an unknown role or part, or the tokenizer has no chat template, or its own template fails.
    """
    if continue_last and messages and messages[-1].get("role") == "assistant":
        if (plain_content(messages[-1]) or "").strip():
            return _rendered(tokenizer, messages, False, options, continue_last=True)[0]
        messages = messages[:-1]  # nothing to go on with
    return _rendered(tokenizer, messages, add_generation_prompt, options)[0]


def render_with_mask(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    options: Mapping[str, Any] | None = None,
    learned: Sequence[bool] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a finished conversation, and a mask: True for the assistant's words and the end of its turns.

    `learned`: for every message whether it counts, if not all of the assistant's do.
    """
    silent = [number for number, counts in enumerate(learned) if not counts and messages[number]["role"] == "assistant"]
    return _rendered(tokenizer, messages, False, options, silent=silent)


def render_text(tokenizer: Tokenizer, messages: Sequence[Message], options: Mapping[str, Any] | None = None) -> str:
    """The text that `render` encodes, for people: control tokens by their names."""
    if tokenizer.chat_template == CHAT_TEMPLATE or not tokenizer.templates:
        return tokenizer.decode(render(tokenizer, messages, options=options))
    from glassmill.tokens import template

    _check(messages, FOREIGN_ROLES)
    return template.render_text(tokenizer, _flat(messages), True, options).text


def _rendered(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    add_generation_prompt: bool,
    options: Mapping[str, Any] | None,
    continue_last: bool = False,
    silent: Collection[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask, by our template or the tokenizer's own."""
    own = tokenizer.chat_template == CHAT_TEMPLATE
    _check(messages, ROLES if own else FOREIGN_ROLES)
    if own:
        parts = list(_own_form(messages, add_generation_prompt, silent))
        return assemble(tokenizer, parts[:-1] if continue_last else parts)  # without the end of the turn
    if tokenizer.chat_template is None and not tokenizer.templates:
        raise UserError("this tokenizer has no chat template: it belongs to a base model, which only continues text")
    from glassmill.tokens.template import render_template  # here: only imported models need it

    return render_template(tokenizer, _flat(messages), add_generation_prompt, options, continue_last, list(silent))


def _flat(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages whose contents are texts, as most templates expect them."""
    return [{**message, "content": plain_content(message)} for message in messages]


def plain_content(message: Message) -> str | None:
    """The content as one text, for templates without tools: a calculation reads `12*7 = 84`."""
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content
    forms = {"text": "{text}", "tool_call": "{expression} = ", "tool_result": "{text}\n"}
    return "".join(forms[part["type"]].format_map(part) for part in content)


def _own_form(messages: Sequence[Message], add_generation_prompt: bool, silent: Collection[int]) -> Iterator[Segment]:
    for number, message in enumerate(messages):
        is_answer = message["role"] == "assistant"
        learned = is_answer and number not in silent
        yield Segment(ROLES[message["role"]], control=True)
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield from _part(part, learned)
        if is_answer:
            yield Segment(IM_END, control=True, learned=learned)
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


def _check(messages: Sequence[Message], roles: Collection[str]) -> None:
    wanted = {"text": "text", "tool_call": "expression", "tool_result": "text"}
    for number, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if role not in roles:
            raise UserError(f"message {number}: unknown role {role!r}; use one of {', '.join(roles)}")
        if isinstance(content, str) or (content is None and message.get("tool_calls")):
            continue
        if not isinstance(content, Sequence):
            raise UserError(
                f"message {number}: content must be a string or a list of parts, not {type(content).__name__}"
            )
        for part in content:
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind not in wanted or not isinstance(part.get(wanted[kind]), str):
                raise UserError(f"message {number}: invalid part {part!r}; part types are {', '.join(wanted)}")
