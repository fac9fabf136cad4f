"""Learning rate over a run: warm-up, constant, linear cool-down (WSD; Hu et al. 2024, arXiv 2404.06395, section 4).

A pure function of the step and of the plan's cuts (see `deadline`), so a resumed run needs no schedule state.
"""

from __future__ import annotations

from collections.abc import Sequence

Cut = tuple[int, int]
"""After so many steps it became clear that time allows so many in all."""


def learning_rate_factor(
    step: int, steps: int, warmup_steps: int, decay_share: float, cuts: Sequence[Cut] = (), floor: float = 0.0
) -> float:
    """Share of the peak learning rate at `step` of `steps`, in (0, 1].

    The warm-up takes at most a tenth of the run. The cool-down takes the last `decay_share` of it and would reach 0, or
    `floor`, one step after the end, so no step is wasted at rate 0. A cut starts the cool-down, or makes it steeper.

    >>> [round(learning_rate_factor(step, 10, 0, 0.5), 2) for step in range(10)]
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2]
    >>> [round(learning_rate_factor(step, 10, 0, 0.5, [(2, 6)]), 2) for step in range(6)]
    [1.0, 1.0, 1.0, 1.0, 0.67, 0.33]
    """
    assert 0 <= step < (cuts[-1][1] if cuts else steps)
    warmup = min(warmup_steps, steps // 10)
    rising = (step + 1) / (warmup + 1) if step < warmup else 1.0
    return min(rising, floor + (1 - floor) * _falling(step, steps, decay_share, cuts))


def steps_known(step: int, steps: int, cuts: Sequence[Cut] = ()) -> int:
    """How many steps the run has in all, as far as is known at `step`: later cuts are known to a resumed run alone."""
    return next((end for at, end in reversed(cuts) if at <= step), steps)


def _falling(step: int, steps: int, decay_share: float, cuts: Sequence[Cut]) -> float:
    """The cool-down's part: of the last cut before `step`, which takes over the level where it was made."""
    place = next((number for number in reversed(range(len(cuts))) if cuts[number][0] <= step), None)
    if place is None:
        return min(1.0, (steps - step) / max(1.0, decay_share * steps))
    at, end = cuts[place]
    level = _falling(at, steps, decay_share, cuts[:place])
    decay = decay_share * end if level >= 1 else end - at
    return level * min(1.0, (end - step) / max(1.0, min(decay, end - at)))
