"""How a fact is stated: many wordings of each attribute (`data/wordings.toml`, which explains the slots)."""

from __future__ import annotations

from glassmill.miniweb.lists import Lists

_LISTS = Lists("wordings")

STATEMENTS = _LISTS.table("statements")
PRICE_SUMS = _LISTS.texts("price_sums")


def _pairs() -> dict[tuple[str, str], tuple[str, ...]]:
    pairs = {}
    for names, forms in _LISTS.table("pairs").items():
        first, second = names.split()
        pairs[first, second] = forms
    return pairs


PAIRS = _pairs()
"""Two facts of one person in one sentence, by the two attributes."""
