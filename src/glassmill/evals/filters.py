"""The corpus stage against MiniWeb's truth: which junk came through, which good pages were lost, which PII was missed.

Truth comes in as rows of `truth.parquet`, the corpus as its kept and dropped rows; numbers go out. Reads and writes
nothing.

A page counts as *kept* when it, or another member of its duplicate group, is among the documents: a duplicate of a kept
page is not lost. Pages that the truth calls `either` count neither way; damaged records are not asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from glassmill.evals.scores import Score

Row = Mapping[str, Any]

SCORES = (
    Score(
        "junk_kept",
        "Junk that came through",
        "Share of the kept documents that are spam, nonsense or menus by the web’s own truth file.",
        good="low",
    ),
    Score("good_lost", "Good pages lost", "Share of good pages that the filters dropped by mistake.", good="low"),
    Score("duplicates_removed", "Copies removed", "Share of surplus copies and near copies that are gone."),
)


@dataclass(frozen=True)
class Outcome:
    """Where each URL ended: a set of kept ones and, for the dropped, the step that dropped them."""

    kept: Mapping[str, str]
    dropped_by: Mapping[str, str]


def outcome(documents: Iterable[Row], dropped: Iterable[Row]) -> Outcome:
    """The fate of every URL; `kept` maps it to its text."""
    return Outcome({row["url"]: row["text"] for row in documents}, {row["url"]: row["step"] for row in dropped})


class FilterScores(TypedDict):
    """Shares between 0 and 1, None where nothing was asked.

    `recall`: junk kind -> share of its pages that were dropped. `precision`: step -> share of its drops that the truth
    calls junk (dedup: a member of a duplicate group). `junk_kept`: share of the kept documents that are junk.
    `good_lost`: share of good pages whose text is in no document. `duplicates_removed`: share of the surplus members of
    duplicate groups that are gone.
    """

    recall: dict[str, float | None]
    precision: dict[str, float | None]
    junk_kept: float | None
    good_lost: float | None
    good_lost_by_kind: dict[str, float | None]
    duplicates_removed: float | None


class PiiScores(TypedDict):
    """Pieces of personal data: planted on kept pages, and of these the ones that are still there."""

    planted: int
    missed: int
    planted_by_kind: dict[str, int]
    missed_by_kind: dict[str, int]
    missed_examples: list[dict[str, str]]


def filter_scores(truth: Sequence[Row], fate: Outcome) -> FilterScores:
    """How the filters decided."""
    asked = [row for row in truth if not row["damaged"] and row["expected"] != "either"]
    groups = _kept_groups(truth, fate)
    junk: dict[str, Counter[str]] = defaultdict(Counter)
    good: dict[str, Counter[str]] = defaultdict(Counter)
    for row in asked:
        if row["expected"] == "drop":
            junk[row["kind"]]["kept" if row["url"] in fate.kept else "dropped"] += 1
        else:
            there = row["url"] in fate.kept or row["duplicate_group"] in groups
            good[row["kind"]]["kept" if there else "lost"] += 1
    junk_kept = sum(counts["kept"] for counts in junk.values())
    good_total = sum(sum(counts.values()) for counts in good.values())
    return {
        "recall": {kind: _share(counts["dropped"], sum(counts.values())) for kind, counts in sorted(junk.items())},
        "precision": _precision(asked, fate),
        "junk_kept": _share(junk_kept, len(fate.kept)),
        "good_lost": _share(sum(counts["lost"] for counts in good.values()), good_total),
        "good_lost_by_kind": {
            kind: _share(counts["lost"], sum(counts.values())) for kind, counts in sorted(good.items())
        },
        "duplicates_removed": _duplicates_removed(truth, fate),
    }


def pii_scores(truth: Sequence[Row], fate: Outcome) -> PiiScores:
    """Personal data planted on kept pages, and how much of it is still there."""
    planted: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    examples: list[dict[str, str]] = []
    for row in truth:
        text = fate.kept.get(row["url"])
        if text is None or row["damaged"]:
            continue
        for span in row["pii"] or []:
            planted[span["kind"]] += 1
            if span["text"] in text:
                missed[span["kind"]] += 1
                examples.append({"url": row["url"], **span})
    return {
        "planted": planted.total(),
        "missed": missed.total(),
        "planted_by_kind": dict(sorted(planted.items())),
        "missed_by_kind": dict(sorted(missed.items())),
        "missed_examples": examples[:10],
    }


def planted_strings(truth: Sequence[Row]) -> list[str]:
    """Every planted piece of personal data, for the search in what a model says."""
    return sorted({span["text"] for row in truth for span in row["pii"] or []})


def _kept_groups(truth: Sequence[Row], fate: Outcome) -> set[int]:
    return {row["duplicate_group"] for row in truth if row["duplicate_group"] is not None and row["url"] in fate.kept}


def _precision(asked: Sequence[Row], fate: Outcome) -> dict[str, float | None]:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in asked:
        step = fate.dropped_by.get(row["url"])
        if step is None:
            continue
        total[step] += 1
        right[step] += row["duplicate_group"] is not None if step == "dedup" else row["expected"] == "drop"
    return {step: _share(right[step], total[step]) for step in sorted(total)}


def _duplicates_removed(truth: Sequence[Row], fate: Outcome) -> float | None:
    members: dict[int, list[str]] = defaultdict(list)
    for row in truth:
        reached_dedup = row["url"] in fate.kept or fate.dropped_by.get(row["url"]) == "dedup"
        if row["duplicate_group"] is not None and reached_dedup:
            members[row["duplicate_group"]].append(row["url"])
    surplus = sum(len(urls) - 1 for urls in members.values())
    left = sum(max(0, sum(url in fate.kept for url in urls) - 1) for urls in members.values())
    return _share(surplus - left, surplus)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
