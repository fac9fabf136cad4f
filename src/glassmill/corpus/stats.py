"""The numbers of a corpus run: the funnel step by step, what went in and came out, and how fast.

In: counts by step and rule, as the workers add them up. Out: rows of the funnel, and `stats.json`.
"""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from glassmill.corpus.chain import STEPS
from glassmill.corpus.document import Quarantined, kind_of_cause
from glassmill.corpus.read.sources import Source
from glassmill.corpus.tasks import Finished
from glassmill.run import kinds


class Speed(TypedDict):
    """Of the whole stage, by the clock; bytes of input."""

    seconds: float
    pages_per_s: float
    bytes_per_s: int


class Stats(TypedDict):
    """`stats.json`. `pii`: pieces masked, by kind. `causes`: the ten most frequent of the quarantine, by kind."""

    records: int
    kept: int
    dropped: int
    quarantined: int
    bytes_in: int
    characters_out: int
    funnel: list[dict[str, object]]
    pii: dict[str, int]
    causes: dict[str, int]
    speed: Speed


def make_funnel(counts: Counter[str]) -> list[kinds.Funnel]:
    """Step by step: how many documents came in, how many went on, and which rules dropped the others."""
    rows: list[kinds.Funnel] = []
    inside = counts["records"]
    for step in (step.name for step in STEPS):
        dropped = {
            key.partition(" ")[2]: number for key, number in sorted(counts.items()) if key.startswith(f"{step} ")
        }
        lost = counts["quarantined"] if step == "read" else 0
        if step == "classifier" and not dropped:
            continue  # an optional step
        outside = inside - sum(dropped.values()) - lost
        rows.append(kinds.Funnel(step, inside, outside, dropped, lost))
        inside = outside
    return rows


def stats_of(
    counts: Counter[str], finished: list[Finished], sources: list[Source], entries: list[Quarantined], seconds: float
) -> Stats:
    """`stats.json`: `counts` of the whole run, the results of `finish_shard`, inputs, quarantine, and the time it took.

    Every record is kept, dropped or quarantined; that they add up is checked here.
    """
    causes = Counter(kind_of_cause(entry["cause"]) for entry in entries)
    bytes_in = sum(source.size for source in sources)
    stats: Stats = {
        "records": counts["records"],
        "kept": counts["kept"],
        "dropped": sum(number for key, number in counts.items() if " " in key),
        "quarantined": len(entries),
        "bytes_in": bytes_in,
        "characters_out": counts["characters"],
        "funnel": [kinds.fields_of(row) for row in make_funnel(counts)],
        "pii": dict(sorted(sum((Counter(result["pii"]) for result in finished), Counter[str]()).items())),
        "causes": dict(causes.most_common(10)),
        "speed": {
            "seconds": round(seconds, 2),
            "pages_per_s": round(counts["records"] / seconds, 1),
            "bytes_per_s": round(bytes_in / seconds),
        },
    }
    assert stats["records"] == stats["kept"] + stats["dropped"] + stats["quarantined"], stats
    return stats
