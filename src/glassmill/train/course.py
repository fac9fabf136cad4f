"""What a training remembers of its course, besides weights: recent losses, batches it skipped, its best report.

It is saved with every checkpoint, so that a run that was killed decides what an undisturbed one decides.

A spike is a loss far above the ones before it: PaLM's training had about 20, and went on from an earlier checkpoint
with the batches around the spike left out (Chowdhery et al. 2022, arXiv 2204.02311, section 5.1). How far is far: seven
standard deviations (OLMo 2, arXiv 2501.00656, section 3), but of the median's kind, which earlier spikes don't move.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from glassmill.errors import Spike, UserError
from glassmill.recipe import LoopSettings

WINDOW = 50
"""Steps before a loss that it is compared with."""
FAR = 7.0
MAD_TO_DEVIATION = 1.4826
"""Standard deviations in a median absolute deviation of normal numbers."""
LEAST = 0.25
"""Nats by which a loss is above the median at least, to be a spike: a training that knows its text by heart has almost
no deviation."""
MOST_ROLLBACKS = 10


class Course:
    """What a training of `stage` remembers.

    Attributes:
        best: Step of the best report, and what held-out text cost there.
        reports: Whether the checkpoint that the run continues from was written right before a report.
        landed: Where the last rollback went.
    """

    def __init__(self, stage: str, settings: LoopSettings, warn: Callable[[str], None]) -> None:
        self.stage, self.settings, self.warn = stage, settings, warn
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.rollbacks, self.warned, self.landed = 0, -WINDOW, -1
        self.best: tuple[int, float] | None = None
        self.reports = False

    def notes(self, step: int, skipped: int, reports: bool) -> dict[str, Any]:
        """For the checkpoint after `step` steps; `needs` are earlier checkpoints that it goes back to."""
        needs = [self.best[0]] if self.best else []
        if self.goes_back and step:
            needs.append(self.anchor(step - 1))
        return {
            "losses": list(self.losses),
            "rollbacks": self.rollbacks,
            "skipped": skipped,
            "best": self.best,
            "reports": reports,
            "needs": needs,
        }

    def restore(self, notes: Mapping[str, Any]) -> int:
        """Put back what `notes` gave; how many batches were skipped before."""
        self.losses = deque(notes.get("losses", ()), maxlen=WINDOW)
        self.rollbacks = max(self.rollbacks, notes.get("rollbacks", 0))
        step, score = notes.get("best") or (0, None)
        self.best = None if score is None else (step, score)
        self.reports = notes.get("reports", False)
        skipped: int = notes.get("skipped", 0)
        return skipped

    @property
    def goes_back(self) -> bool:
        """Whether a spike ends in a rollback, for which there are checkpoints every `rollback_steps`."""
        return self.settings.on_spike == "rollback"

    def anchor(self, step: int) -> int:
        """The last step up to `step` with a checkpoint to go back to; a function of the step, not of a clock."""
        return step - step % self.settings.rollback_steps

    def target(self, step: int) -> int:
        """Where a training goes back to whose next loss, after `step` steps, is a spike: the last anchor whose own loss
        was none."""
        return step if step == self.landed else self.anchor(max(0, step - 1))

    def see(self, number: int, loss: float) -> None:
        """Take note of the finite loss of step `number`, from 1.

        Raises:
            Spike: it is one, and the training goes back.
            UserError: it is one, and the training stops.
        """
        if len(self.losses) == WINDOW:
            middle = median(self.losses)
            deviation = MAD_TO_DEVIATION * median(abs(one - middle) for one in self.losses)
            if loss > middle + max(FAR * deviation, LEAST):
                self._spike(number, f"the loss at step {number} jumps to {loss:.4g}; before it was around {middle:.4g}")
        self.losses.append(loss)

    def _spike(self, number: int, what: str) -> None:
        if self.goes_back:
            raise Spike(what)
        if self.settings.on_spike == "stop":
            raise UserError(
                f"{self.stage} stopped: {what}. Nothing was published; lower {self.stage}.peak_lr, or set "
                f"{self.stage}.on_spike=rollback to skip such batches"
            )
        if number - self.warned >= WINDOW:
            self.warn(f"{what}; {self.stage}.on_spike=rollback would go back and skip the batches that led there")
            self.warned = number

    def went_back(self, to: int, why: Spike) -> None:
        """Count a rollback to step `to`.

        Raises:
            UserError: it's one too many.
        """
        self.rollbacks, self.landed = self.rollbacks + 1, to
        if self.rollbacks > MOST_ROLLBACKS:
            raise UserError(
                f"{self.stage} stopped: {why}, after {MOST_ROLLBACKS} rollbacks. The learning rate is too high for "
                f"this model and data: lower {self.stage}.peak_lr. Nothing was published"
            )

    def compare(self, step: int, score: float | None) -> None:
        """Take note of a report: the first of the lowest scores is the best."""
        if score is not None and (self.best is None or score < self.best[1]):
            self.best = (step, score)
