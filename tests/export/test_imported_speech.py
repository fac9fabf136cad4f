"""An imported model speaks as in transformers on every way to it: chat, continuation, API, training, saved again."""

# ruff: noqa: E501

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from transformers import AutoTokenizer

from glassmill.export.importing import import_weights
from glassmill.infer.folder import load_folder, save_folder
from glassmill.infer.generate import Model
from glassmill.serve.api import create_api
from glassmill.tokens.chat import render, render_with_mask
from tests.conftest import SHARED_DATA
from tests.export.chains import blank_tokenizer, byte_tokenizer, write_chain

CASES = SHARED_DATA.parent / "cases"
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}"
)
MARKERS = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
ASK = [{"role": "user", "content": "hi"}]


def chatml(folder: Path, chain: dict[str, str], words: list[str], generation: Any, eos: str = "<|eod|>") -> Path:
    tokenizer = byte_tokenizer(["<|eod|>", "<|im_start|>", "<|im_end|>"], words)
    return write_chain(folder, tokenizer, chain, {"eos_token": eos, "chat_template": CHATML}, generation)


def blank(folder: Path, prepends: str, template: str) -> Path:
    tokenizer = blank_tokenizer(prepends)
    start = "]" if template == INST else tokenizer.encode("\n").tokens[-1]
    chain = {start: "▁Good", "▁Good": "▁day", "▁day": ".", ".": "</s>"}
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "chat_template": template}
    return write_chain(folder, tokenizer, chain, names, {"eos_token_id": 2})


def everywhere(model: Model, messages: list[dict[str, str]]) -> set[tuple[str, str]]:
    """The answer and its finish reason, from every way to ask."""
    said = {(model.reply(messages).text, str(model.reply(messages).finish_reason))}
    said.add(("".join(model.stream_chat(messages)), "stop"))
    client = TestClient(create_api(lambda: model), base_url="http://localhost")
    body = {"messages": messages, "temperature": 0}
    choice = client.post("/v1/chat/completions", json=body).json()["choices"][0]
    said.add((choice["message"]["content"], choice["finish_reason"]))
    lines = client.post("/v1/chat/completions", json={**body, "stream": True}).text.splitlines()
    events = [json.loads(line[6:])["choices"][0] for line in lines if line.startswith("data: {")]
    text = "".join(event["delta"].get("content", "") for event in events)
    return said | {(text, events[-1]["finish_reason"])}


@pytest.mark.parametrize(
    ("generation", "eos"),
    [({"eos_token_id": [256, 258]}, "<|eod|>"), ({"eos_token_id": 258}, "<|eod|>"), ({"eos_token_id": 256}, "<|im_end|>"),
     ({}, "<|eod|>")],
)  # fmt: skip
def test_an_answer_stops_at_every_end_that_the_folder_names(tmp_path: Path, generation: dict[str, Any], eos: str):
    chain = {"Ċ": "O", "O": "K", "K": "<|im_end|>", "<|im_end|>": "x", "x": "x"}
    folder = import_weights(
        chatml(tmp_path / "in", chain, [], generation | {"temperature": 0.6}, eos), tmp_path / "out"
    )
    assert everywhere(Model.load(folder), ASK) == {("OK", "stop")}
    kept = json.loads((folder / "generation_config.json").read_text())
    named = generation.get("eos_token_id", [])
    assert {*kept["eos_token_id"]} >= {258, *(named if isinstance(named, list) else [named])}
    assert kept["temperature"] == 0.6


def test_added_words_are_read_in_answers(tmp_path: Path):
    chain = {
        "Ċ": "<think>",
        "<think>": "h",
        "h": "m",
        "m": "</think>",
        "</think>": "millrace",
        "millrace": "<|im_end|>",
    }
    source = chatml(tmp_path / "in", chain, ["<think>", "</think>", "millrace"], {"eos_token_id": 258})
    model = Model.load(import_weights(source, tmp_path / "out"))
    assert everywhere(model, ASK) == {("<think>hm</think>millrace", "stop")}
    assert model.tokenizer.encode("a millrace").tolist()[-1] == 261


@pytest.mark.parametrize("template", [INST, MARKERS])
@pytest.mark.parametrize("prepends", ["normalizer", "first", "always", "never"])
def test_answers_of_word_vocabularies_begin_without_a_blank(tmp_path: Path, prepends: str, template: str):
    source = blank(tmp_path / "in", prepends, template)
    model = Model.load(import_weights(source, tmp_path / "out"))
    assert everywhere(model, ASK) == {("Good day.", "stop")}
    peer = AutoTokenizer.from_pretrained(source)
    talk = [*ASK, {"role": "assistant", "content": "Yes"}, {"role": "user", "content": "dots ..."}]
    for prompt in (True, False):
        theirs = peer.apply_chat_template(talk, add_generation_prompt=prompt, return_dict=False)
        assert render(model.tokenizer, talk, prompt).tolist() == theirs
    ids, mask = render_with_mask(model.tokenizer, talk[:2])
    assert model.tokenizer.decode(ids[mask]).split() == ["Yes", "</s>"] or "Yes" in model.tokenizer.decode(ids[mask])
    assert "hi" not in model.tokenizer.decode(ids[mask])


