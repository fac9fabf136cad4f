"""Fit the model that tells main content from the rest: `python scripts/train_extraction.py DATA... [--without FOLD]`.

In: folders with annotated pages (`truth.jsonl.gz` and WARC files, as `bench/extraction.py` reads them). Out: the
model's JSON on standard output. Needs LightGBM and rapidfuzz, which only this script uses. Pages of the generated town
(`glassmill miniweb`, another seed than any recipe's) join them with less weight: short pages in the plain HTML of long
ago, of which the annotated web has few.

A block's label is the share of its words that the longest common subsequence of page and annotation holds, so that a
heading counts where it stands in the text and not in the menu. Words weigh what they weigh in the page's F1. Of pages
annotated by passages only, just the blocks that hold one count, all of a page's together as much as a page or two: that
is what the share of passages found rewards, and it moves the F1 over words little. With
`--without FOLD` the pages of every fifth host (by hash) stay out, and `bench/extraction.py --fold FOLD` measures on
them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from rapidfuzz.distance import LCSseq

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from extraction import FOLDS, AnnotatedPage, annotated_pages, snippets_in

from glassmill.corpus.extract.content import ContentModel, native_extractor
from glassmill.corpus.extract.encoding import decode
from glassmill.miniweb import questions
from glassmill.miniweb.chance import stream
from glassmill.miniweb.records import body_of
from glassmill.miniweb.web import build
from glassmill.miniweb.world import make_world
from glassmill.native import _core

LEAST_WORDS = 10
NUM_TREES, NUM_LEAVES = 350, 24
LIGHTGBM = {
    "objective": "cross_entropy",
    "learning_rate": 0.1,
    "num_leaves": NUM_LEAVES,
    "min_data_in_leaf": 80,
    "feature_fraction": 0.35,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "lambda_l2": 5,
    "max_bin": 63,
    "num_threads": 1,  # on a busy machine LightGBM's threads wait for each other most of the time
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
TOWN_PAGES, TOWN_SEED, TOWN_WEIGHT = 700, 4711, 0.3
SHORTEST_PAGE, MOST_WEIGHT, EMPTY_WEIGHT = 30, 6.0, 0.3
PASSAGE_WEIGHT, TEXT_WEIGHT = 1.5, 1.5
MOST_ROWS = 150_000  # rows of little weight are drawn by it
WORD = re.compile(r"\w+")


def rows_of(extractor: Any, page: AnnotatedPage) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Features, labels and weights of a page's blocks; `None` for a page without text."""
    texts, _, values, _, _ = extractor.blocks(page.html)
    if not texts:
        return None
    features = np.frombuffer(values, dtype=np.float32).reshape(len(texts), -1)
    if page.main_content is None:
        return passages_of(texts, features, page)
    words = [WORD.findall(text.lower()) for text in texts]
    owners = [number for number, found in enumerate(words) for _ in found]
    truth = WORD.findall(page.main_content.lower())
    common = np.zeros(len(texts))
    flat = [word for found in words for word in found]
    for operation in LCSseq.opcodes(flat, truth):
        if operation.tag == "equal":
            np.add.at(common, owners[operation.src_start : operation.src_end], 1)
    count = np.array([len(found) for found in words], dtype=np.float64)
    weights = (count + 1) / max(len(truth), SHORTEST_PAGE)
    weights *= min(1.0, MOST_WEIGHT / weights.sum()) * (1.0 if truth else EMPTY_WEIGHT)
    weights *= TEXT_WEIGHT if page.page_type == "text" else 1.0
    return features, common / np.maximum(count, 1), weights


def passages_of(
    texts: list[str], features: np.ndarray, page: AnnotatedPage
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The blocks of which it is known whether they are content, each with the same weight."""
    wanted = np.array([any(snippets_in(text, page.with_)) for text in texts])
    unwanted = np.array([any(snippets_in(text, page.without)) for text in texts])
    known = wanted != unwanted
    if not known.any():
        return None
    return features[known], wanted[known].astype(float), np.full(known.sum(), PASSAGE_WEIGHT / known.sum())


def thinned(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows count, at most `MOST_ROWS` or so, and with what weight. A row below the least weight counts with that
    weight and the probability that makes up for it, so that all sums stay what they are on average."""
    low, high = 0.0, float(weights.max())
    for _ in range(40):
        least = (low + high) / 2
        low, high = (least, high) if np.minimum(weights / least, 1).sum() > MOST_ROWS else (low, least)
    drawn = np.random.default_rng(1).random(len(weights)) < weights / high
    return np.flatnonzero(drawn), np.maximum(weights, high)


def town_pages() -> list[AnnotatedPage]:
    """The good pages of a generated town, with their title and paragraphs as main content."""
    world = make_world(TOWN_SEED, 48, 12)
    ghosts, sums = questions.make_ghosts(world, TOWN_SEED), questions.make_sums(TOWN_SEED, 10)
    found = []
    for number, page in enumerate(build(world, ghosts.pages, sums.pages, TOWN_PAGES, TOWN_SEED)):
        if page.expected == "keep" and not page.damage:
            text, _ = decode(body_of(page, stream(TOWN_SEED, "body", number)), page.declared_charset)
            truth = "\n".join([page.title, *(block.text for block in page.blocks)])
            found.append(AnnotatedPage(page.url, text, "town", truth, (), (), 0))
    return found


def fit(pages: list[AnnotatedPage]) -> Any:
    """A LightGBM model of all blocks of these pages and of the town's."""
    extractor = native_extractor(ContentModel([], LEAST_WORDS))
    rows = [row for page in pages if (row := rows_of(extractor, page)) is not None]
    town = [row for page in town_pages() if (row := rows_of(extractor, page)) is not None]
    rows += [(features, labels, weights * TOWN_WEIGHT) for features, labels, weights in town]
    features, labels, weights = (np.concatenate(column) for column in zip(*rows, strict=True))
    rows_drawn, weights = thinned(weights)
    features, labels, weights = features[rows_drawn], labels[rows_drawn], weights[rows_drawn]
    data = lightgbm.Dataset(features, labels, weight=weights, feature_name=_core.html_feature_names())
    return lightgbm.train(LIGHTGBM, data, NUM_TREES)


def readable(node: dict[str, Any], names: list[str]) -> Any:
    """A tree of LightGBM's dump as `[name, bound, yes, no]`, numbers rounded to what matters."""
    if "leaf_value" in node:
        return round(node["leaf_value"], 4)
    bound = float(f"{node['threshold']:.5g}")
    children = [readable(node[child], names) for child in ("left_child", "right_child")]
    return [names[node["split_feature"]], bound, *children]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--without", type=int, choices=range(FOLDS), metavar="FOLD")
    arguments = parser.parse_args()
    pages = [page for folder in arguments.data for page in annotated_pages(folder) if page.fold != arguments.without]
    dump = fit(pages).dump_model()
    trees = [readable(tree["tree_structure"], dump["feature_names"]) for tree in dump["tree_info"]]
    lines = ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in trees)
    about = f"annotations: WCXB, CC BY 4.0; trafilatura and readability, Apache-2.0; {len(pages)} pages"
    print(f'{{"about": "{about}", "least_words": {LEAST_WORDS}, "trees": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
