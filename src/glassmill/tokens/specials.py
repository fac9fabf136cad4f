"""Control tokens: ids that no text can produce. They stand behind the BPE vocabulary, in a fixed order.

    <|endoftext|>   ends a document                         <|tool_call|>    the assistant asks for a sum ...
    <|system|>      begins instructions                     <|tool_result|>  ... here the engine writes the result ...
    <|user|>        begins what the user says               <|tool_end|>     ... and the assistant goes on
    <|assistant|>   begins an answer                        <|reserved_N|>   fill the vocabulary to a multiple of 64,
    <|im_end|>      ends an answer                                           which matrix multiplication likes

One token, and nothing else, stands between a question and its answer, as one line end does in the pages: a model that
learned there to answer questions has little to learn anew (`docs/log.md` has the figures beside ChatML's).
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
"""What `glassmill.tokens.chat` does, in Jinja: for transformers and vLLM, which parse user text for control tokens."""


class Layout(NamedTuple):
    """How a vocabulary is divided: `symbols` from BPE (the 256 bytes among them), then the special tokens."""

    symbols: int
    total: int


def layout(vocab_size: int) -> Layout:
    """The division of a vocabulary of `vocab_size` ids, rounded up to a multiple of 64.

    >>> layout(1000)
    Layout(symbols=1016, total=1024)
    """
    total = -(-vocab_size // PADDING) * PADDING
    return Layout(symbols=total - len(NAMED), total=total)


def special_ids(num_symbols: int) -> dict[str, int]:
    """Name and id of every special token behind `num_symbols` BPE symbols, reserved ones up to a multiple of 64."""
    total = layout(num_symbols + len(NAMED)).total
    names = [*NAMED, *(f"<|reserved_{number}|>" for number in range(total - num_symbols - len(NAMED)))]
    return {name: num_symbols + place for place, name in enumerate(names)}