def test_a_continuation_goes_on_where_the_prompt_ends(tmp_path: Path):
    model = Model.load(import_weights(blank(tmp_path / "in", "normalizer", INST), tmp_path / "out"))
    assert model.generate("hi ]", 4, temperature=0.0) == " Good day."
    assert "".join(model.stream("hi ]", 4, temperature=0.0)) == " Good day."
    client = TestClient(create_api(lambda: model), base_url="http://localhost")
    body = {"prompt": "hi ]", "temperature": 0, "echo": True, "max_tokens": 4}
    assert client.post("/v1/completions", json=body).json()["choices"][0]["text"] == "hi ] Good day."
    lines = client.post("/v1/completions", json={**body, "stream": True}).text.splitlines()
    texts = [json.loads(line[6:])["choices"][0]["text"] for line in lines if line.startswith("data: {")]
    assert "".join(texts) == "hi ] Good day."


def test_a_raw_prompt_begins_with_the_token_of_the_file_once(tmp_path: Path):
    tokenizer = byte_tokenizer(["<|begin|>", "<|end|>"], first="<|begin|>")
    template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    config = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "chat_template": template}
    source = write_chain(tmp_path / "in", tokenizer, {"i": "O", "O": "<|end|>"}, config, {"eos_token_id": 257})
    model = Model.load(import_weights(source, tmp_path / "out"))
    assert model.prompt_ids("hi") == [256, 71, 72] and model.prompt_ids("") == [256]
    assert model.chat_ids(ASK) == [256, 71, 72]
    assert model.generate("hi", temperature=0.0) == "O"
    client = TestClient(create_api(lambda: model), base_url="http://localhost")
    forms: list[tuple[dict[str, Any], list[int]]] = [
        ({"prompt": "hi"}, [256, 71, 72]), ({"prompt": ""}, [256]), ({"prompt": "hi", "add_special_tokens": False}, [71, 72]),
        ({"content": "hi"}, [71, 72]), ({"content": "hi", "add_special": True}, [256, 71, 72]),
        ({"content": "hi", "add_special_tokens": True}, [256, 71, 72]), ({"messages": ASK}, [256, 71, 72]),
    ]  # fmt: skip
    for body, ids in forms:
        assert client.post("/tokenize", json=body).json()["tokens"] == ids, body
    body = {"prompt": "hi", "temperature": 0, "echo": True, "logprobs": 1}
    answer = client.post("/v1/completions", json=body).json()
    assert answer["choices"][0]["text"] == "hiO" and answer["usage"]["prompt_tokens"] == 3


def test_variables_of_the_template_come_through_the_api(tmp_path: Path):
    chain = {"Ċ": "O", "O": "<|im_end|>", "!": "K", "K": "<|im_end|>"}
    source = chatml(tmp_path / "in", chain, [], {"eos_token_id": 258})
    config = json.loads((source / "tokenizer_config.json").read_text())
    extra = "{% if enable_thinking is defined and not enable_thinking %}{{ '!' }}{% endif %}{{ documents[0].text if documents }}"
    config["chat_template"] += extra
    (source / "tokenizer_config.json").write_text(json.dumps(config))
    model = Model.load(import_weights(source, tmp_path / "out"))
    client = TestClient(create_api(lambda: model), base_url="http://localhost")

    def ask(**more: Any) -> Any:
        return client.post("/v1/chat/completions", json={"messages": ASK, "temperature": 0, **more}).json()

    assert ask()["choices"][0]["message"]["content"] == "O"
    assert ask(chat_template_kwargs={"enable_thinking": False})["choices"][0]["message"]["content"] == "K"
    assert ask(documents=[{"text": "!"}])["choices"][0]["message"]["content"] == "K"
    refused = ask(chat_template_kwargs={"messages": []})
    assert refused["error"]["message"] == "messages cannot be set as a variable of the chat template"


def test_a_template_is_shown_as_it_renders(tmp_path: Path):
    model = Model.load(import_weights(blank(tmp_path / "in", "normalizer", INST), tmp_path / "out"))
    client = TestClient(create_api(lambda: model), base_url="http://localhost")
    shown = client.post("/apply-template", json={"messages": ASK}).json()
    assert shown["prompt"] == "<s>[INST] hi [/INST]" and shown["tokens"] == model.chat_ids(ASK)


