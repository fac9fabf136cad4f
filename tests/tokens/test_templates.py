"""Chat templates of imported models: everything transformers lets them do, within bounds of time and memory."""

# ruff: noqa: E501  (a template is one line)

from __future__ import annotations

import json
import resource
import signal
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from glassmill.errors import UserError
from glassmill.tokens.chat import render, render_with_mask
from glassmill.tokens.templates import process
from glassmill.tokens.templates.turns import complaint, turn_end
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.made_folders import TEMPLATES, Made

MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "the mill"},
    {"role": "assistant", "content": "the mill grinds"},
    {"role": "user", "content": "two"},
]
TOOL = {"type": "function", "function": {"name": "sum", "description": "adds", "parameters": {"a": 1}}}
CALL = {"type": "function", "function": {"name": "sum", "arguments": {"a": 1, "b": "é\n"}}}
SEED = 59
"""A byte-level folder whose turns end with `<|im_end|>`."""


def both(folder: Path, template: str, seed: int = SEED) -> tuple[Tokenizer, Any]:
    made = Made(folder, seed)
    (folder / "chat_template.jinja").write_text(template.replace("TURN", repr(made.names["turn"])), encoding="utf-8")
    return Tokenizer.load(folder), PreTrainedTokenizerFast.from_pretrained(folder)


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a switch": ("{% if enable_thinking is defined and not enable_thinking %}no {% endif %}{{ messages[0].content }}", {
        "enable_thinking": False}),
    "tools": ("{{ tools|tojson(indent=1) }}{% for t in tools %}{{ t.function.name }}{{ TURN }}{% endfor %}", {"tools": [TOOL]}),
    "no tools": ("{{ tools is none }}{{ documents is none }}{{ messages[0].content }}", {}),
    "documents": ("{% for d in documents %}{{ d['title'] ~ d.text|indent(2) }}{{ TURN }}{% endfor %}", {
        "documents": [{"title": "a", "text": "b\nc"}]}),
    "a role token": ("{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ messages[0].content }}", {}),
    "a text": ("{{ effort|upper }}{{ 'high' in effort }}{{ {'high': 1}[effort] }}", {"effort": "high"}),
    "dates": ("{{ strftime_now('%Y') }}", {}),
    "json": ("{{ {'é': [1.5, none, 'x<&']}|tojson(ensure_ascii=true, separators=(',', ':'), sort_keys=true) }}", {}),
    "names of dict": ("{% set d = dict(a=1) %}{{ d.a }}{{ dict.fromkeys(['x']) }}{% set ns = namespace(x='q') %}{{ ns.x }}", {}),
    "white space": ("{% for m in messages %}\n    {%- if true %}\n  {{ m.content }}  \n    {% endif %}\n{% endfor %}\n", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_variables_and_functions_are_those_of_transformers(tmp_path: Path, name: str):
    template, options = OPTIONS[name]
    ours, theirs = both(tmp_path, template)
    assert render(ours, MESSAGES, options=options).tolist() == theirs.apply_chat_template(
        MESSAGES, add_generation_prompt=True, return_dict=False, **options
    )


def test_tool_calls_and_reasoning_reach_the_template(tmp_path: Path):
    template = (
        "{% for m in messages %}{{ m.role }}{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}"
        "{% if m.content is defined %}{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}"
        "{{ c.function.name }}{{ c.function.arguments|tojson }}{% endfor %}{{ TURN }}{% endfor %}"
    )
    ours, theirs = both(tmp_path, template)
    messages = [
        {"role": "user", "content": "2+2"},
        {"role": "assistant", "content": None, "thinking": "hm", "tool_calls": [CALL]},
        {"role": "tool", "content": "4", "name": "sum"},
    ]
    assert render(ours, messages, False).tolist() == theirs.apply_chat_template(messages, return_dict=False)


def test_named_templates_are_chosen_as_in_transformers(tmp_path: Path):
    made = Made(tmp_path, SEED)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    for extra in [tmp_path / "chat_template.jinja", *tmp_path.glob("additional_chat_templates/*")]:
        extra.unlink(missing_ok=True)
    named = {"default": "{{ messages[0].content }}", "tool_use": "{{ tools[0].function.name }}", "rag": "{{ 'x' }}"}
    config["chat_template"] = [{"name": name, "template": text} for name, text in named.items()]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    ours = Tokenizer.load(tmp_path)
    assert ours.decode(render(ours, MESSAGES)).strip() == "be brief"
    assert ours.decode(render(ours, MESSAGES, options={"tools": [TOOL]})).strip() == "sum"
    assert ours.decode(render(ours, MESSAGES, options={"chat_template": "rag"})).strip() == "x"
    with pytest.raises(UserError, match="this model has no chat template 'other'; it has default, rag, tool_use"):
        render(ours, MESSAGES, options={"chat_template": "other"})
    with pytest.raises(UserError, match="messages cannot be set as a variable of the chat template"):
        render(ours, MESSAGES, options={"messages": []})
    del made


MASKED = "{% for m in messages %}{{ '<' + m.role + '>' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content + TURN }}{% endgeneration %}{% else %}{{ m.content + TURN }}{% endif %}{% endfor %}"


@pytest.mark.parametrize(
    "template", [MASKED, MASKED.replace("{% generation %}", "{%- generation -%}").replace("'>'", "'>\n'")]
)
def test_generation_blocks_are_the_mask_of_transformers(tmp_path: Path, template: str):
    ours, theirs = both(tmp_path, template)
    ids, mask = render_with_mask(ours, MESSAGES)
    wanted = theirs.apply_chat_template(MESSAGES, return_dict=True, return_assistant_tokens_mask=True)
    assert ids.tolist() == wanted["input_ids"]
    assert mask.astype(int).tolist() == wanted["assistant_masks"] and mask.any()


def test_what_the_assistant_must_write_itself_is_learned_too(tmp_path: Path):
    template = (
        "{% for m in messages %}{{ '<' + m.role + '>' }}{% if m.reasoning %}{{ '{think ' + m.reasoning + '} ' }}{% endif %}"
        "{{ m.content }}{% for c in m.tool_calls or [] %}{{ '{call ' + c.function.name + '}' }}{% endfor %}{{ TURN + '|' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
    )
    ours, _ = both(tmp_path, template)
    messages = [
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "4"},
        {"role": "assistant", "content": "", "reasoning": "hm"},
        {"role": "assistant", "content": "4", "reasoning": "hm"},
    ]
    ids, mask = render_with_mask(ours, messages)
    learned = "".join(ours.decode(ids[mask]).split())
    assert learned == "{callsum}</s>{thinkhm}</s>{thinkhm}4</s>".replace(
        "</s>", Made(tmp_path / "x", SEED).names["turn"]
    )


