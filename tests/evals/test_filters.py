"""The scores against the truth, on a web small enough to count by hand."""

from __future__ import annotations

from typing import Any

from glassmill.evals.filters import filter_scores, outcome, pii_scores, planted_strings


def page(
    url: str,
    kind: str,
    expected: str,
    group: int | None = None,
    pii: list[dict[str, str]] | None = None,
    damaged: bool = False,
) -> dict[str, Any]:
    return {
        "url": url,
        "kind": kind,
        "expected": expected,
        "duplicate_group": group,
        "pii": pii or [],
        "damaged": damaged,
    }


TRUTH = [
    page(
        "good1",
        "article",
        "keep",
        pii=[{"kind": "email", "text": "a@example.org"}, {"kind": "phone", "text": "555-0100"}],
    ),
    page("good2", "article", "keep"),
    page("copy1", "blog", "keep", group=1),
    page("copy2", "blog", "keep", group=1),
    page("copy3", "mirror", "keep", group=1),
    page("spam1", "spam", "drop"),
    page("spam2", "spam", "drop"),
    page("listing", "listing", "either"),
    page("broken", "article", "keep", damaged=True),
]
FATE = outcome(
    [
        {"url": "good1", "text": "Write to <email> or 555-0100."},
        {"url": "copy1", "text": "t"},
        {"url": "copy2", "text": "t"},
        {"url": "spam1", "text": "buy"},
        {"url": "listing", "text": "l"},
    ],
    [
        {"url": "good2", "step": "gopher_quality"},
        {"url": "copy3", "step": "dedup"},
        {"url": "spam2", "step": "gopher_quality"},
    ],
)


def test_junk_good_pages_and_duplicates_are_each_counted_once() -> None:
    scores = filter_scores(TRUTH, FATE)
    assert scores["recall"] == {"spam": 0.5}
    assert scores["precision"] == {"dedup": 1.0, "gopher_quality": 0.5}
    assert scores["junk_kept"] == 0.2  # spam1 of five documents
    assert scores["good_lost"] == 0.2  # good2 of five; copy3 lives on in copy1
    assert scores["good_lost_by_kind"] == {"article": 0.5, "blog": 0.0, "mirror": 0.0}
    assert scores["duplicates_removed"] == 0.5  # copy3 is gone, one of copy1 and copy2 is too many


def test_pii_is_missed_when_the_planted_string_still_stands_in_a_kept_text() -> None:
    scores = pii_scores(TRUTH, FATE)
    assert (scores["planted"], scores["missed"], scores["missed_by_kind"]) == (2, 1, {"phone": 1})
    assert planted_strings(TRUTH) == ["555-0100", "a@example.org"]


def test_empty_shares_are_none_and_not_zero() -> None:
    scores = filter_scores([], outcome([], []))
    assert scores["junk_kept"] is None and scores["good_lost"] is None
