"""Lesson 5: byte-level BPE, from 256 bytes."""

from collections import Counter
from itertools import pairwise


def count_pairs(words: dict[tuple[int, ...], int]) -> Counter[tuple[int, int]]:
    """How often each pair of ids stands side by side. `words` says how often each word (its ids) occurs."""
    ...


def join(ids: tuple[int, ...], pair: tuple[int, int], new: int) -> tuple[int, ...]:
    """`ids` with every `pair` replaced by `new`, from left to right: (7, 7, 7) with pair (7, 7) is (new, 7)."""
    ...


def train(pieces: list[str], num_symbols: int) -> list[bytes]:
    """The bytes of every symbol, in the order of the ids: first the 256 single bytes, then one a merge.

    A merge joins the most frequent pair; of equally frequent pairs the one with the lower ids. Fewer than `num_symbols`
    if no pair is left.
    """
    ...


def encode(piece: str, symbols: list[bytes]) -> list[int]:
    """The ids of one piece: from its bytes, join the pair whose symbol has the lowest id (the leftmost, if it occurs
    more than once), until no pair is a symbol."""
    ...


def decode(ids: list[int], symbols: list[bytes]) -> str:
    """The text of the ids; bytes that are no UTF-8 become U+FFFD."""
    ...
