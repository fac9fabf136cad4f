"""The native splitter against the patterns it stands for, run by two regex engines."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from glassmill import native
from tests.native.strings import CL100K, SCHEMES, random_strings


def ends_by_regex(pattern: str) -> pre_tokenizers.PreTokenizer:
    portable = pattern.replace("{1,3}+", "{1,3}").replace(r"\s++$", r"\s++\z")
    return pre_tokenizers.Split(Regex(portable), behavior="isolated")


@pytest.mark.parametrize("name", SCHEMES)
def test_pieces_are_those_of_the_pattern_in_hugging_faces_engine(name: str):
    pattern, (scheme, digits) = SCHEMES[name]
    engine = ends_by_regex(pattern)
    for text in random_strings(1, 3000):
        wanted = np.cumsum([len(piece.encode()) for piece, _ in engine.pre_tokenize_str(text)])
        assert np.array_equal(native.split(text, scheme, digits)[0], wanted), repr(text)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_windows_cut_like_the_plain_reading(name: str):
    _, (scheme, digits) = SCHEMES[name]
    for text in random_strings(2, 3000):
        fast, plain = native.split(text, scheme, digits)[0], native.split(text, scheme, digits, plain=True)[0]
        assert np.array_equal(fast, plain), repr(text)


@given(st.binary(max_size=300), st.sampled_from(native.SCHEMES))
@settings(deadline=None)
def test_any_bytes_are_cut_without_loss(text: bytes, scheme: str):
    ends = native.split(text, scheme)[0].tolist()
    assert ends == native.split(text, scheme, plain=True)[0].tolist()
    assert ends == sorted(set(ends)) and (ends[-1:] or [0]) == [len(text)]


def test_every_code_point_has_the_class_of_tiktokens_engine():
    """One character a probe: behind a letter, a number and a blank, its class shows in the pieces."""
    symbols = {bytes([value]): value for value in range(256)}
    for pattern, branch in ((r"\p{L}", 1), (r"\p{N}", 2)):
        engine = tiktoken.Encoding("probe", pat_str=pattern, mergeable_ranks=symbols, special_tokens={})
        for first in range(0, 0x110000, 0x10000):
            points = [p for p in range(first, first + 0x10000) if not 0xD800 <= p < 0xE000]
            text = "\n".join(map(chr, points))
            matched = set(engine.decode(engine.encode_ordinary(text)))
            ends, branches = native.split(text, "llama3")
            data = text.encode()
            ours = {
                char
                for end, start, cut in zip(ends, [0, *ends[:-1]], branches, strict=True)
                for char in data[start:end].decode()
                if cut == branch
            }
            assert ours == matched


def test_the_branch_that_cut_each_piece_is_named():
    text = "Don't pay 12345!\n  \nOK  "
    ends, branches = native.split(text, "cl100k_base")
    pieces = [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    assert list(zip(pieces, [native.BRANCHES[branch] for branch in branches], strict=True)) == [
        ("Don", "letters"), ("'t", "contraction"), (" pay", "letters"), (" ", "space"), ("123", "number"),
        ("45", "number"), ("!\n", "punctuation"), ("  \n", "newlines"), ("OK", "letters"), ("  ", "end_space"),
    ]  # fmt: skip


def test_the_own_form_cuts_newline_and_blank_at_the_end_of_a_text_as_llama_cpp_does():
    assert native.split("a\n ", "cl100k_base")[0].tolist() == [1, 3]
    assert native.split("a\n ", "llama3")[0].tolist() == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
def test_a_million_random_strings_are_cut_alike(name: str):
    pattern, (scheme, digits) = SCHEMES[name]
    engine = ends_by_regex(pattern)
    for number, text in enumerate(random_strings(3, int(os.environ.get("GLASSMILL_FUZZ", 150_000)))):
        fast = native.split(text, scheme, digits)[0]
        assert np.array_equal(fast, native.split(text, scheme, digits, plain=True)[0]), repr(text)
        if number % 10 == 0:
            wanted = np.cumsum([len(piece.encode()) for piece, _ in engine.pre_tokenize_str(text)])
            assert np.array_equal(fast, wanted), repr(text)


def test_an_unknown_scheme_is_refused_by_name():
    with pytest.raises(ValueError, match="no split scheme 'gpt5'"):
        native.split("a", "gpt5")


def test_the_unicode_version_is_that_of_tiktokens_engine():
    assert native.UNICODE_VERSION == "16.0"
    assert SCHEMES["cl100k_base"][0] == CL100K
