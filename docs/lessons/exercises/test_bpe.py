"""Tests of lesson 5's exercise: your `bpe.py`."""

from collections import Counter
from random import Random

from bpe import count_pairs, decode, encode, join, train
from expect import gives

from glassmill.tokens import plain_bpe

PATTERN = r" ?[^ ]+| +"
TEXTS = [
    "the miller of the mill mills the rye of the miller",
    "aaa aaaa aaaaa ab abab ababab",
    "Die Mühle steht am Fluß, 水車 turns slowly, slowly",
]
PIECES = [piece for text in TEXTS for piece, _, _ in plain_bpe.plain_pieces(text, PATTERN)]


def test_pairs_are_counted_as_often_as_their_words_occur() -> None:
    gives(count_pairs, {(1, 2, 1, 2): 3, (2, 1): 1}, wanted=Counter({(1, 2): 6, (2, 1): 4}))
    gives(count_pairs, {(5,): 9}, wanted=Counter())


def test_joining_goes_from_left_to_right() -> None:
    gives(join, (7, 7, 7), (7, 7), 300, wanted=(300, 7))
    gives(join, (1, 2, 3, 1, 2), (1, 2), 9, wanted=(9, 3, 9))
    gives(join, (1, 2), (2, 1), 9, wanted=(1, 2))


def test_training_joins_the_most_frequent_pair_first_and_of_equals_the_lower_ids() -> None:
    symbols = train(["abab"] * 2 + ["xy"] * 3, 259)
    assert symbols[:256] == [bytes([value]) for value in range(256)]
    assert symbols[256:] == [b"ab", b"xy", b"abab"], f"the merges are {symbols[256:]}"


def test_training_ends_when_no_pair_is_left() -> None:
    assert train(["ab"], 1000)[256:] == [b"ab"]


def test_glassmills_plain_twin_learns_the_same_symbols() -> None:
    for num_symbols in (256, 260, 280, 320):
        theirs = plain_bpe.train(TEXTS, num_symbols, PATTERN)
        ours = train(PIECES, num_symbols)
        different = [place for place, (left, right) in enumerate(zip(ours, theirs)) if left != right]
        assert ours == theirs, f"with {num_symbols} symbols: {len(ours)}, different from {different[:1]} on"


def test_encoding_gives_the_twins_ids_and_decoding_undoes_it() -> None:
    symbols = plain_bpe.train(TEXTS, 300, PATTERN)
    ranks = {symbol: number for number, symbol in enumerate(symbols)}
    chance = Random(4)
    made = ["".join(chance.choice("ab mill水é") for _ in range(chance.randint(0, 20))) for _ in range(100)]
    for piece in [*PIECES, *made]:
        wanted = [ranks[part] for part in plain_bpe.merge_piece(piece.encode(), ranks)]
        gives(encode, piece, symbols, wanted=wanted)
        gives(decode, wanted, symbols, wanted=piece)


def test_half_a_character_is_shown_as_one_that_is_missing() -> None:
    symbols = [bytes([value]) for value in range(256)]
    gives(decode, [0xE6, 0xB0], symbols, wanted="\ufffd")
