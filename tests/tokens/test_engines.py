"""The native engine and its plain twin: the same pieces, ids and merges, for every pattern and for any regex."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Peer

from glassmill import native
from glassmill.errors import UserError
from glassmill.tokens import bpe
from glassmill.tokens.codecs import NativeCodec, PlainCodec
from glassmill.tokens.formats import dump_json, to_alphabet, tokenizer_json
from glassmill.tokens.plain_split import alternatives, plain_pieces
from glassmill.tokens.specials import special_ids
from glassmill.tokens.split import PATTERNS, named_pieces, scheme_of, split_pieces
from glassmill.tokens.tokenizer import Tokenizer
from tests.native.strings import random_strings
from tests.tokens.builders import PROSE

if not native.available():
    pytest.skip("an installation without the compiled core has nothing to compare", allow_module_level=True)

WORDS_AND_VOWELS = r"[aeiou]+|\w+|\s+"  # no pattern that the core knows, and it leaves out punctuation
MORE = {**PATTERNS, "regex": WORDS_AND_VOWELS}


@pytest.fixture
def without_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation that could not compile."""
    monkeypatch.setattr(native, "available", lambda: False)


@pytest.mark.parametrize("name", PATTERNS)
def test_both_splitters_cut_the_same_pieces_by_the_same_branches(name: str):
    scheme = scheme_of(PATTERNS[name])
    assert scheme
    for text in random_strings(21, 150):
        plain = [(piece, scheme.branches[place]) for piece, _, place in plain_pieces(text, PATTERNS[name])]
        assert named_pieces(text, PATTERNS[name]) == plain, repr(text)


def test_spellings_of_the_same_pattern_are_recognised():
    gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    assert scheme_of(gpt2) == scheme_of(PATTERNS["gpt2"])
    assert scheme_of(PATTERNS["cl100k_base"].replace("$", r"\z").replace("{1,3}+", "{1,3}"))
    assert scheme_of(WORDS_AND_VOWELS) is None
    for text in random_strings(22, 100):
        assert [piece for piece, _, _ in plain_pieces(text, gpt2)] == split_pieces(text, PATTERNS["gpt2"])


def test_what_a_regex_leaves_out_is_a_piece_too():
    assert split_pieces("aer, xx!", WORDS_AND_VOWELS) == ["ae", "r", ",", " ", "xx", "!"]
    assert alternatives(PATTERNS["gpt2"])[:2] == ["'(?:[sdmt]|ll|ve|re)", r" ?\p{L}++"]
    with pytest.raises(UserError, match="not a valid regular expression"):
        split_pieces("a", "(")


@pytest.mark.parametrize("name", MORE)
def test_training_and_encoding_agree_with_the_twins(name: str, without_core: None, monkeypatch: pytest.MonkeyPatch):
    texts = [*PROSE, *random_strings(23, 30)]
    plain = bpe.train(texts, 330, MORE[name])
    ranks = {symbol: rank for rank, symbol in enumerate(plain)}
    twin = PlainCodec(ranks, MORE[name])
    monkeypatch.undo()
    assert bpe.train(texts, 330, MORE[name]) == plain
    core = NativeCodec(ranks, MORE[name], {})
    for text, batch in zip(texts, core.encode_batch(texts, 2), strict=True):
        assert core.encode(text).tolist() == twin.encode(text).tolist() == batch.tolist()


@given(st.text(max_size=50))
@settings(deadline=None, max_examples=50)
def test_a_foreign_vocabulary_has_its_own_engines_ids_in_both(text: str):
    full = tokenizer_json(RANKS, bpe.recover_merges(RANKS), PATTERNS["smollm"], special_ids(len(RANKS)))
    peer = Peer.from_str(dump_json(full))
    peer.encode_special_tokens = True
    for codec in (NativeCodec(RANKS, PATTERNS["smollm"], {}, merges=TRIPLES, ignore_merges=False),
                  PlainCodec(RANKS, PATTERNS["smollm"], merges=TRIPLES, ignore_merges=False)):  # fmt: skip
        assert codec.encode(text).tolist() == peer.encode(text).ids


@given(st.text(alphabet="ab \x04\x06\n1é\U00050000", max_size=30))
@settings(deadline=None, max_examples=100)
def test_bytes_that_a_foreign_vocabulary_lacks_vanish_from_their_pieces(text: str):
    """SmolLM2's lacks 21 of them; its engine joins what stands around."""
    missing = b"\x04\x06\xf1"
    ids = {symbol: rank for symbol, rank in RANKS.items() if symbol not in {bytes([value]) for value in missing}}
    full = tokenizer_json(RANKS, bpe.recover_merges(RANKS), PATTERNS["smollm"], {})
    for value in missing:
        del full["model"]["vocab"][to_alphabet(bytes([value]))]
    wanted = Peer.from_str(dump_json(full)).encode(text).ids
    for build in (lambda *a, **k: NativeCodec(*a, {}, **k), PlainCodec):
        codec = build(ids, PATTERNS["smollm"], merges=TRIPLES, ignore_merges=False, missing=missing)
        assert codec.encode(text).tolist() == wanted
        assert codec.encode_batch([text])[0].tolist() == wanted


RANKS = {symbol: rank for rank, symbol in enumerate(bpe.train(PROSE, 330, PATTERNS["smollm"]))}
TRIPLES = [(left, right, 256 + place) for place, (left, right) in enumerate(bpe.recover_merges(RANKS))]


def long_texts() -> Iterator[str]:
    yield "a" * 300_000
    yield "".join(random.Random(24).choices("abcdefgh", k=100_000))
    yield " " * 100_000 + "x"


def test_long_pieces_take_the_twin_seconds_and_have_the_same_ids():
    core, twin = NativeCodec(RANKS, PATTERNS["llama3"], {}), PlainCodec(RANKS, PATTERNS["llama3"])
    for text in long_texts():
        assert np.array_equal(core.encode(text), twin.encode(text))


def test_a_tokenizer_works_without_the_core(without_core: None):
    symbols = bpe.train(PROSE, 300, PATTERNS["llama3"])
    ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
    tokenizer = Tokenizer.from_ranks(ranks, PATTERNS["llama3"], special_ids(len(ranks)))
    ids, ends = tokenizer.encode_flat([*PROSE, "\ud800<|im_end|>"], dtype=np.uint16, end_id=tokenizer.eos_id)
    assert ids.dtype == np.uint16 and ends[-1] == len(ids)
    assert tokenizer.decode(tokenizer.encode(PROSE[2])) == PROSE[2]
    with pytest.raises(ValueError, match="token id 320 is not in the vocabulary of 320"):
        tokenizer.decode([320])
    with pytest.raises(UserError, match="tie_break=hf needs the native core"):
        bpe.train(PROSE, 300, PATTERNS["llama3"], tie_break="hf")
