"""What rules, steps and scores are called and what they mean, as the page asks for it.

The texts are defined beside the Python that drops a page or computes a score; this module only gathers them.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache


@cache
def all_words() -> dict[str, list[dict[str, str]]]:
    """`rules` (name, title, says, unit, direction), the corpus's `steps` (name, title, says), and the report's `scores`
    (name, title, says, form, good)."""
    from glassmill.corpus.chain import STEPS  # here: the page opens without them
    from glassmill.corpus.rules import RULES
    from glassmill.evals.eval import SCORES

    return {
        "rules": [asdict(rule) for rule in RULES.values()],
        "steps": [asdict(step) for step in STEPS],
        "scores": [asdict(score) for score in SCORES],
    }
