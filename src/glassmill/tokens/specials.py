"""Control tokens: ids that no text can produce. They follow the BPE vocabulary, in a fixed order.

    <|endoftext|>   ends a document                         <|tool_call|>    the assistant asks for a calculation ...
    <|system|>      starts the instructions                 <|tool_result|>  ... the engine writes the result here ...
    <|user|>        starts a user message                   <|tool_end|>     ... and the assistant continues
    <|assistant|>   starts an answer                        <|reserved_N|>   pad the vocabulary to a multiple of 64,
    <|im_end|>      ends an answer                                           which is faster to multiply by

Exactly one token separates a question from its answer, as one line break does in the pages: a model that learned to
answer questions there has little to relearn (`docs/log.md` compares this with ChatML).
"""

from __future__ import annotations

from typing import NamedTuple

END_OF_TEXT = "<|endoftext|>"
SYSTEM = "<|system|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
IM_END = "<|im_end|>"
TOOL_CALL = "<|tool_call|>"
TOOL_RESULT = "<|tool_result|>"
TOOL_END = "<|tool_end|>"

NAMED = (END_OF_TEXT, SYSTEM, USER, ASSISTANT, IM_END, TOOL_CALL, TOOL_RESULT, TOOL_END)
PADDING = 64

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|' + message['role'] + '|>' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'tool_call' -%}
{{- '<|tool_call|>' + part['expression'] -}}
{%- elif part['type'] == 'tool_result' -%}
{{- '<|tool_result|>' + part['text'] + '<|tool_end|>' -}}
{%- else -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}
{{- '<|im_end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}
"""
"""The Jinja form of `glassmill.tokens.chat`, for transformers and vLLM, which do parse user text for control tokens."""


class Layout(NamedTuple):
    """How a vocabulary is laid out: `symbols` from BPE (including the 256 bytes), then the special tokens."""

    symbols: int
    total: int


def layout(vocab_size: int) -> Layout:
    """The layout of a vocabulary of `vocab_size` ids, rounded up to a multiple of 64.

    >>> layout(1000)
    Layout(symbols=1016, total=1024)
    """
    total = -(-vocab_size // PADDING) * PADDING
    return Layout(symbols=total - len(NAMED), total=total)


def special_ids(num_symbols: int) -> dict[str, int]:
    """Name and id of every special token after `num_symbols` BPE symbols, padded with reserved ones."""
    total = layout(num_symbols + len(NAMED)).total
    names = [*NAMED, *(f"<|reserved_{number}|>" for number in range(total - num_symbols - len(NAMED)))]
    return {name: num_symbols + place for place, name in enumerate(names)}
