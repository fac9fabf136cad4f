"""Learning rate over a run: warm-up, constant, linear cool-down (WSD; Hu et al. 2024, arXiv 2404.06395, section 4).

A pure function of the step, so a resumed run needs no schedule state.
"""

from __future__ import annotations


def learning_rate_factor(step: int, steps: int, warmup_steps: int, decay_share: float) -> float:
    """Share of the peak learning rate at `step` of `steps`, in (0, 1].

    The warm-up takes at most a tenth of the run. The cool-down takes the last `decay_share` of it and would reach 0 one
    step after the end, so no step is wasted at rate 0.

    >>> [round(learning_rate_factor(step, 10, 0, 0.5), 2) for step in range(10)]
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    assert 0 <= step < steps
    warmup = min(warmup_steps, steps // 10)
    decay = max(1.0, decay_share * steps)
    rising = (step + 1) / (warmup + 1) if step < warmup else 1.0
    return min(1.0, rising, (steps - step) / decay)
