"""Conversations to ids: exact markers, an exact loss mask, and no way for a text to speak as a control token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from glassmill.errors import UserError
from glassmill.tokens.chat import render, render_with_mask
from glassmill.tokens.formats import read_json
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.builders import small_tokenizer

OWN = small_tokenizer(1024)
CONTROL = set(OWN.special.values())

SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are helpful<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING = (
    "{{ bos_token }}{% for message in messages %}{% if message.role not in ['user', 'assistant'] %}"
    "{{ raise_exception('no such role') }}{% endif %}<|im_start|>{{ message.role }}:\n{{ message['content'] | trim }}"
    "{{ eos_token }}{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant:\n{% endif %}"
)

CALL: list[dict[str, Any]] = [
    {"role": "user", "content": "What is 12*7?"},
    {
        "role": "assistant",
        "content": [
            {"type": "tool_call", "expression": "12*7"},
            {"type": "tool_result", "text": "84"},
            {"type": "text", "text": "The answer is 84."},
        ],
    },
]
TEXT = st.lists(
    st.one_of(st.text(max_size=12), st.sampled_from([*OWN.special, "\n", " ", "{{ 7*7 }}", "\ue0000\ue001"]))
)
CONTENT = TEXT.map("".join)
TURNS = st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=3).map(
    lambda turns: [{"role": role, "content": text} for turn in turns for role, text in zip(("user", "assistant"), turn)]  # noqa: B905
)


def with_template(folder: Path, template: str) -> Tokenizer:
    """Our small vocabulary as a folder from elsewhere, with a template of its own."""
    OWN.save(folder)
    (folder / "vocab.tiktoken").unlink()
    config = read_json(folder / "tokenizer_config.json")
    config |= {"chat_template": template, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return Tokenizer.load(folder)


@pytest.fixture(scope="module", params=["own", "smollm", "trimming"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    """A tokenizer with a template, and transformers' view of the same folder."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "own":
        OWN.save(folder)
        return OWN, AutoTokenizer.from_pretrained(folder)
    return with_template(
        folder, {"smollm": SMOLLM, "trimming": TRIMMING}[request.param]
    ), AutoTokenizer.from_pretrained(folder)


def test_one_token_stands_before_every_message_and_one_behind_an_answer():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    expected = "<|system|>Be brief.<|user|>Hi"
    assert OWN.decode(render(OWN, messages)) == expected + "<|assistant|>"
    assert OWN.decode(render(OWN, messages, add_generation_prompt=False)) == expected
    assert render(OWN, messages)[0] == OWN.special["<|system|>"]


def test_the_assistant_learns_its_words_its_calls_and_its_end_but_no_results():
    ids, mask = render_with_mask(OWN, CALL)
    assert OWN.decode(ids) == (
        "<|user|>What is 12*7?<|assistant|><|tool_call|>12*7<|tool_result|>84<|tool_end|>The answer is 84.<|im_end|>"
    )
    assert OWN.decode(ids[mask]) == "<|tool_call|>12*7<|tool_result|>The answer is 84.<|im_end|>"
    assert (ids.dtype, mask.dtype) == (np.uint32, bool)


@settings(deadline=None)
@given(messages=TURNS)
def test_no_content_brings_a_control_token(both: tuple[Tokenizer, Any], messages: list[dict[str, str]]):
    tokenizer = both[0]
    harmless = [
        {**message, "content": "x" if message["content"].strip() else message["content"]} for message in messages
    ]
    ids, plain = render(tokenizer, messages).tolist(), render(tokenizer, harmless).tolist()
    assert [number for number in ids if number in CONTROL] == [number for number in plain if number in CONTROL]


@settings(deadline=None)
@given(messages=TURNS)
def test_every_content_is_there_word_for_word(both: tuple[Tokenizer, Any], messages: list[dict[str, str]]):
    decoded = both[0].decode(render(both[0], messages))
    for message in messages:
        place = decoded.index(message["content"].strip())
        decoded = decoded[place + len(message["content"].strip()) :]


@settings(deadline=None, max_examples=15)
@given(messages=TURNS)
def test_transformers_renders_the_same_text(both: tuple[Tokenizer, Any], messages: list[dict[str, str]]):
    tokenizer, peer = both
    theirs = peer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(render(tokenizer, messages)) == theirs


@pytest.mark.parametrize("prompt", [True, False])
def test_transformers_gives_the_same_ids_for_ordinary_conversations(both: tuple[Tokenizer, Any], prompt: bool):
    tokenizer, peer = both
    messages = [
        {"role": "user", "content": "Who grinds rye?\n\nAnd wheat?"},
        {"role": "assistant", "content": "The miller, on Mondays.\n"},
        {"role": "user", "content": "\n Don't guess: 12345  "},
    ]
    theirs = peer.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=False)
    assert render(tokenizer, messages, prompt).tolist() == theirs


def test_transformers_renders_a_tool_call_like_us(tmp_path: Path):
    OWN.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(CALL, return_dict=False)
    assert render(OWN, CALL, add_generation_prompt=False).tolist() == theirs


@settings(deadline=None)
@given(messages=TURNS)
def test_training_sees_the_ids_that_the_model_is_prompted_with(
    both: tuple[Tokenizer, Any], messages: list[dict[str, str]]
):
    tokenizer = both[0]
    if any(message["content"] != message["content"].strip() or not message["content"] for message in messages):
        return  # a template may trim or move these
    ids, mask = render_with_mask(tokenizer, messages)
    prompt = render(tokenizer, messages[:-1])
    assert np.array_equal(ids[: len(prompt)], prompt)
    assert mask[len(prompt)] and not mask[len(prompt) - 1]


def test_a_jinja_template_learns_the_answer_and_the_end_of_its_turn(both: tuple[Tokenizer, Any]):
    messages = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "The miller."}]
    ids, mask = render_with_mask(both[0], messages)
    assert both[0].decode(ids[mask]) == "The miller.<|im_end|>"


def test_a_sum_is_written_out_where_the_template_knows_no_tools(tmp_path: Path):
    assert "12*7 = 84\nThe answer is 84." in OWN.decode(render(with_template(tmp_path, SMOLLM), CALL))


REFUSED = [
    ([{"role": "tool", "content": "x"}], "message 0: unknown role 'tool'; use one of system, user, assistant"),
    ([{"role": "user", "content": 7}], "message 0: content must be a string or a list of parts, not int"),
    ([{"role": "user", "content": [{"type": "image"}]}], "message 0: invalid part"),
    ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "message 0: invalid part"),
]


@pytest.mark.parametrize(("messages", "words"), REFUSED)
def test_a_conversation_that_cannot_be_read_is_refused(messages: list[dict[str, Any]], words: str):
    with pytest.raises(UserError, match=words):
        render(OWN, messages)


TEMPLATES = {
    "{% for": "is not valid Jinja",
    "{{ messages[9].content }}": "failed",
    "{{ ''.__class__.__mro__ }}": "failed",
    "{{ messages[0]['content']|striptags|batch(2)|list }}": "takes message contents apart",
    "{{ raise_exception('only in pairs') }}": "failed: only in pairs",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_misbehaves_is_refused_in_one_line(tmp_path: Path, template: str):
    tokenizer = with_template(tmp_path, template)
    with pytest.raises(UserError, match=TEMPLATES[template]) as caught:
        render(tokenizer, [{"role": "user", "content": "hello"}])
    assert "\n" not in str(caught.value)


def test_a_base_model_has_no_chat(tmp_path: Path):
    OWN.save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match="no chat template"):
        render(Tokenizer.load(tmp_path / "tokenizer.json"), [{"role": "user", "content": "hello"}])
