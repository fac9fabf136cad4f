"""`glassmill classifier train`: trains a classifier on the user's good and bad examples, and measures it.

In: two sets of files, folders or runs. Out: `classifier.safetensors` and `report.json`. Texts are split into passages
at line breaks, so that a book is many examples; a tenth of the passages, chosen by a hash of their text, is held out
for measuring.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np

from glassmill.collect.gather import unfiltered
from glassmill.corpus.chain import Chain
from glassmill.corpus.document import Page
from glassmill.corpus.judge.classifier import Classifier, area_under_curve, train
from glassmill.corpus.read.sources import find_sources, read_source
from glassmill.errors import UserError
from glassmill.recipe import CorpusSettings
from glassmill.run.files import atomic_json

PASSAGE_CHARACTERS = 2000
MIN_CHARACTERS = 100
MIN_PASSAGES = 20
MAX_PASSAGES = 50_000
HELD_OUT = 10
"""One in this many passages is held out."""
SHARES_OF_GOOD = (0.99, 0.95, 0.9, 0.75, 0.5)


class Sides(TypedDict):
    """Numbers of passages."""

    good: int
    bad: int


class Threshold(TypedDict):
    """A minimum score, and the shares of held-out passages that it keeps."""

    good_kept: float
    min_score: float
    bad_kept: float


class ClassifierReport(TypedDict):
    """How well the classifier separates the held-out passages; `accuracy` is at a score of 0.5."""

    passages: Sides
    held_out: Sides
    auc: float
    accuracy: float
    thresholds: list[Threshold]
    seed: int
    path: NotRequired[str]


def train_classifier(
    good: Sequence[str], bad: Sequence[str], out: Path, settings: CorpusSettings, seed: int = 0
) -> ClassifierReport:
    """Trains a classifier, measures it, and writes both into `out`.

    Raises:
        UserError: an input matches no file, or a side has fewer than 20 passages.
    """
    sides = [_passages(good, settings, "GOOD"), _passages(bad, settings, "BAD")]
    trained = [[text for text in side if not _is_held_out(text)] for side in sides]
    held = [[text for text in side if _is_held_out(text)] for side in sides]
    if not all(held):
        raise UserError("too few examples: no passage is left to measure with; add more")
    classifier = train(trained[0], trained[1], seed)
    scores = [np.array([classifier.score(text) for text in side]) for side in held]
    report: ClassifierReport = {
        "passages": {"good": len(sides[0]), "bad": len(sides[1])},
        "held_out": {"good": len(held[0]), "bad": len(held[1])},
        "auc": round(area_under_curve(scores[0].tolist(), scores[1].tolist()), 4),
        "accuracy": round(float(np.concatenate([scores[0] >= 0.5, scores[1] < 0.5]).mean()), 4),
        "thresholds": [_threshold(share, *scores) for share in SHARES_OF_GOOD],
        "seed": seed,
    }
    classifier.save(out / "classifier.safetensors", dict(report))
    atomic_json(out / "report.json", report)
    return {**report, "path": str(out)}


def score_texts(path: Path, paths: Sequence[str], settings: CorpusSettings) -> Iterator[tuple[str, float]]:
    """URL and score of every document in the files, by the classifier in `path`."""
    classifier = Classifier.load(path)
    for url, text in _texts(paths, settings):
        yield url, classifier.score(text)


def _threshold(share: float, good: np.ndarray, bad: np.ndarray) -> Threshold:
    score = float(np.quantile(good, 1 - share, method="lower"))
    score = math.floor(score * 1e6) / 1e6  # rounded down: rounded up it would drop what it should keep
    return {"good_kept": share, "min_score": score, "bad_kept": round(float((bad >= score).mean()), 4)}


def _passages(paths: Sequence[str], settings: CorpusSettings, side: str) -> list[str]:
    found: dict[str, None] = {}
    for _, text in _texts(paths, settings):
        for passage in cut(text):
            found[passage] = None
        if len(found) >= MAX_PASSAGES:
            break
    if len(found) < MIN_PASSAGES:
        raise UserError(
            f"{side} {' '.join(paths)} has {len(found)} passages of text; at least {MIN_PASSAGES} are needed"
        )
    return list(found)[:MAX_PASSAGES]


def _texts(paths: Sequence[str], settings: CorpusSettings) -> Iterator[tuple[str, str]]:
    settings = unfiltered(settings)
    chain = Chain(settings)
    for source in find_sources(tuple(paths)):
        for item in read_source(source, settings.max_record_bytes, settings.files):
            if isinstance(item, Page):
                try:
                    document = chain.judge(item)
                except (ValueError, RuntimeError):
                    continue  # an example that cannot be read is of no use
                if not document.rule:
                    yield document.url, document.text


def cut(text: str) -> Iterator[str]:
    """Passages of about 2,000 characters, split at line breaks; a rest that is too short is dropped."""
    passage: list[str] = []
    size = 0
    for line in text.splitlines():
        passage.append(line)
        size += len(line) + 1
        if size >= PASSAGE_CHARACTERS:
            yield "\n".join(passage)
            passage, size = [], 0
    if size > MIN_CHARACTERS:
        yield "\n".join(passage)


def _is_held_out(text: str) -> bool:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()[0] % HELD_OUT == 0
