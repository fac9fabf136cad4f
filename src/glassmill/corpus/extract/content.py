"""Which blocks of a page are its main content: a boosted ensemble of small trees, and the choice that follows.

In: the features of every block (lengths, punctuation, links, ancestors, neighbours; see `native/html/features.hpp`).
Out: which blocks stay. `content_model.json` holds the trees as readable numbers, a tree a line: `[name, bound, yes,
no]` asks whether the block's value of that name is at most `bound` and continues with `yes` or `no`; a bare number is a
leaf.
The leaves of all trees add up to the log-odds that the block's words are content. `scripts/train_extraction.py` fits
it.

The native core does all of this at once, page in, text out; `probability` and `choose` are its plain twins.
"""

from __future__ import annotations

import html.entities
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

Tree = float | list[Any]
LEAST_SHARE = 0.2

try:
    from glassmill.native import _core
except ImportError:  # not built here: the caller has another extractor
    _core = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class ContentModel:
    """Trees, and the fewest expected words of content that a page needs to have any (a short page: a fifth of its
    words)."""

    trees: Sequence[Tree]
    least_words: float


def read_model(text: str) -> ContentModel:
    """The model in a JSON text."""
    fields = json.loads(text)
    return ContentModel(fields["trees"], fields["least_words"])


@cache
def default_model() -> ContentModel:
    """The model that comes with the package."""
    return read_model(resources.files("glassmill.corpus.extract").joinpath("content_model.json").read_text("utf-8"))


def probability(model: ContentModel, block: Mapping[str, float]) -> float:
    """How likely a word of this block is content.

    Example:
        >>> model = ContentModel([["links", 0.5, 2.0, -2.0]], 0)
        >>> round(probability(model, {"links": 0.1}), 3)
        0.881
    """
    odds = 0.0
    for tree in model.trees:
        while isinstance(tree, list):
            name, bound, yes, no = tree
            tree = yes if block[name] <= np.float32(bound) else no
        odds += tree
    return 1 / (1 + math.exp(-odds))


def choose(probabilities: Sequence[float], words: Sequence[float], least_words: float) -> list[bool]:
    """The blocks to keep: those that give the highest expected F1, `2 * common / (kept + content)` in words.

    The likeliest blocks come first, and another one joins as long as F1 grows. So a page of clear prose keeps what is
    likelier than about a half, and a page on which nothing is sure keeps more.

    Example:
        >>> choose([0.9, 0.1, 0.6], [100, 50, 20], 0)
        [True, False, True]
    """
    likely, count = np.asarray(probabilities, dtype=np.float64), np.asarray(words, dtype=np.float64)
    content = float((likely * count).sum())
    kept = np.zeros(len(likely), dtype=bool)
    if len(likely) and content >= min(least_words, LEAST_SHARE * float(count.sum())):
        order = np.argsort(-likely, kind="stable")
        expected = 2 * np.cumsum((likely * count)[order]) / np.maximum(np.cumsum(count[order]) + content, 1e-9)
        kept[order[: int(np.argmax(expected)) + 1]] = True
    return [bool(keep) for keep in kept]


def is_built() -> bool:
    """Whether the native core, and so the extractor, is built here."""
    return _core is not None


@cache
def extractor() -> Any:
    """The native extractor with the package's model, `None` where the native core is not built."""
    return native_extractor(default_model()) if is_built() else None


def native_extractor(model: ContentModel) -> Any:
    """An extractor with this model: `.text(page)`, and `.blocks(page)` for what it saw and decided."""
    numbers = {name: number for number, name in enumerate(_core.html_feature_names())}
    features: list[int] = []
    thresholds: list[float] = []
    ways: list[list[int]] = [[], []]
    leaves: list[float] = []

    def place(tree: Tree) -> int:
        """Where `tree` lies in the flat lists; a leaf is `~` its number."""
        if not isinstance(tree, list):
            leaves.append(tree)
            return ~(len(leaves) - 1)
        name, bound, *children = tree
        node = len(features)
        features.append(numbers[name])
        thresholds.append(bound)
        for way in ways:
            way.append(0)
        for way, child in zip(ways, children, strict=True):
            way[node] = place(child)
        return node

    roots = [place(tree) for tree in model.trees]
    return _core.Extractor(
        html.entities.html5, features, thresholds, ways[0], ways[1], leaves, roots, model.least_words
    )
