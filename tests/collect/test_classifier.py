"""The trainable quality classifier: it tells real prose from junk it has not seen, and scores every document."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from glassmill.collect.examples import cut, train_classifier
from glassmill.corpus.document import documents
from glassmill.corpus.judge.classifier import Classifier, area_under_curve, features, train
from glassmill.errors import UserError
from glassmill.recipe import CorpusSettings
from tests.corpus.pages import PAGES, write_warc
from tests.corpus.papers import jsonl
from tests.corpus.test_corpus import build
from tests.corpus.test_folder import prose

pytestmark = pytest.mark.slow

MENU = [
    "Home",
    "About",
    "Contact",
    "Sign in",
    "Cart (0)",
    "Add to basket",
    "Read more...",
    "Share",
    "Next »",
    "3 likes",
]


def menu(seed: int) -> str:
    chance = random.Random(seed)
    return "\n".join(f"{chance.choice(MENU)} | {chance.choice(MENU)} | {chance.randrange(99)}" for _ in range(30))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "good.jsonl").write_bytes(jsonl([{"text": prose(seed)} for seed in range(100, 300)]))
    (folder / "bad.jsonl").write_bytes(jsonl([{"text": menu(seed)} for seed in range(200)]))
    report = train_classifier(
        [str(folder / "good.jsonl")], [str(folder / "bad.jsonl")], folder / "out", CorpusSettings()
    )
    assert report["auc"] > 0.99 and report["held_out"]["good"] > 5 and report["thresholds"][0]["bad_kept"] < 0.05
    return folder


def test_equal_examples_give_equal_bytes(trained: Path) -> None:
    train_classifier([str(trained / "good.jsonl")], [str(trained / "bad.jsonl")], trained / "again", CorpusSettings())
    for name in ("classifier.safetensors", "report.json"):
        assert (trained / "again" / name).read_bytes() == (trained / "out" / name).read_bytes()


def test_every_document_is_scored_and_a_low_score_drops_it(trained: Path, tmp_path: Path) -> None:
    path = write_warc(tmp_path / "a.warc.gz", [member for _, member, _ in PAGES])
    words = (f"corpus.classifier.path={trained / 'out'}", "corpus.dedup.enabled=false")
    build(tmp_path / "run", [path], *words)
    kept = list(documents(tmp_path / "run"))
    assert kept and all(document.quality_score is not None and document.quality_score > 0.5 for document in kept)
    stats = build(tmp_path / "strict", [path], *words, "corpus.classifier.min_score=1")
    dropped = [d for d in documents(tmp_path / "strict", dropped=True) if d.rule == "classifier/low_score"]
    assert (
        stats["kept"] == 0 and len(dropped) == len(kept) and dropped[0].value == pytest.approx(dropped[0].quality_score)
    )
    row = next(row for row in stats["funnel"] if row["step"] == "classifier")
    assert row["in"] - row["out"] == len(kept)


def test_area_under_curve_counts_pairs() -> None:
    chance = np.random.default_rng(5)
    good, bad = chance.integers(0, 20, 40) / 20, chance.integers(0, 15, 30) / 20
    pairs = [(g > b) + 0.5 * (g == b) for g in good for b in bad]
    assert area_under_curve(good.tolist(), bad.tolist()) == pytest.approx(np.mean(pairs))


def test_features_are_shares_of_words_and_pairs() -> None:
    buckets, values = features("the mill the mill")
    assert len(buckets) == 4 and values.sum() == pytest.approx(10) and (np.diff(buckets) > 0).all()
    assert len(features("")[0]) == 0 and Classifier(np.ones(8, np.float32), 3.0).score("") == 0.5
    assert features("THE Mill")[0].tolist() == features("the mill")[0].tolist()


def test_texts_are_cut_at_line_breaks() -> None:
    text = "\n".join(f"line {number} " + "word " * 30 for number in range(60))
    passages = list(cut(text))
    assert "\n".join(passages) == text and all(1900 < len(part) < 2300 for part in passages[:-1])


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("one text of a few words " * 10)
    with pytest.raises(UserError, match="at least 20 are needed"):
        train_classifier([str(tmp_path / "few.txt")], [str(tmp_path / "few.txt")], tmp_path / "out", CorpusSettings())
    with pytest.raises(UserError, match="no classifier in"):
        Classifier.load(tmp_path)
    (tmp_path / "classifier.safetensors").write_bytes(b"rubbish" * 20)
    with pytest.raises(UserError, match="no classifier in"):
        Classifier.load(tmp_path)
    with pytest.raises(ValueError, match="both sides"):
        train([], ["x"])


def test_fairy_tales_are_told_from_the_junk_of_the_demo(shared_data: Path, tmp_path: Path) -> None:
    """Held-out AUC on real prose against generated spam, menus and nonsense."""
    from tests.line import glassmill

    tales = (shared_data / "text/tales.train.txt").read_text(encoding="utf-8")[:600_000]
    (tmp_path / "tales.txt").write_text(tales)
    assert glassmill("miniweb", "--out", str(tmp_path / "web"), "--pages", "400", "--people", "8").returncode == 0
    report = train_classifier(
        [str(tmp_path / "tales.txt")], [str(tmp_path / "web/warc")], tmp_path / "out", CorpusSettings()
    )
    assert report["auc"] > 0.98


def test_a_score_is_an_exact_sum_so_that_no_processor_adds_in_another_order() -> None:
    chance = np.random.default_rng(3)
    weights = (chance.normal(size=1 << 10) * 10.0 ** chance.integers(-6, 7, 1 << 10)).astype(np.float32)
    text = " ".join(f"word{number}" for number in range(600))
    buckets, values = features(text, len(weights))
    exact = sum(Fraction(float(weights[b])) * Fraction(float(v)) for b, v in zip(buckets, values, strict=True))
    bias = -float(exact)  # near a half, where the last bits show
    assert Classifier(weights, bias).score(text) == 1 / (1 + math.exp(-(float(exact) + bias)))
