"""The numbers of a corpus run: the funnel step by step, what went in and came out, and how fast.

In: counts by step and rule, as the workers add them up. Out: rows of the funnel, and `stats.json`.
"""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from glassmill.corpus.chain import STEPS
from glassmill.corpus.document import Quarantined, kind_of_cause
from glassmill.corpus.finish import Finished
from glassmill.corpus.read.cut import Source
from glassmill.run import kinds

LEAST_TEXT = 0.5
"""People are told if a smaller share of the text stays."""


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
    """Step by step: how many documents and characters came in, how many went on, and which rules took the others."""
    rows: list[kinds.Funnel] = []
    inside, text = counts["records"], 0
    for step in (step.name for step in STEPS):
        dropped, lost_text = _of_step(counts, step, " "), _of_step(counts, step, ":")
        lost = counts["quarantined"] if step == "read" else 0
        if step in ("exclude", "classifier") and not dropped:
            continue  # optional steps
        if step == "extract":
            text = counts["extracted"]
        outside, text_out = inside - sum(dropped.values()) - lost, text - sum(lost_text.values())
        if step == "pii" and "characters" in counts:
            text_out = counts["characters"]  # a mask may be longer than what it hides
        named = {rule: number for rule, number in lost_text.items() if rule and number}
        rows.append(kinds.Funnel(step, inside, outside, dropped, lost, text, text_out, named))
        inside, text = outside, text_out
    return rows


def _of_step(counts: Counter[str], step: str, sign: str) -> dict[str, int]:
    return {key.partition(sign)[2]: number for key, number in sorted(counts.items()) if key.startswith(step + sign)}


def loss_of_text(funnel: list[kinds.Funnel]) -> str:
    """A sentence for people if less than half of the extracted text stays; empty if more does."""
    text = next((row.characters_in for row in funnel if row.step == "extract"), 0)
    kept = funnel[-1].characters_out
    if not text or kept >= LEAST_TEXT * text:
        return ""
    took = Counter({f"{row.step} (lines)": row.characters_in - row.characters_out - sum(row.dropped_characters.values())
                    for row in funnel if row.step == "c4"})  # fmt: skip
    for row in funnel:
        took.update(row.dropped_characters)
    rules = ", ".join(f"{rule} {number / text:.0%}" for rule, number in took.most_common(3) if number > 0)
    return (
        f"only {kept / text:.0%} of the text stays ({kept:,} of {text:,} characters); most was taken by {rules}. "
        "`glassmill why` shows it for one document; a rule is switched off in its section of the recipe"
    )


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
