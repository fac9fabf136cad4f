"""What a changed setting does to a score: means over seeds, differences with confidence intervals.

Scores of variants and seeds in, a table out. A variant is compared with the first one seed by seed, so that what a seed
does to both is not counted as an effect. Intervals are Student's (1908), two-sided, 95 %.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TypedDict

STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""97.5 % quantiles of Student's t for 1 to 30 degrees of freedom."""


class Effect(TypedDict):
    """One score of one variant.

    `mean` over seeds and `half_width` of its interval; `difference` from the first variant and `difference_half_width`.
    Half-widths are None with a single seed, differences in the first variant. `clear`: the interval of the difference
    leaves out 0.
    """

    mean: float
    half_width: float | None
    difference: float | None
    difference_half_width: float | None
    clear: bool


Scores = Mapping[str, float]
"""Name of a score -> its value, of one model."""


def half_width(values: Sequence[float]) -> float | None:
    """Half the width of the 95 % interval of the mean; None for fewer than two values.

    >>> round(half_width([1.0, 2.0, 3.0]), 3)
    2.484
    """
    if len(values) < 2:
        return None
    student = STUDENT[min(len(values) - 1, len(STUDENT)) - 1]
    return student * statistics.stdev(values) / math.sqrt(len(values))


def effects(variants: Sequence[Sequence[Scores]]) -> list[dict[str, Effect]]:
    """For each variant, what became of each score that all models have.

    Args:
        variants: Of each variant, the scores of its models in the order of the seeds, which are the same for all.
    """
    names = [name for name in variants[0][0] if all(name in scores for one in variants for scores in one)]
    return [{name: _effect(name, one, variants[0], one is variants[0]) for name in names} for one in variants]


def _effect(name: str, models: Sequence[Scores], first: Sequence[Scores], is_first: bool) -> Effect:
    values = [scores[name] for scores in models]
    gains = [value - before[name] for value, before in zip(values, first, strict=True)]
    wide = None if is_first else half_width(gains)
    return {
        "mean": statistics.fmean(values),
        "half_width": half_width(values),
        "difference": None if is_first else statistics.fmean(gains),
        "difference_half_width": wide,
        "clear": wide is not None and abs(statistics.fmean(gains)) > wide,
    }
