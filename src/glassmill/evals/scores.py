"""What a score of the report means, for a reader who meets it for the first time.

Each module that computes scores holds their `Score`s beside the code; `glassmill.evals.eval.SCORES` collects them, and
the page takes them from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Score:
    """One number of the report: its name there, what people call it and how it is written, and which end is good."""

    name: str
    title: str
    says: str
    form: Literal["percent", "bits"] = "percent"
    good: Literal["high", "low"] = "high"
