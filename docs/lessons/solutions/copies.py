"""Lesson 4: near copies by MinHash, and the check digit of card numbers."""

import hashlib


def shingles(text: str, n: int) -> set[str]:
    """Every run of `n` words, in lower case, joined by blanks; the whole text if it has fewer words."""
    words = text.lower().split()
    return {" ".join(words[place : place + n]) for place in range(max(len(words) - n, 0) + 1)}


def jaccard(one: set[str], other: set[str]) -> float:
    """Shingles in both, divided by shingles in at least one. Neither set is empty."""
    return len(one & other) / len(one | other)


def hashed(shingle: str, seed: int) -> int:
    """A number from 0 to 2**64 - 1 that looks random, and is always the same for the same shingle and seed. Given."""
    digest = hashlib.blake2b(shingle.encode(), digest_size=8, salt=seed.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


def signature(shingles: set[str], size: int) -> list[int]:
    """The MinHash signature: for every seed from 0 to `size - 1` the least `hashed` value of all shingles."""
    return [min(hashed(shingle, seed) for shingle in shingles) for seed in range(size)]


def similarity(one: list[int], other: list[int]) -> float:
    """The share of places at which two signatures agree: an estimate of the Jaccard similarity."""
    return sum(left == right for left, right in zip(one, other, strict=True)) / len(one)


def candidates(signatures: list[list[int]], rows: int) -> set[tuple[int, int]]:
    """Pairs of documents (smaller number first) that agree in all numbers of at least one band.

    A band is `rows` numbers of a signature next to each other: numbers 0 to `rows - 1`, and so on.
    """
    found, buckets = set(), {}
    for document, numbers in enumerate(signatures):
        for place in range(0, len(numbers), rows):
            bucket = buckets.setdefault((place, *numbers[place : place + rows]), [])
            found.update((earlier, document) for earlier in bucket)
            bucket.append(document)
    return found


def luhn(digits: str) -> bool:
    """Whether the check digit is right: from the right, double every second digit, take 9 off what is above 9; the sum
    of all is divisible by 10."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