def test_what_a_template_writes_behind_an_answer_ends_it(tmp_path: Path):
    ours, _ = both(tmp_path, TEMPLATES[0])
    assert turn_end(ours) == Made(tmp_path / "again", SEED).names["turn"]
    for place, template in enumerate(
        ["{{ messages[0].content }}", "{{ raise_exception('no') }}", "{% if %}", "{{ messages[1].content }} x"]
    ):
        assert turn_end(both(tmp_path / str(place), template)[0]) is None


HOSTILE = {
    "a long text": "{{ 'x' * 10**9 }}",
    "a long product": "{% set n = 10**8 %}{{ ('x' * n)|length }}",
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a long range": "{% for a in range(10**9) %}{% endfor %}",
    "doubling": "{% set ns = namespace(t='x') %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ ns.t|length }}",
    "doubled concatenation": "{% set ns = namespace(t='x') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}x",
    "much output": "{% for a in range(99999) %}{% for b in range(99) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}",
    "endless recursion": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "deep nesting": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a wide line": "{{ 'x'.center(10**9) }}{{ 'x'.ljust(10**9) }}",
    "a wide field": "{{ '{:>1000000000}'.format('x') }}",
    "a large number": "{{ 9**(9**9) }}",
    "replaced letters": "{{ ('a' * 99999).replace('a', 'b' * 99999)|length }}",
    "a large list": "{% set ns = namespace(t=[1]) %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}x",
    "joined letters": "{{ ('x' * 99999)|join('y' * 99999)|length }}",
    "many words": "{{ lipsum(n=100000)|length }}",
    "all orders": "{% for a in 'abcdefgh' recursive %}{{ loop('abcdefgh') }}{% endfor %}",
    "slow white space": "{{ ('<' * 99999)|striptags|urlize|wordwrap(1)|length }}",
    "internals": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "internals of a format": "{{ '{0.__class__}'.format(messages) }}{{ raise_exception('x') }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_costs_little_and_ends_in_one_clear_error(tmp_path: Path, name: str):
    tokenizer, _ = both(tmp_path, HOSTILE[name])
    failed: list[str] = []

    def attempt() -> None:
        try:
            render(tokenizer, MESSAGES)
        except UserError as error:
            failed.append(str(error))

    thread = threading.Thread(target=attempt)  # as a server does
    thread.start()
    thread.join()
    assert failed and "chat template" in failed[0] and "\n" not in failed[0] and len(failed[0]) < 400


def test_hostile_templates_stay_within_two_seconds_of_processor_time_and_200_mb(tmp_path: Path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for place, name in enumerate(["nested loops", "a long text", "doubling", "replaced letters"]):
        with pytest.raises(UserError, match="too long|too much memory"):
            render(both(tmp_path / str(place), HOSTILE[name])[0], MESSAGES)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 4 < 2


def test_ctrl_c_in_the_terminal_does_not_end_what_renders_the_next_question(tmp_path: Path):
    good = both(tmp_path, "{{ messages[0].content }}")[0]
    render(good, MESSAGES)
    child = process._process.child
    assert child is not None
    child.send_signal(signal.SIGINT)  # a terminal sends it to every process of the command
    assert good.decode(render(good, MESSAGES)).strip() == "be brief"
    assert process._process.child is child


def test_after_a_hostile_template_the_next_one_works(tmp_path: Path):
    bad, good = both(tmp_path / "a", HOSTILE["nested loops"])[0], both(tmp_path / "b", "{{ messages[0].content }}")[0]
    for _ in range(2):
        with pytest.raises(UserError, match="takes too long"):
            render(bad, MESSAGES)
        assert good.decode(render(good, MESSAGES)).strip() == "be brief"


COMPLAINTS = {
    "{% video %}x{% endvideo %}": "not valid Jinja: Encountered unknown tag 'video'.*line 1",
    "{{ load_image(messages[0].content) }}{{ bos_token }}": "calls functions that do not exist here: load_image",
    "{{ messages|no_such_filter }}": "not valid Jinja: No filter named 'no_such_filter'",
    "{% for m in messages %}": "not valid Jinja: Unexpected end of template",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}": "nested too deeply",
}


@pytest.mark.parametrize("template", COMPLAINTS)
def test_what_a_template_needs_and_nobody_has_is_said_in_one_line(template: str):
    import re

    said = complaint(template) or ""
    assert re.search(COMPLAINTS[template], said) and "\n" not in said


def test_nothing_is_said_of_templates_that_work():
    assert [complaint(template) for template in TEMPLATES] == [None] * len(TEMPLATES)


def test_time_is_that_of_now(tmp_path: Path):
    ours, _ = both(tmp_path, "{{ strftime_now('%Y') }}")
    assert ours.decode(render(ours, MESSAGES)).strip() == str(datetime.now().year)
