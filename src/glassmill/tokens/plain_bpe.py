"""Byte-level BPE in plain Python: slow, easy to read, and equal to the native core (tests compare them).

Training starts from the 256 bytes and repeatedly joins the most frequent pair of neighbours; every join is a merge and
makes a new symbol. Encoding a piece repeatedly joins the pair that training joined first.

Source: Sennrich et al. 2016 (arXiv 1508.07909) on words, Radford et al. 2019 (GPT-2) on bytes; ties as in rustbpe.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

from glassmill.tokens.plain_split import plain_pieces

Pair = tuple[int, int]


def train(documents: Iterable[str], num_symbols: int, pattern: str) -> list[bytes]:
    """The bytes of every symbol, in id order: first the 256 bytes, then one per merge.

    Of equally frequent pairs the one with the lower ids wins. Fewer than `num_symbols` if the pairs run out.
    """
    words = Counter(piece for document in documents for piece, _, _ in plain_pieces(document, pattern))
    spellings = [(list(word.encode()), count) for word, count in words.items()]
    symbols = [bytes([value]) for value in range(256)]
    counts, holders = count_pairs(spellings)
    while len(symbols) < num_symbols and counts:
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        for place in holders.pop(best):  # the words with this pair: remove their old pairs, add the new ones
            ids, count = spellings[place]
            spellings[place] = (join(ids, best, len(symbols)), count)
            for pair in pairwise(ids):
                counts[pair] -= count
            for pair in pairwise(spellings[place][0]):
                counts[pair] += count
                holders[pair].add(place)
        symbols.append(symbols[best[0]] + symbols[best[1]])
        counts = +counts  # drops pairs that no longer occur
    return symbols


def count_pairs(spellings: Iterable[tuple[Sequence[int], int]]) -> tuple[Counter[Pair], dict[Pair, set[int]]]:
    """How often each pair of ids is adjacent, every word weighted by its count, and which words contain the pair."""
    counts: Counter[Pair] = Counter()
    holders: dict[Pair, set[int]] = defaultdict(set)
    for place, (ids, count) in enumerate(spellings):
        for pair in pairwise(ids):
            counts[pair] += count
            holders[pair].add(place)
    return counts, holders


def join(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    """`ids` with every `pair` replaced by `new`, left to right.

    >>> join([7, 7, 7], (7, 7), 300)
    [300, 7]
    """
    joined: list[int] = []
    for number in ids:
        if joined and (joined[-1], number) == pair:
            joined[-1] = new
        else:
            joined.append(number)
    return joined


def encode(text: str, ranks: Mapping[bytes, int], pattern: str) -> list[int]:
    """The token ids of `text`."""
    return [ranks[part] for piece, _, _ in plain_pieces(text, pattern) for part in merge_piece(piece.encode(), ranks)]


def merge_piece(piece: bytes, ranks: Mapping[bytes, int], below: int | None = None) -> list[bytes]:
    """The symbols of one piece; `below` ignores merges from that rank on, as if training had stopped there."""
    if len(piece) > 100:
        return _merge_long(piece, ranks, len(ranks) + 256 if below is None else below)
    *_, last = merge_steps(piece, ranks, below)
    return last


def _merge_long(piece: bytes, ranks: Mapping[bytes, int], bound: int) -> list[bytes]:
    """The same for a long piece, with a heap of mergeable pairs: n log n steps instead of n squared."""
    parts = [piece[place : place + 1] for place in range(len(piece))]
    before, behind = list(range(-1, len(parts) - 1)), list(range(1, len(parts) + 1))
    heap = [(ranks.get(left + right, bound), place) for place, (left, right) in enumerate(pairwise(parts))]
    heapify(heap)
    while heap:
        rank, place = heappop(heap)
        gone = behind[place]
        if rank >= bound or not parts[place] or gone == len(parts) or ranks.get(parts[place] + parts[gone]) != rank:
            continue  # outdated by another merge
        parts[place], parts[gone], behind[place] = parts[place] + parts[gone], b"", behind[gone]
        if behind[place] < len(parts):
            before[behind[place]] = place
        for at in (before[place], place):
            if at >= 0 and behind[at] < len(parts):
                heappush(heap, (ranks.get(parts[at] + parts[behind[at]], bound), at))
    return [part for part in parts if part]


def merge_steps(piece: bytes, ranks: Mapping[bytes, int], below: int | None = None) -> Iterator[list[bytes]]:
    """Every stage of merging `piece`, from single bytes to its final symbols, as the page shows it."""
    parts = [piece[place : place + 1] for place in range(len(piece))]
    bound = len(ranks) + 256 if below is None else below
    while True:
        yield list(parts)
        candidates = [(ranks.get(left + right, bound), place) for place, (left, right) in enumerate(pairwise(parts))]
        rank, place = min(candidates, default=(bound, 0))
        if rank >= bound:
            return
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
