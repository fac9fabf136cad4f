"""The native encoder against tiktoken, on real text, on random text and on text made to hurt."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill import native
from tests.native.strings import random_strings, real_texts

MEGABYTE = 1_000_000
BYTES = {bytes([value]): value for value in range(256)}
SMALL = BYTES | {
    symbol: 256 + rank for rank, symbol in enumerate([b"he", b"ll", b"llo", b"hello", b" wo", "é".encode()])
}


@pytest.fixture(scope="module")
def small() -> native.Encoder:
    return native.Encoder(SMALL, "llama3", special={"<|end|>": 300})


def test_gpt4s_vocabulary_has_100277_ids_and_hello_world_is_two(cl100k: native.Encoder):
    assert cl100k.vocab_size == 100_277
    ids = cl100k.encode("hello world")
    assert ids.tolist() == [15339, 1917] and ids.dtype == np.uint32


def test_ids_are_tiktokens_on_random_strings(cl100k: native.Encoder, reference: tiktoken.Encoding):
    for text in random_strings(4, 20_000):
        assert cl100k.encode(text).tolist() == reference.encode_ordinary(text), repr(text)


@pytest.mark.slow
def test_ids_are_tiktokens_on_a_million_random_strings(cl100k: native.Encoder, reference: tiktoken.Encoding):
    for text in random_strings(5, 1_000_000):
        assert cl100k.encode(text).tolist() == reference.encode_ordinary(text), repr(text)


@pytest.mark.slow
def test_ids_are_tiktokens_on_twenty_megabytes_of_mixed_text(
    shared_data: Path, cl100k: native.Encoder, reference: tiktoken.Encoding
):
    size = 0
    for text in real_texts(shared_data, 25):
        ids = cl100k.encode(text)
        assert np.array_equal(ids, reference.encode_to_numpy(text, disallowed_special=()))
        assert cl100k.decode(ids) == text
        size += len(text.encode())
    assert size >= 20 * MEGABYTE


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_decoding_undoes_encoding_for_all_bytes(text: bytes):
    encoder = native.Encoder(SMALL, "cl100k_base")
    assert encoder.decode_bytes(encoder.encode(text)) == text


SURROGATES = ["\ud800", "a\udfff b", "\ud83d\ude00", "\ude00\ud83d", "x\ud800\ud800\udc00y", "\ud800" * 5, "é\udc80中"]


@pytest.mark.parametrize("text", SURROGATES, ids=ascii)
def test_lone_surrogates_become_the_replacement_character_as_in_tiktoken(cl100k, reference, text: str):
    assert cl100k.encode(text).tolist() == reference.encode_ordinary(text)
    repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert cl100k.decode(cl100k.encode(text)) == repaired


def test_text_never_becomes_a_special_token(cl100k: native.Encoder, small: native.Encoder):
    for text in ("<|endoftext|>", "a<|end|>b", "<|fim_prefix|>" * 100):
        for encoder, first_special in ((cl100k, 100_257), (small, 300)):
            ids = encoder.encode(text)
            assert ids.max() < first_special and encoder.decode(ids) == text
    assert small.decode([300]) == "<|end|>"


@pytest.mark.parametrize("unknown", [-1, 299, 301, 2**31, 2**40])
def test_an_unknown_id_is_an_error_that_names_it(small: native.Encoder, unknown: int):
    for decode in (small.decode, small.decode_bytes):
        with pytest.raises(ValueError, match=f"token id {unknown} is not in the vocabulary of 301"):
            decode([104, unknown])
    with pytest.raises(ValueError, match=str(unknown)):
        small.token_bytes(unknown)


def test_ids_of_any_kind_are_decoded(small: native.Encoder):
    for ids in ([259, 32], (259, 32), iter([259, 32]), np.array([259, 32], np.uint16), np.array([259, 0, 32])[::2]):
        assert small.decode(ids) == "hello "
    assert small.decode([]) == "" and small.encode("").tolist() == []
    with pytest.raises((TypeError, ValueError)):
        small.decode(["hello"])


def test_threads_change_nothing(cl100k: native.Encoder):
    texts = [text * 20 for text in random_strings(6, 500)]
    alone = [cl100k.encode(text).tolist() for text in texts]
    for threads in (1, 2, 5):
        assert [ids.tolist() for ids in cl100k.encode_batch(texts, threads)] == alone
        ids, ends = cl100k.encode_flat(texts, threads, end_id=100_257)
        assert [part.tolist() for part in np.split(ids, ends[:-1].astype(int))] == [[*one, 100_257] for one in alone]


def test_flat_ids_fit_16_bits_or_are_refused(small: native.Encoder, cl100k: native.Encoder):
    ids, ends = small.encode_flat(["hello", "", "wo"], wide=False)
    assert ids.dtype == np.uint16 and ids.tolist() == [259, 119, 111] and ends.tolist() == [1, 1, 3]
    with pytest.raises(ValueError, match="do not fit 16 bits"):
        cl100k.encode_flat(["a"], wide=False)


def test_pieces_cut_by_any_other_pattern_are_encoded_too(small: native.Encoder):
    assert small.encode_pieces(b"hellohello", [5, 10]).tolist() == [259, 259]
    assert small.encode_pieces(b"hello", [3, 5]).tolist() == [256, 108, 108, 111]
    with pytest.raises(ValueError, match="ends of pieces"):
        small.encode_pieces(b"hello", [3, 9])


def test_a_cache_too_small_for_the_text_changes_nothing(cl100k_ranks: dict[bytes, int], cl100k: native.Encoder):
    tiny = native.Encoder(cl100k_ranks, "cl100k_base", cache_bits=1)
    text = " ".join(random_strings(7, 2000))
    assert np.array_equal(tiny.encode(text), cl100k.encode(text))


def test_a_cache_that_grows_forgets_nothing_false(cl100k_ranks: dict[bytes, int]):
    rng = random.Random(9)
    words = ["".join(rng.choices("abcdefgh", k=rng.choice((3, 7, 14, 30)))) for _ in range(60_000)]
    text = " ".join(words + words)  # more pieces than the cache begins with, each of them twice
    growing, tiny = (native.Encoder(cl100k_ranks, "cl100k_base", cache_bits=bits) for bits in (19, 1))
    ids = tiny.encode(text)
    for _ in range(2):
        assert np.array_equal(growing.encode(text), ids)


def test_merges_by_list_follow_the_list_and_not_the_ids():
    ranks = BYTES | {b"ab": 256, b"bc": 257, b"abc": 258}
    by_rank = native.Encoder(ranks, "none")
    by_list = native.Encoder(ranks, "none", merges=[98, 99, 257, 97, 98, 256], whole_symbols=False)
    assert by_rank.encode("abc").tolist() == [258]
    assert by_list.encode("abc").tolist() == [97, 257]


def noise(alphabet: str, length: int) -> str:
    return "".join(random.Random(8).choices(alphabet, k=length))


PATHOLOGICAL = {
    "one letter": "a" * MEGABYTE,
    "spaces": " " * MEGABYTE,
    "newlines": "\n" * MEGABYTE,
    "blank lines": " \n" * (MEGABYTE // 2),
    "digits": "7" * MEGABYTE,
    "punctuation": "!" * MEGABYTE,
    "apostrophes": "'" * MEGABYTE,
    "NULs": "\0" * MEGABYTE,
    "random letters": noise("abcdefghijklmnopqrstuvwxyz", MEGABYTE),
    "random Latin-1": noise("".join(map(chr, range(256))), MEGABYTE // 2),
    "random bytes": random.Random(9).randbytes(MEGABYTE),
    "CJK without spaces": noise("的一是不了人我在有他这为之大来以个中上们", MEGABYTE // 3),
    "combining marks": "e" + "\u0301" * (MEGABYTE // 2),
    "emoji": "👩‍👩‍👧‍👦" * (MEGABYTE // 25),
    "wide spaces": "\u3000" * (MEGABYTE // 3),
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_text_made_to_hurt_takes_time_in_proportion(cl100k: native.Encoder, name: str):
    text = PATHOLOGICAL[name]
    seconds = []
    for part in (text[: len(text) // 4], text):
        start = time.process_time()
        ids = cl100k.encode(part)
        seconds.append(time.process_time() - start)
        assert cl100k.decode_bytes(ids) == (part if isinstance(part, bytes) else part.encode())
    assert seconds[1] < 8 * seconds[0] + 0.2, f"{seconds[0]:.3f} s for a quarter, {seconds[1]:.3f} s for the whole"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PATHOLOGICAL if name != "random bytes"])
def test_text_made_to_hurt_has_tiktokens_ids(cl100k: native.Encoder, reference: tiktoken.Encoding, name: str):
    text = str(PATHOLOGICAL[name])[:200_000]
    try:
        wanted = reference.encode_ordinary(text)
    except ValueError:  # its regex engine gives up on long runs of white space
        assert name in ("spaces", "newlines", "blank lines", "wide spaces")
        return
    assert cl100k.encode(text).tolist() == wanted


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({b"a": 0}, "byte 0 is missing"),
        (BYTES | {b"": 256}, "has no bytes"),
        (BYTES | {b"ab": 5}, "id 5 occurs twice"),
        (BYTES | {b"ab": -5}, "negative"),
        (BYTES | {b"ab": 2**30}, "too high"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(ranks: dict[bytes, int], message: str):
    with pytest.raises(ValueError, match=message):
        native.Encoder(ranks, "llama3")


def test_only_text_is_encoded(small: native.Encoder):
    with pytest.raises(TypeError, match="text must be str or bytes, not int"):
        small.encode(5)  # type: ignore[arg-type]
