"""MinHash: who is found, who stays, and that order and batches do not matter."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.dedup import keys as module
from glassmill.corpus.dedup.clusters import Clusters
from glassmill.corpus.dedup.keys import MinHasher, normalise, shingles
from glassmill.recipe import DedupSettings

WORDS = ["".join(letters) for letters in itertools.product("bdfgklmnprst", "aeiou", "bdfgklmnprst", "aeiou")]
HASHER = MinHasher(DedupSettings(), 7)
PIECES = [
    *[
        "the ",
        "mill",
        "Mill, ",
        "river ",
        "1",
        "23",
        "٣",
        "², ",
        "_",
        " ",
        "\n",
        "—",
        "É",
        "e\u0301",
        "Σ",
        "ΟΔΟΣ ",
        "İ",
    ],
    *[
        "ﬁ",
        "ß",
        "が",
        "한국",
        "हिन्दी",
        "ไทย",
        "שָׁלוֹם",
        "中文",
        "👍",
        "𝐀",
        "\ud835",
        "\udc00",
        "\u3099",
        "a" * 15,
        "b" * 16,
    ],
]
needs_native = pytest.mark.skipif(module._core is None, reason="the native core is not built here")


def edited(words: list[str], similarity: float, choose: random.Random) -> list[str]:
    """`words` with so many replaced that 5-word shingles overlap by about `similarity`."""
    keep = (2 * similarity / (1 + similarity)) ** (1 / 5)
    return [word if choose.random() < keep else "".join(choose.choices("xyz", k=12)) for word in words]


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9])
def test_near_duplicates_are_found_as_often_as_theory_says(similarity: float) -> None:
    choose = random.Random(1)
    found, expected, pairs = 0, 0.0, 120
    for _ in range(pairs):
        words = choose.choices(WORDS, k=200)
        other = edited(words, similarity, choose)
        left, right = shingles(normalise(" ".join(words)), 5), shingles(normalise(" ".join(other)), 5)
        true = len(np.intersect1d(left, right)) / len(np.union1d(left, right))
        expected += 1 - (1 - true**8) ** 14
        found += bool((HASHER.keys(" ".join(words)) == HASHER.keys(" ".join(other)))[1:].any())
    assert abs(found - expected) / pairs < 0.1


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("The Mill, by the river.", "the mill by the river", True),
        ("Room 12 costs 30 a night", "Room 7 costs 4500 a night", True),
        ("naïve café", "naive cafe", True),
        ("the mill by the river", "the mill by the lake", False),
        ("", "", True),
    ],
)
def test_what_counts_as_the_same_text(left: str, right: str, same: bool) -> None:
    assert bool((HASHER.keys(left) == HASHER.keys(right)).all()) == same


def test_another_seed_is_another_family() -> None:
    assert (MinHasher(DedupSettings(), 8).keys("the mill") != HASHER.keys("the mill"))[1:].all()


def test_equal_texts_share_their_first_key_and_near_ones_do_not() -> None:
    left, same, near = (HASHER.keys(text)[0] for text in ("A mill, 3 rooms.", "a MILL 4 rooms", "a mill 3 room"))
    assert left == same and left != near
    assert len(MinHasher(DedupSettings(near=False), 7).keys("a mill")) == 1


@needs_native
@given(st.lists(st.sampled_from(PIECES), max_size=80).map("".join))
def test_the_native_core_makes_the_keys_of_its_plain_twin(text: str) -> None:
    assert HASHER.keys(text).tolist() == HASHER.plain_keys(text).tolist()


@needs_native
@given(st.text(), st.integers(1, 7), st.integers(1, 20), st.integers(1, 9))
def test_the_native_core_agrees_on_any_text_and_any_family(text: str, ngram: int, bands: int, rows: int) -> None:
    hasher = MinHasher(DedupSettings(ngram=ngram, num_bands=bands, rows_per_band=rows), 3)
    assert hasher.keys(text).tolist() == hasher.plain_keys(text).tolist()


@needs_native
@pytest.mark.parametrize("begin", [0, 0x3000, 0xAC00, 0xD800, 0x1D400])
def test_every_character_counts_as_python_says(begin: int) -> None:
    for first in range(begin, begin + 0x400, 16):
        text = "a".join(map(chr, range(first, first + 16)))
        assert HASHER.keys(text).tolist() == HASHER.plain_keys(text).tolist(), hex(first)


def slow_clusters(bands: list[list[int]], count: int) -> list[int]:
    """Connected components by plain search; the least member names each."""
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for keys in bands:
        for left in range(count):
            neighbours[left].update(right for right in range(count) if keys[left] == keys[right])
    names = [-1] * count
    for start in range(count):
        waiting = [start] if names[start] < 0 else []
        while waiting:
            place = waiting.pop()
            if names[place] < 0:
                names[place] = start
                waiting += neighbours[place]
    return names


@given(st.data(), st.integers(0, 30), st.integers(0, 4))
def test_clusters_are_connected_components_and_their_first_member_stays(
    data: st.DataObject, count: int, bands: int
) -> None:
    keys = [data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count)) for _ in range(bands)]
    clusters = Clusters(count)
    for band in keys:
        clusters.add_band(np.array(band, np.uint64))
    names = slow_clusters(keys, count)
    assert clusters.survivors.tolist() == names
    assert clusters.sizes.tolist() == [names.count(name) for name in names]


def test_a_long_chain_becomes_one_cluster() -> None:
    count = 100_000
    clusters = Clusters(count)
    clusters.add_band(np.arange(count, dtype=np.uint64) // 2)
    clusters.add_band((np.arange(count, dtype=np.uint64) + 1) // 2)
    assert (clusters.survivors == 0).all() and clusters.sizes[5] == count
