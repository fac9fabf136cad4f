"""What is said of a duplicate: which rule drops it, how many copies there are, and which one stays."""

from __future__ import annotations

from glassmill.corpus.dedup.table import EARLIER, EXACT
from glassmill.corpus.document import Document
from glassmill.corpus.judge.rule import Rule

EXACT_DUPLICATE = Rule(
    "dedup/exact_duplicate",
    "exact copy",
    "the same text as a page that stays: one of {value} copies and near copies; {bound} is kept",
)
NEAR_DUPLICATE = Rule(
    "dedup/near_duplicate",
    "near copy",
    "nearly the same text as a page that stays: one of {value} copies and near copies; {bound} is kept",
)


def as_duplicate(document: Document, survivor: int, flags: int) -> Document:
    """`document` as dropped, for a row of the table of `find_duplicates`; its value is the size of its cluster."""
    rule = EXACT_DUPLICATE if flags & EXACT else NEAR_DUPLICATE
    where = " in an earlier corpus" if flags & EARLIER else ""
    document.drop("dedup", rule.broken(document.cluster_size, 1, f"stays: {survivor:016x}{where}"))
    return document
