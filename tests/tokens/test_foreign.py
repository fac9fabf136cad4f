"""Tokenizers from elsewhere: the forms that hub folders of Llama's and Qwen3's shape come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Peer

from glassmill.errors import UserError
from glassmill.tokens.formats import read_json
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.builders import PROSE, small_tokenizer

ENDS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def word_model() -> dict[str, Any]:
    """A small SentencePiece-like BPE, as Llama 2's folder has it: a mark for spaces, and bytes for what is unknown."""
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz."]
    vocab = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, "▁t", "he", "▁the"]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": n, "content": name, "special": True, **ENDS} for n, name in enumerate(vocab[:3])],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": {name: number for number, name in enumerate(vocab)},
                  "merges": [["▁", "t"], ["h", "e"], ["▁t", "he"]]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("words") / "tokenizer.json"
    path.write_text(json.dumps(word_model()), encoding="utf-8")
    return Tokenizer.load(path)


@given(text=st.text())
def test_a_word_vocabulary_with_bytes_decodes_what_it_encodes(words: Tokenizer, text: str):
    assert words.decode(words.encode(text)) == text


def test_a_word_vocabulary_gives_its_engines_ids_and_no_control_token(words: Tokenizer):
    peer = Peer.from_str(json.dumps(word_model()))
    assert words.encode("the miller. é").tolist() == peer.encode("the miller. é", add_special_tokens=False).ids
    assert not {1, 2} & set(words.encode("</s><s> the").tolist())
    assert [entry["text"] for entry in words.explain("the a")] == [" the", " ", "a"]


def with_added(folder: Path, content: str, special: bool) -> Tokenizer:
    """Our small vocabulary as a foreign folder with one token more."""
    small_tokenizer().save(folder)
    full = read_json(folder / "tokenizer.json")
    full["added_tokens"].append({"id": 512, "content": content, "special": special, **ENDS})
    (folder / "tokenizer.json").write_text(json.dumps(full), encoding="utf-8")
    return Tokenizer.load(folder / "tokenizer.json")


def test_only_a_token_called_special_is_a_control_token(tmp_path: Path):
    control, word = with_added(tmp_path / "a", "<think>", True), with_added(tmp_path / "b", "<think>", False)
    assert control.special["<think>"] == 512 and "<think>" not in word.special
    assert 512 not in control.encode("<think>hm</think>").tolist()
    assert word.encode("<think>hm</think>").tolist()[0] == 512
    assert control.decode([512]) == word.decode([512]) == word.decode([512], skip_special=True) == "<think>"
    assert control.decode([512], skip_special=True) == ""


def test_added_runs_of_spaces_are_text(tmp_path: Path):
    tokenizer = with_added(tmp_path, "        ", special=False)
    peer = Peer.from_file(str(tmp_path / "tokenizer.json"))
    text = "def f():\n        return 1"
    assert tokenizer.encode(text).tolist() == peer.encode(text, add_special_tokens=False).ids
    assert 512 in tokenizer.encode(text) and tokenizer.decode(tokenizer.encode(text)) == text


def test_a_template_in_a_file_of_its_own_is_found(tmp_path: Path):
    small_tokenizer().save(tmp_path)
    (tmp_path / "vocab.tiktoken").unlink()
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    assert Tokenizer.load(tmp_path).chat_template == "{{ messages[0].content }}"


def test_a_foreign_tokenizer_is_saved_as_it_came(tmp_path: Path):
    small_tokenizer().save(tmp_path / "a")
    Tokenizer.load(tmp_path / "a" / "tokenizer.json").save(tmp_path / "b")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
    assert all(Tokenizer.load(tmp_path / "b").decode(small_tokenizer().encode(text)) == text for text in PROSE)


BREAKING = {
    "a strip that panics": {"type": "Strip", "content": "a", "start": 0, "stop": 3},
    "a list of nothing": {"type": "Sequence", "decoders": []},
    "the last of no words": {"type": "BPEDecoder", "suffix": "</w>"},
    "no word": {"type": "WordPiece", "prefix": "##", "cleanup": True},
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_decoder_that_fails_in_the_engine_does_not_end_the_program(tmp_path: Path, name: str):
    full = word_model() | {"decoder": BREAKING[name]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(full), encoding="utf-8")
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.decode([]) == tokenizer.decode([1], skip_special=True) == ""
    stream = tokenizer.stream()
    ids = tokenizer.encode("a the b a").tolist()
    assert "".join(map(stream.push, ids)) + stream.finish() == tokenizer.decode(ids)
    assert stream.finish() == ""


@pytest.mark.parametrize(
    "change",
    [{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}, {"pre_tokenizer": {"type": "Nonsense"}},
     {"added_tokens": [{"id": 0}]}, {"added_tokens": 7}, {"post_processor": {"type": "TemplateProcessing"}},
     {"normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}}, {"decoder": 3}],
)  # fmt: skip
def test_damaged_parts_are_refused_in_one_line(tmp_path: Path, change: dict[str, Any]):
    (tmp_path / "tokenizer.json").write_text(json.dumps(word_model() | change), encoding="utf-8")
    with pytest.raises(UserError, match="damaged") as caught:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("tokenizer_config", {"eos_token": 5}), ("tokenizer_config", {"bos_token": {"content": 5}}),
     ("tokenizer_config", {"eos_token": ["<|endoftext|>"]}), ("tokenizer_config", {"additional_special_tokens": [7]}),
     ("special_tokens_map", {"eos_token": [1]}), ("special_tokens_map", {"pad_token": {}, "unk_token": True})],
)  # fmt: skip
def test_a_special_token_that_is_no_text_is_never_made_one(tmp_path: Path, name: str, content: dict[str, Any]):
    (tmp_path / "tokenizer.json").write_text(json.dumps(word_model()), encoding="utf-8")
    (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match="a special token is .*, which is not a text"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    "config",
    [{"added_tokens_decoder": {"x": 1}}, {"eos_token": 5}, {"chat_template": [1, {"name": 2}]},
     {"added_tokens_decoder": 3}, {"extra_special_tokens": 4},
     {"special_tokens_map": 3, "bos_token": {"no": 1}}, {"chat_template": {"a": 1}}],
)  # fmt: skip
def test_a_strange_configuration_is_refused_or_left_out(tmp_path: Path, config: dict[str, Any]):
    (tmp_path / "tokenizer.json").write_text(json.dumps(word_model()), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    try:
        assert Tokenizer.load(tmp_path).decode([270]) is not None
    except UserError as error:
        assert "damaged" in str(error) and "\n" not in str(error)
