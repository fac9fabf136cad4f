"""Whether a training still computes: losses, gradients and weights that are numbers, and a loss below that of guessing.

A model of NaN answers with empty text, and nobody can see why; so a training stops before it takes a step that is not
sound, and publishes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from glassmill.errors import Spike, UserError
from glassmill.recipe import LoopSettings
from glassmill.train.course import Course

USUAL_LR = {"muon": 0.02, "adamw": 0.001}
USUAL_EMBEDDING_LR = 0.004
HOPELESS = 10.0
"""Times the loss of guessing: so far above it, no training comes back."""
WORSE = 1.5
"""Times the loss of guessing: a training that ends there has learned nothing."""

LARGEST = 1e6
"""Magnitude of a weight beyond which sums of squares no longer fit float32's range; sound weights stay under 1,000."""


class Watch:
    """Looks at every step of a training in `stage`, with a vocabulary of `vocab_size`.

    Attributes:
        course: What came before, for telling spikes; None where nothing is to be remembered.
    """

    def __init__(self, stage: str, settings: LoopSettings, vocab_size: int) -> None:
        self.stage, self.settings, self.guessing, self.seen = stage, settings, math.log(vocab_size), False
        self.course: Course | None = None

    def start(self, model: nn.Module) -> None:
        """Raises UserError where the model to start from has weights that are no numbers."""
        name = first_unsound(model.named_parameters())
        if name is not None:
            raise UserError(
                f"{self.stage} cannot start: {name} of the model to start from holds values that are no finite "
                "numbers; take an earlier model, or make that one again"
            )

    def step(self, number: int, steps: int, loss: float, gradient_norm: float) -> None:
        """Look at step `number` (from 1) of `steps`; no weight has changed yet.

        Raises:
            UserError: it isn't sound, or a spike at which the training is to stop.
            Spike: it is either, and the training is to go back.
        """
        if not self.seen and math.isfinite(loss):  # tuning may begin with what its model finds absurd
            self.seen, self.guessing = True, max(self.guessing, min(loss, 2 * self.guessing))
        if not math.isfinite(loss):
            self._unsound(f"the loss at step {number} of {steps} is {loss}, no finite number")
        if loss > HOPELESS * self.guessing:
            self._unsound(f"the loss at step {number} of {steps} is {loss:.4g}, guessing gives {self.guessing:.1f}")
        if not math.isfinite(gradient_norm):
            self._unsound(f"the gradient at step {number} of {steps} is {gradient_norm}, no finite number")
        if self.course is not None:
            self.course.see(number, loss)

    def end(self, model: nn.Module, loss: float) -> None:
        """Raises UserError where the trained model isn't sound.

        Args:
            loss: Of the finished model, on a batch.
        """
        for name, weight in model.named_parameters():
            largest = float(weight.detach().abs().max())
            if not largest <= LARGEST:  # also NaN
                self._stop(f"after the last step {name} holds {largest:.3g}")
        if not loss <= WORSE * self.guessing:  # also NaN
            self._stop(f"the loss after the last step is {loss:.4g}, guessing gives {self.guessing:.1f}")

    def _unsound(self, what: str) -> None:
        if self.course is not None and self.course.goes_back and self.course.losses:
            raise Spike(what)
        self._stop(what)

    def _stop(self, what: str) -> None:
        raise UserError(f"{self.stage} stopped: {what}. {self._cause()}. Nothing was published")

    def _cause(self) -> str:
        """The likely one: rates far above the usual, or rates nonetheless."""
        settings, stage = self.settings, self.stage
        usual = {"peak_lr": USUAL_LR[settings.optimizer], "embedding_lr": USUAL_EMBEDDING_LR}
        high = {name: getattr(settings, name) for name, rate in usual.items() if getattr(settings, name) > 2 * rate}
        if high:
            said = " and ".join(f"{stage}.{name} = {value:g} (usual: {usual[name]:g})" for name, value in high.items())
            return f"The likely cause is a learning rate that is too high: {said}"
        return (
            f"The likely cause is a learning rate that is too high for this model and data: lower {stage}.peak_lr = "
            f"{settings.peak_lr:g} and {stage}.embedding_lr = {settings.embedding_lr:g}, or raise {stage}.warmup_steps"
        )


def gradient_norm(model: nn.Module) -> float:
    """The norm of all gradients together."""
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0


@torch.no_grad()
def shorten(model: nn.Module, factor: float) -> None:
    """Multiply all gradients."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(factor)


def first_unsound(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor with a value that is no finite number; None if there is none."""
    return next((name for name, tensor in tensors if not torch.isfinite(tensor).all()), None)
