"""English words: spaCy's rules on known cases; the native core against its plain twin, on any text and real pages."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.judge import words as module
from glassmill.corpus.judge.english import is_address, tokens_of_chunk
from glassmill.corpus.judge.words import STOP_WORDS, WordCounts, Words, native_counter, plain_sentences
from glassmill.corpus.read.sources import read_pages

WEB = Path(__file__).parents[3] / "shared" / "data" / "web" / "pages-00000.warc.gz"
needs_native = pytest.mark.skipif(module._core is None, reason="the native core is not built here")


@pytest.mark.parametrize(
    ("chunk", "tokens"),
    [
        ("(don't", ["(", "do", "n't"]),
        ("(can’t).", ["(", "ca", "n’t", ")", "."]),
        ("I'll've", ["I", "'ll", "'ve"]),
        ("we'd", ["we", "'d"]),
        ("its", ["its"]),
        ("hasnt,", ["has", "nt", ","]),
        ("e.g.,", ["e.g.", ","]),
        ("U.S.", ["U.S."]),
        ("USA.", ["USA", "."]),
        ("Ph.D.)", ["Ph.D.", ")"]),
        ("10:30pm", ["10:30pm"]),
        ("10pm.", ["10", "pm", "."]),
        ("5km/h", ["5", "km/h"]),
        ("US$5.50", ["US$", "5.50"]),
        ("20%", ["20", "%"]),
        ("C++", ["C++"]),
        ("+5", ["+5"]),
        ("a--b", ["a", "--", "b"]),
        ("1-2", ["1", "-", "2"]),
        ("well-known", ["well", "-", "known"]),
        ("word.Next", ["word", ".", "Next"]),
        ("wait...what", ["wait", "...", "what"]),
        ("hello:)", ["hello", ":)"]),
        ("(8)", ["(", "8)"]),
        ("«Größe»", ["«", "Größe", "»"]),
        ("°C.", ["°", "C", "."]),
        ("http://a.example:8080/x?y=z#end,", ["http://a.example:8080/x?y=z#end", ","]),
        ("me@mill.example.", ["me@mill.example", "."]),
        ("......", ["......"]),
        ("👍great", ["👍", "great"]),
    ],
)
def test_a_chunk_falls_into_the_tokens_that_spacy_makes(chunk: str, tokens: list[str]) -> None:
    assert list(tokens_of_chunk(chunk)) == tokens


def test_addresses_need_a_host_with_a_dot() -> None:
    assert is_address("a.bc") and is_address("x@y.org") and is_address("ftp://mill.example/flour")
    assert not is_address("a.B") and not is_address("http://localhost/") and not is_address("-a.org")


def numbers(words: WordCounts) -> list[int]:
    repeats = [words.top_ngram_characters(n) for n in (1, 2, 3, 4)]
    repeats += [words.duplicate_ngram_characters(n) for n in (5, 2, 6, 10)]
    return [
        len(words), words.num_words, words.word_characters, words.num_alphabetic, words.num_stop_words, *repeats,
    ]  # fmt: skip


def check_equal(text: str) -> None:
    assert numbers(native_counter().count(text)) == numbers(Words(text))
    for line in text.splitlines():
        assert native_counter().sentences(line, 1000) == plain_sentences(line, 1000)
        assert native_counter().sentences(line, 2) == plain_sentences(line, 2)
    for chunk in text.split():
        assert native_counter().tokens_of_chunk(chunk) == list(tokens_of_chunk(chunk))


PIECES = [
    *STOP_WORDS,
    *[" ", "\n", "\u00a0", "don't", "I'm", ":)", "8)", "a.", "www.", "x.org", "://", "@", "/", "5", "km", "$", "US$"],
    *["…", "..", ".", "-", "–", "'s", "’", "Größe", "Ж", "中文", "👍", "°C.", "_", "{", "é", "U.S."],
    "\ufffd",
    "\x00",
]


@needs_native
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_the_native_core_counts_what_the_plain_twin_counts(text: str) -> None:
    check_equal(text)


@needs_native
@given(st.text(st.characters(max_codepoint=0x3000, exclude_categories=["Cs", "Cn"]), max_size=200))
def test_the_native_core_agrees_on_any_text(text: str) -> None:
    check_equal(text)


@needs_native
@pytest.mark.skipif(not WEB.exists(), reason="no ../shared/data here: real pages are tested where it lies")
def test_the_native_core_agrees_on_real_pages() -> None:
    pages = [page for _, page in zip(range(12), read_pages(WEB, "web"), strict=False)]
    assert len(pages) == 12
    for page in pages:
        check_equal(page.body[:20_000].decode("utf-8", "replace"))  # type: ignore[union-attr]


@needs_native
def test_what_is_remembered_of_chunks_has_a_bound_and_no_effect() -> None:
    counter = native_counter()
    before = numbers(counter.count("the mill of the river, don't :)"))
    many = " ".join(map(str, range(140_000)))
    assert len(counter.count(many)) == 140_000
    assert numbers(counter.count("the mill of the river, don't :)")) == before


@needs_native
def test_the_native_core_agrees_on_every_character_that_pythons_unicode_knows() -> None:
    known = [chr(point) for point in range(0x110000) if unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")]
    for begin in range(0, len(known), 64):
        text = " ".join(known[begin : begin + 64])
        assert numbers(native_counter().count(text)) == numbers(Words(text)), ascii(text)
