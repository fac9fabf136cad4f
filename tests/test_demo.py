"""The demo's corpus in full: the issue's bounds on junk, lost pages and personal data, against the web's own truth."""

from __future__ import annotations

from pathlib import Path

import pytest

import glassmill
from glassmill.evals.eval import read_rows, read_truth
from glassmill.evals.filters import filter_scores, outcome, pii_scores

pytestmark = pytest.mark.slow


def test_the_demos_filters_keep_the_good_drop_the_junk_and_miss_no_personal_data(tmp_path: Path) -> None:
    line = glassmill.run("demo", runs=tmp_path, until="corpus")
    truth = read_truth(line.paths["miniweb"])
    corpus = line.paths["corpus"]
    fate = outcome(read_rows(corpus, "documents", "url", "text"), read_rows(corpus, "dropped", "url", "step"))
    scores, pii = filter_scores(truth, fate), pii_scores(truth, fate)
    assert scores["junk_kept"] <= 0.02
    assert scores["good_lost"] <= 0.03
    assert scores["duplicates_removed"] >= 0.95
    assert pii["planted"] > 200 and pii["missed"] == 0, pii["missed_examples"]


def test_without_the_filters_the_spam_is_kept(tmp_path: Path) -> None:
    from glassmill.commands.demo import UNFILTERED

    line = glassmill.run("demo", *UNFILTERED, runs=tmp_path, until="corpus")
    truth = read_truth(line.paths["miniweb"])
    kept = {row["url"] for row in read_rows(line.paths["corpus"], "documents", "url")}
    spam = [row["url"] for row in truth if row["kind"] == "spam"]
    assert sum(url in kept for url in spam) > len(spam) / 2
