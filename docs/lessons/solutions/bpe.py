"""Lesson 5: byte-level BPE, from 256 bytes."""

from collections import Counter
from itertools import pairwise


def count_pairs(words: dict[tuple[int, ...], int]) -> Counter[tuple[int, int]]:
    """How often each pair of ids stands side by side. `words` says how often each word (its ids) occurs."""
    counts: Counter[tuple[int, int]] = Counter()
    for ids, count in words.items():
        for pair in pairwise(ids):
            counts[pair] += count
    return counts


def join(ids: tuple[int, ...], pair: tuple[int, int], new: int) -> tuple[int, ...]:
    """`ids` with every `pair` replaced by `new`, from left to right: (7, 7, 7) with pair (7, 7) is (new, 7)."""
    joined, place = [], 0
    while place < len(ids):
        if ids[place : place + 2] == pair:
            joined.append(new)
            place += 2
        else:
            joined.append(ids[place])
            place += 1
    return tuple(joined)


def train(pieces: list[str], num_symbols: int) -> list[bytes]:
    """The bytes of every symbol, in the order of the ids: first the 256 single bytes, then one a merge.

    A merge joins the most frequent pair; of equally frequent pairs the one with the lower ids. Fewer than `num_symbols`
    if no pair is left.
    """
    words = {tuple(piece.encode()): count for piece, count in Counter(pieces).items()}
    symbols = [bytes([value]) for value in range(256)]
    while len(symbols) < num_symbols:
        counts = count_pairs(words)
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        words = {join(ids, best, len(symbols)): count for ids, count in words.items()}
        symbols.append(symbols[best[0]] + symbols[best[1]])
    return symbols


def encode(piece: str, symbols: list[bytes]) -> list[int]:
    """The ids of one piece: from its bytes, join the pair whose symbol has the lowest id (the leftmost, if it occurs
    more than once), until no pair is a symbol."""
    ids = {symbol: number for number, symbol in enumerate(symbols)}
    parts = [bytes([value]) for value in piece.encode()]
    while True:
        found = [
            (ids[left + right], place) for place, (left, right) in enumerate(pairwise(parts)) if left + right in ids
        ]
        if not found:
            return [ids[part] for part in parts]
        _, place = min(found)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def decode(ids: list[int], symbols: list[bytes]) -> str:
    """The text of the ids; bytes that are no UTF-8 become U+FFFD."""
    return b"".join(symbols[number] for number in ids).decode("utf-8", "replace")
