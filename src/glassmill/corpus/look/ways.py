"""A page's way through the steps of a run as plain values, for a terminal, a page or JSON."""

from __future__ import annotations

import math
from typing import TypedDict

from glassmill.corpus.look.shown import Show
from glassmill.corpus.look.why import Check, Way


class CheckLine(TypedDict):
    """One rule applied to a page; `passed` is None where a step only records a value; `says` is the rule's sentence."""

    rule: str
    value: float | None
    bound: float | None
    passed: bool | None
    detail: str
    says: str


class StepLine(TypedDict):
    """One step of the corpus stage, with the rules it applied."""

    step: str
    checks: list[CheckLine]


class WayLine(TypedDict):
    """One record's path through the corpus stage, and how it ended."""

    url: str
    source: str
    offset: int
    end: str
    steps: list[StepLine]


def plain_way(way: Way, show: Show) -> WayLine:
    """The way as JSON, which has no NaN, with what `show` makes of the strings that came from the page."""
    steps: list[StepLine] = [
        {"step": step, "checks": [_plain_check(check, show) for check in checks]} for step, checks in way.steps
    ]
    url, source = str(show(way.url)), str(show(way.source))
    return {"url": url, "source": source, "offset": way.offset, "end": way.end, "steps": steps}


def _plain_check(check: Check, show: Show) -> CheckLine:
    return {
        "rule": check.rule,
        "value": check.value,
        "bound": None if math.isnan(check.bound) else check.bound,
        "passed": check.passed,
        "detail": str(show(check.detail)),
        "says": check.says,
    }


def in_brief(way: Way) -> str:
    """What a kept page went through, such as "passed 24 checks in 10 steps; masked: 2"."""
    checks = [check for _, checks in way.steps for check in checks]
    copies = [check.says for check in checks if check.rule == "dedup/cluster_size" and check.value > 1]
    masked = sum(int(check.value) for check in checks if check.rule.startswith("pii/"))
    passed = f"passed {sum(check.passed is True for check in checks)} checks in {len(way.steps)} steps"
    return "; ".join([passed, *copies, *([f"masked: {masked:,}"] if masked else [])])
