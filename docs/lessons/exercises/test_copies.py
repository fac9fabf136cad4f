"""Tests of lesson 4's exercise: your `copies.py`."""

from random import Random

from copies import candidates, jaccard, luhn, shingles, signature, similarity
from expect import gives

from glassmill.corpus.dedup import keys
from glassmill.corpus.pii import numbers
from glassmill.recipe import DedupSettings

TEXT = "the miller of the town grinds rye on mondays and wheat on thursdays"


def test_shingles_are_runs_of_words() -> None:
    gives(shingles, "The mill, the mill", 2, wanted={"the mill,", "mill, the", "the mill"})
    gives(shingles, "Only three words", 5, wanted={"only three words"})
    gives(shingles, "a b c", 3, wanted={"a b c"})


def test_glassmill_finds_as_many_shingles() -> None:
    for n in (1, 2, 5, 20):
        theirs = len(keys.shingles(keys.normalise(TEXT), n))
        assert len(shingles(TEXT, n)) == theirs, f"{len(shingles(TEXT, n))} shingles of {n} words, not {theirs}"


def test_jaccard_is_the_share_in_common() -> None:
    gives(jaccard, {"a", "b", "c"}, {"b", "c", "d"}, wanted=0.5)
    gives(jaccard, {"a"}, {"a"}, wanted=1.0)
    gives(jaccard, {"a"}, {"b"}, wanted=0.0)


def pair(common: int, own: int) -> tuple[set[str], set[str]]:
    both = {f"common {number}" for number in range(common)}
    return both | {f"left {number}" for number in range(own)}, both | {f"right {number}" for number in range(own)}


def test_signatures_agree_as_often_as_the_sets_overlap() -> None:
    for common, own in ((20, 0), (18, 1), (10, 5), (0, 10)):
        one, other = pair(common, own)
        gives(similarity, signature(one, 200), signature(other, 200), wanted=len(one & other) / len(one | other), by=0.12)


def test_glassmills_signatures_estimate_the_same() -> None:
    words = TEXT.split()
    changed = " ".join(["the", "baker", *words[2:]])
    hasher = keys.MinHasher(DedupSettings(num_bands=50, rows_per_band=8), seed=1)
    left, right = (hasher.signature(keys.shingles(keys.normalise(text), 2)) for text in (TEXT, changed))
    ours = similarity(*(signature(shingles(text, 2), 200) for text in (TEXT, changed)))
    assert abs(ours - float((left == right).mean())) < 0.15, f"yours says {ours:.2f}"


def test_bands_find_pairs_that_agree_in_a_whole_band() -> None:
    gives(candidates, [[1, 2, 3, 4], [1, 2, 9, 9], [9, 9, 3, 4], [2, 1, 4, 3]], 2, wanted={(0, 1), (0, 2)})
    gives(candidates, [[1, 2, 1, 2], [3, 4, 1, 2], [1, 2, 3, 4]], 2, wanted={(0, 1), (0, 2)})
    gives(candidates, [[5, 5]] * 3, 1, wanted={(0, 1), (0, 2), (1, 2)})


def test_the_check_digit_is_that_of_glassmill() -> None:
    gives(luhn, "79927398713", wanted=True)
    gives(luhn, "79927398710", wanted=False)
    chance = Random(3)
    for _ in range(200):
        digits = "".join(chance.choice("0123456789") for _ in range(chance.randint(2, 19)))
        gives(luhn, digits, wanted=numbers.luhn(digits))
