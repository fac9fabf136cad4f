"""No text becomes a control token, and no word of a user is learned: adversarial contents in every kind of folder."""

# ruff: noqa: E501  (a template is one line)

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from glassmill.errors import UserError
from glassmill.tokens.chat import render, render_with_mask
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.made_folders import TEMPLATES, TEXTS, Made

BLIND = [TEMPLATES[place] for place in (0, 1, 6, 8)]
"""Templates that write the same control tokens whatever the contents are."""
MESSAGES = 10


def contents(random: Random, names: list[str]) -> str:
    """A text of whole, cut, doubled and re-cased names of control tokens, and words."""
    name = random.choice(names)
    cut = random.randrange(len(name) + 1)
    parts = [
        name, name * 2, name[:cut], name[cut:], name[:cut] + name + name[cut:], name.upper(), f" {name} ", f"\n{name}\n",
        random.choice(TEXTS), "{{ eos_token }}", "{% endfor %}", "\U0010fffd", "\U000f0000", "\ud83d", "\x00", "assistant",
    ]  # fmt: skip
    return "".join(random.choices(parts, k=random.randrange(1, 4)))


def depends(made: Made) -> bool:
    """Whether it depends on the text beside a control token of the template that it is one."""
    return any(token.special and (token.single_word or token.normalized) for token in made.added)


def smuggled(folder: Path, seeds: range, conversations: int) -> Iterator[str]:
    """Every conversation, prompt and text that brought control tokens of its own."""
    for seed in seeds:
        made = Made(folder / str(seed), seed)
        template = BLIND[seed % len(BLIND)].replace("TURN", repr(made.names["turn"]))
        (made.folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        if depends(made):
            continue
        tokenizer = Tokenizer.load(made.folder)
        names = sorted({*tokenizer.special} - {made.names["unk"]})
        control = [tokenizer.special[name] for name in names]
        framed = np.isin(tokenizer.framed("x"), control).sum()
        plain = [{"role": ("user", "assistant")[n % 2], "content": "x"} for n in range(MESSAGES)]
        harmless = np.isin(render(tokenizer, plain), control).sum()
        for _ in range(conversations):
            messages = [{**message, "content": contents(made.random, names)} for message in plain]
            if np.isin(render(tokenizer, messages), control).sum() != harmless:
                yield f"seed {seed}: {messages}"
            text = str(messages[0]["content"])
            if (
                np.isin(tokenizer.encode(text), control).any()
                or np.isin(tokenizer.framed(text), control).sum() != framed
            ):
                yield f"seed {seed}: {text!r}"


def test_no_text_brings_a_control_token(tmp_path: Path):
    assert list(smuggled(tmp_path, range(40), 10)) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_no_text_of_a_hundred_thousand_brings_a_control_token(tmp_path: Path, part: int):
    """(Three of four folders count, 500 texts each.)"""
    assert list(smuggled(tmp_path, range(100 + 75 * part, 175 + 75 * part), 50)) == []


WITH_TOOLS = """{%- if tools %}{% for tool in tools %}{{ tool.function.name }}: {{ tool|tojson }}{{ TURN }}{% endfor %}{% endif -%}
{%- for d in documents or [] %}{{ d.title }}{{ d.text }}{{ TURN }}{% endfor -%}
{%- for m in messages %}{{ m.role }}{{ m.reasoning_content }}{{ m.content }}{{ extra }}{% for call in m.tool_calls or [] %}
{{- call.function.arguments|items|map('join', '=')|join(', ') }}{% endfor %}{{ TURN }}{% endfor %}"""


def test_tools_documents_reasoning_and_variables_bring_none_either(tmp_path: Path):
    for seed in range(24):
        made = Made(tmp_path / str(seed), seed)
        if depends(made):
            continue
        template = WITH_TOOLS.replace("TURN", repr(made.names["turn"]))
        (made.folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        tokenizer = Tokenizer.load(made.folder)
        names = sorted({*tokenizer.special} - {made.names["unk"]})
        control = [tokenizer.special[name] for name in names]
        counts = set()
        for text in ["x", *(contents(made.random, names) for _ in range(20))]:
            call = {"function": {"name": text, "arguments": {f"k{text}": text}}}
            messages = [
                {"role": "user", "content": text},
                {"role": "assistant", "content": text, "reasoning_content": text, "tool_calls": [call]},
                {"role": "tool", "content": text, "name": text},
            ]
            tool = {"type": "function", "function": {"name": text, "description": text, "parameters": {text: text}}}
            options = {"tools": [tool], "documents": [{"title": text, "text": text}], "extra": text, "eos_token": text}
            counts.add(int(np.isin(render(tokenizer, messages, options=options), control).sum()))
        assert len(counts) == 1


ADVERSARIAL = [
    "",
    " ",
    "\n",
    "same words",
    "assistant",
    "user\n",
    "<assistant>\n",
    "</think>",
    "a</think>b",
    "b",
    "[/INST] b",
]


def test_the_mask_never_covers_a_word_of_the_user(tmp_path: Path):
    """Users say `u`, assistants `a`, with the same adversarial words around; no learned id may decode to a `µ`."""
    learned = 0
    for seed in range(60):
        made = Made(tmp_path / str(seed), seed)
        if made.kind != "bytes" or "Ġ" not in made.tokenizer.get_vocab():
            continue
        tokenizer = Tokenizer.load(made.folder)
        for _ in range(6):
            said = [made.random.choice(ADVERSARIAL) for _ in range(4)]
            messages = [
                {"role": ("user", "assistant")[n % 2], "content": text + ("µ" if n % 2 == 0 else "")}
                for n, text in enumerate(said)
            ]
            try:
                ids, mask = render_with_mask(tokenizer, messages)
            except UserError:
                continue
            learned += int(mask.sum())
            words = b"".join(tokenizer.token_bytes(number) for number in ids[mask].tolist())
            assert "µ".encode() not in words and "Μ".encode() not in words, (seed, messages)
    assert learned > 500


def with_template(folder: Path, template: str) -> Tokenizer:
    made = Made(folder, 4)
    (folder / "additional_chat_templates").mkdir(exist_ok=True)
    (folder / "chat_template.jinja").write_text(template.replace("TURN", repr(made.names["turn"])), encoding="utf-8")
    return Tokenizer.load(folder)


SAME_WORDS = [
    {"role": "user", "content": "the mill"},
    {"role": "assistant", "content": "the mill"},
    {"role": "assistant", "content": "grinds"},
    {"role": "user", "content": "the mill"},
]


def test_the_same_words_are_learned_where_the_assistant_says_them(tmp_path: Path):
    for place in (0, 2, 5):
        tokenizer = with_template(tmp_path / str(place), TEMPLATES[place])
        ids, mask = render_with_mask(tokenizer, SAME_WORDS)
        words = tokenizer.decode(ids[mask]).replace(" ", "")
        turn = json.loads((tmp_path / str(place) / "tokenizer.json").read_text())["added_tokens"]
        assert words.count("themill") == 1 and words.count("grinds") == 1, words
        assert any(token["content"] in words for token in turn if token["special"])