def test_an_imported_tokenizer_is_saved_as_it_came(tmp_path: Path):
    source = chatml(tmp_path / "in", {"Ċ": "O"}, ["<think>"], {"eos_token_id": [256, 258]})
    (source / "chat_template.jinja").write_text(CHATML)
    (source / "additional_chat_templates").mkdir()
    (source / "additional_chat_templates" / "rag.jinja").write_text("{{ 1 }}")
    (source / "special_tokens_map.json").write_text('{"eos_token":   "<|im_end|>"}')
    first = import_weights(source, tmp_path / "out")
    loaded = load_folder(first)
    save_folder(tmp_path / "again", loaded.model, loaded.tokenizer, {})
    again = import_weights(tmp_path / "again", tmp_path / "last")
    names = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"]
    for name in [*names, "additional_chat_templates/rag.jinja"]:
        assert (source / name).read_bytes() == (first / name).read_bytes() == (again / name).read_bytes()
    assert load_folder(again).tokenizer.stop_ids == [256, 258]


def test_import_says_what_a_template_cannot_do_here(tmp_path: Path):
    told: list[str] = []
    for place, template in enumerate(["{{ load(1) }}", "{% video %}", CHATML]):
        source = chatml(tmp_path / f"in{place}", {"Ċ": "O"}, [], {"eos_token_id": 258})
        config = json.loads((source / "tokenizer_config.json").read_text())
        (source / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
        import_weights(source, tmp_path / f"out{place}", notify=told.append)
    said = [line for line in told if not line.startswith("converting")]
    assert "functions that do not exist here: load" in said[0] and "unknown tag 'video'" in said[1] and len(said) == 2


# --- the folders that failed before -----------------------------------------------------------------------------------


def made_by(case: str, maker: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a case's maker writes."""
    path = CASES / case / f"{maker}.py"
    if not path.is_file():
        pytest.skip("the folders that failed before are not beside the checkout")
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.delitem(sys.modules, "tinymodel", raising=False)
    monkeypatch.setattr(sys, "argv", [str(path), str(out)])
    spec = importlib.util.spec_from_file_location("case_maker", path)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return out


@pytest.mark.parametrize("maker", ["make", "make_zephyr", "make_metaspace_first"])
def test_the_word_vocabularies_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maker: str):
    source = made_by("sentencepiece-llama", maker, tmp_path / "in", monkeypatch)
    model = Model.load(import_weights(source, tmp_path / "out"))
    peer = AutoTokenizer.from_pretrained(source)
    talk = [*ASK, {"role": "assistant", "content": "OK"}, {"role": "user", "content": "hello"}]
    assert model.chat_ids(talk) == peer.apply_chat_template(talk, add_generation_prompt=True, return_dict=False)
    if maker != "make_zephyr":  # its chain starts at a letter that its prompt does not end with
        assert everywhere(model, ASK) == {("Hello world!", "stop")}


def test_the_ends_and_beginnings_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ends = made_by("generation-config-eos", "make", tmp_path / "ends", monkeypatch)
    folder = import_weights(ends, tmp_path / "out")
    assert everywhere(Model.load(folder), ASK) == {("OK", "stop")}
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [256, 258]
    begins = made_by("begin-of-text", "make", tmp_path / "begins", monkeypatch)
    model = Model.load(import_weights(begins, tmp_path / "out2"))
    assert (model.prompt_ids("hi"), model.prompt_ids("")) == ([256, 71, 72], [256])


@pytest.mark.parametrize("name", ["domain", "domain-word-added", "qwen3-think-tokens", "user-defined-html-tags"])
def test_the_added_words_that_failed(name: str):
    folder = CASES / "added-words" / name
    if not folder.is_dir():
        pytest.skip("the folders that failed before are not beside the checkout")
    from transformers import PreTrainedTokenizerFast

    from glassmill.tokens.tokenizer import Tokenizer

    ours, theirs = Tokenizer.load(folder), PreTrainedTokenizerFast.from_pretrained(folder)
    for text in ["The millrace feeds the tailwater pool.", "mill mills <think>x</think> <h1>a</h1><table><td>"]:
        ids = theirs(text)["input_ids"]
        assert ours.framed(text).tolist() == ids and ours.decode(ids, skip_special=True) == text


@pytest.mark.parametrize("name", ["cmpc", "len", "repl", "slice", "think"])
def test_the_templates_that_failed(name: str):
    folder = CASES / "templates-that-read-contents" / name
    if not folder.is_dir():
        pytest.skip("the folders that failed before are not beside the checkout")
    from glassmill.tokens.tokenizer import Tokenizer

    ours, theirs = Tokenizer.load(folder), AutoTokenizer.from_pretrained(folder)
    talk = [
        {"role": "user", "content": "What is two and two?"},
        {"role": "assistant", "content": "<think>two plus two</think>\n\nFour."},
        {"role": "user", "content": "Four."},
    ]
    for prompt in (True, False):
        wanted = theirs.apply_chat_template(talk, add_generation_prompt=prompt, return_dict=False)
        assert render(ours, talk, prompt).tolist() == wanted
