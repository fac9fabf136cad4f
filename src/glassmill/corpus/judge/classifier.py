"""Your own quality classifier: a linear model over hashed words and pairs of words, from good and bad examples.

In: texts that are wanted and texts that are not. Out: a function from text to a score between 0 (bad) and 1 (good), as
`classifier.safetensors`. Source: DataComp-LM (Li et al. 2024, arXiv 2406.11794, section 4.4), whose best filter is such
a model (fastText, unigrams and bigrams); Weinberger et al. 2009 (arXiv 0902.2206) for the hashing. Training is AdaGrad
on the logistic loss (Duchi et al. 2011) with fixed order and seed: same examples, same bytes.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glassmill.errors import UserError
from glassmill.run.files import atomic_path, finite

Features = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]

BUCKETS = 1 << 18
BATCH = 64
EPOCHS = 8
RATE = 0.3
DECAY = 1e-6
SCALE = 10.0
"""A text's features have mean 1/words; scaled, a step of AdaGrad is of a useful size."""
FORMAT = "glassmill classifier 1"
_WORD = re.compile(r"[^\W_]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Classifier:
    """The model. `weights` has a number for each bucket, `bias` is added."""

    weights: npt.NDArray[np.float32]
    bias: float

    def score(self, text: str) -> float:
        """How good `text` is, from 0 to 1; 0.5 for a text without words.

        The sum is exact before it is rounded. A matrix library would add in an order that depends on the processor, and
        documents near the bound would stay on one machine and not on another.
        """
        buckets, values = features(text, len(self.weights))
        products = self.weights[buckets].astype(np.float64) * values
        return _sigmoid(math.fsum(products.tolist()) + self.bias if len(buckets) else 0.0)

    def save(self, path: Path, facts: Mapping[str, object]) -> None:
        """Writes the model and what is known of it; whole or not at all."""
        from safetensors.numpy import save_file

        tensors = {"weights": self.weights, "bias": np.array([self.bias], np.float32)}
        with atomic_path(path) as temporary:
            # one entry: safetensors writes several in any order
            save_file(
                tensors, temporary, metadata={FORMAT: json.dumps(finite(dict(facts)), sort_keys=True, allow_nan=False)}
            )

    @classmethod
    def load(cls, path: Path) -> Classifier:
        """The model in `path`, a file or the folder that holds `classifier.safetensors`.

        Raises:
            UserError: there is no file, or it is something else.
        """
        from safetensors import SafetensorError, safe_open

        path = path / "classifier.safetensors" if path.is_dir() else path
        try:
            with safe_open(path, framework="np") as file:
                if FORMAT not in (file.metadata() or {}):
                    raise UserError(f"{path} is not a classifier; make one with `glassmill classifier train`")
                weights, bias = file.get_tensor("weights"), file.get_tensor("bias")
        except (OSError, SafetensorError) as error:
            raise UserError(f"no classifier in {path}: {error}") from None
        if weights.ndim != 1 or bias.shape != (1,) or not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise UserError(f"{path} is damaged: its tensors are not those of a classifier")
        return cls(weights.astype(np.float32), float(bias[0]))


def features(text: str, num_buckets: int = BUCKETS) -> Features:
    """Buckets and values of a text: for each word and pair of neighbours, its share times `SCALE`.

    Returns:
        Distinct buckets, ascending, and float32 values of the same number.
    """
    words = np.fromiter(map(_word_hash, _WORD.findall(text.lower())), np.uint64)
    if len(words) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    pairs = (words[:-1] * np.uint64(0x9E3779B97F4A7C15)) ^ (words[1:] * np.uint64(0xC2B2AE3D27D4EB4F))
    pairs ^= pairs >> np.uint64(29)
    both = np.concatenate([words, pairs]) % np.uint64(num_buckets)
    buckets, counts = np.unique(both.astype(np.int64), return_counts=True)
    return buckets, (counts * (SCALE / len(both))).astype(np.float32)


@lru_cache(maxsize=1 << 16)
def _word_hash(word: str) -> int:
    data = word.encode("utf-8", "replace")
    return zlib.crc32(data) * 0x9E3779B1 + zlib.adler32(data)


def train(good: Sequence[str], bad: Sequence[str], seed: int = 0, num_buckets: int = BUCKETS) -> Classifier:
    """The classifier that tells `good` from `bad`; both sides weigh the same, however many texts they have.

    Raises:
        ValueError: one side has no text.
    """
    if not good or not bad:
        raise ValueError("both sides need at least one text")
    examples = [features(text, num_buckets) for text in (*good, *bad)]
    labels = np.repeat(np.array([1.0, 0.0], np.float32), [len(good), len(bad)])
    balance = np.where(labels == 1, 0.5 / len(good), 0.5 / len(bad)).astype(np.float32) * len(examples)
    weights, squares = np.zeros(num_buckets, np.float32), np.full(num_buckets, 1e-8, np.float32)
    bias, bias_squares = 0.0, 1e-8
    choose = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = choose.permutation(len(examples))
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            buckets = np.concatenate([examples[number][0] for number in batch])
            values = np.concatenate([examples[number][1] for number in batch])
            rows = np.repeat(np.arange(len(batch)), [len(examples[number][0]) for number in batch])
            margins = np.bincount(rows, weights[buckets] * values, len(batch)) + bias
            errors = (_sigmoids(margins) - labels[batch]) * balance[batch] / len(batch)
            touched, places = np.unique(buckets, return_inverse=True)
            slope = np.bincount(places, values * errors[rows], len(touched)).astype(np.float32)
            slope += DECAY * weights[touched]
            squares[touched] += slope**2
            weights[touched] -= RATE * slope / np.sqrt(squares[touched])
            bias_slope = float(errors.sum())
            bias_squares += bias_slope**2
            bias -= RATE * bias_slope / bias_squares**0.5
    return Classifier(weights, float(np.float32(bias)))


def area_under_curve(good: Sequence[float], bad: Sequence[float]) -> float:
    """The chance that a good text scores higher than a bad one (ties count half)."""
    scores = np.concatenate([good, bad])
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[: len(good)].sum() - len(good) * (len(good) + 1) / 2) / (len(good) * len(bad)))


def _sigmoid(margin: float) -> float:
    return 1 / (1 + math.exp(-min(max(margin, -60.0), 60.0)))


def _sigmoids(margins: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(margins, -60, 60))))
