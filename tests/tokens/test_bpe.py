"""Training: the fast trainer against its readable twin, and what the merges tell."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from glassmill.tokens import bpe, plain_bpe
from glassmill.tokens.split import OWN_PATTERN, PATTERNS, split_pieces
from tests.tokens.builders import PROSE

PATTERN = PATTERNS[OWN_PATTERN]


def test_the_plain_trainer_makes_the_same_symbols_in_the_same_order():
    assert plain_bpe.train(PROSE, 420, PATTERN) == bpe.train(PROSE, 420, PATTERN)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab \nñ'1", max_size=60), max_size=6))
def test_the_trainers_agree_on_any_documents(documents: list[str]):
    assert plain_bpe.train(documents, 300, PATTERN) == bpe.train(documents, 300, PATTERN)


def test_a_corpus_with_few_pairs_gives_fewer_symbols_than_asked():
    assert bpe.train(["aa aa"], 1000, PATTERN)[256:] == [b"aa", b" aa"]


def test_no_merge_spans_two_documents():
    assert all(b"xy" not in symbol for symbol in bpe.train(["xx", "yy"] * 50, 300, PATTERN))


def test_merges_come_back_from_the_ranks():
    symbols = bpe.train(PROSE, 400, PATTERN)
    merges = bpe.recover_merges({symbol: rank for rank, symbol in enumerate(symbols)})
    assert [symbols[left] + symbols[right] for left, right in merges] == symbols[256:]


def test_birth_counts_are_the_counts_the_trainer_saw():
    symbols = plain_bpe.train(PROSE, 400, PATTERN)
    ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
    merges = bpe.recover_merges(ranks)
    left = Counter(number for text in PROSE for number in plain_bpe.encode(text, ranks, PATTERN))
    births = bpe.birth_counts([left[number] for number in range(len(symbols))], merges)
    words = Counter(piece for text in PROSE for piece in split_pieces(text, PATTERN))
    spellings = [(list(word.encode()), count) for word, count in words.items()]
    for place, pair in enumerate(merges):
        before = sum(len(ids) * count for ids, count in spellings)
        spellings = [(plain_bpe.join(ids, pair, 256 + place), count) for ids, count in spellings]
        assert births[place] == before - sum(len(ids) * count for ids, count in spellings)


def test_the_compression_curve_ends_at_the_measured_bytes_per_token():
    symbols = bpe.train(PROSE, 400, PATTERN)
    ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
    ids = np.concatenate([plain_bpe.encode(text, ranks, PATTERN) for text in PROSE])
    births = bpe.birth_counts(np.bincount(ids, minlength=len(symbols)), bpe.recover_merges(ranks))
    num_bytes = sum(len(text.encode()) for text in PROSE)
    curve = bpe.compression_curve(num_bytes, births)
    assert curve[0] == (256, 1.0)
    assert curve[-1] == (400, round(num_bytes / len(ids), 4))
