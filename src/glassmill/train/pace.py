"""How fast a training is, and how far: its metric events.

Speed counts the steps alone: not checkpoints, reports, or what a spike threw away.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from glassmill.model.sizes import training_flops_per_token
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.train.deadline import Deadline
from glassmill.train.peak import matrix_peak
from glassmill.train.trainer import Trained, Trainer

METRIC_SECONDS = 1.0


class Pace:
    """Metric events, at most one per second; and with a report, the norms of its step."""

    def __init__(self, run: RunFolder, trainer: Trainer, begin: int) -> None:
        self.run, self.trainer = run, trainer
        self.batch_tokens = trainer.batches.rows * trainer.batches.length
        self.told_at, self.told_step, self.losses = time.perf_counter(), begin, list[float]()
        self.peak: float | None = None
        """FLOP/s of all ranks; None before it is measured, after the first second."""

    def restart(self, step: int) -> None:
        """Count anew from `step` on."""
        self.told_at, self.told_step, self.losses = time.perf_counter(), step, []

    def count(self, done: int, steps: int, trained: Trained, deadline: Deadline) -> None:
        """Count a finished step."""
        self.losses.append(trained.loss)
        if trained.norms:
            rounded = [{group: float(f"{x:.4g}") for group, x in some.items()} for some in trained.norms]
            self.run.emit(kinds.Norms(done, *rounded))
        now = time.perf_counter()
        elapsed = now - self.told_at
        if elapsed < METRIC_SECONDS and done < steps:
            return
        per_second = (done - self.told_step) / max(elapsed, 1e-9)
        with deadline.resting():
            share = self._peak_share(per_second * self.batch_tokens) if elapsed >= METRIC_SECONDS else None
        self.run.emit(
            kinds.Metric(
                step=done,
                steps=steps,
                loss=round(sum(self.losses) / len(self.losses), 4),
                lr=self.trainer.settings.peak_lr * trained.factor,
                grad_norm=round(trained.gradient_norm, 4),
                tokens=done * self.batch_tokens,
                tokens_per_s=round(per_second * self.batch_tokens),
                seconds_left=round(max(0.0, min((steps - done) / per_second, deadline.left())), 1),
                peak_share=share,
            )
        )
        self.told_at, self.told_step, self.losses = time.perf_counter(), done, []

    def _peak_share(self, tokens_per_s: float) -> float | None:
        """What share of the machine's matrix peak the training uses; None for adapters, whose FLOPs nobody counts."""
        ranks, setup = self.trainer.ranks, self.trainer.setup
        if ranks.rank or self.trainer.settings.lora.rank:
            return None
        if self.peak is None:
            self.peak = ranks.size * matrix_peak(setup.device)
        return round(training_flops_per_token(self.trainer.model.config) * tokens_per_s / self.peak, 4)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in here doesn't count towards the speed."""
        begin = time.perf_counter()
        yield
        self.told_at += time.perf_counter() - begin
