"""The training loop, for pretraining and for sft: gradient, step, report, checkpoint, until the plan is done.

A run killed at any moment continues from its newest checkpoint and ends with the same bits as an undisturbed one: what
a step reads is a function of its number, the optimizer's state is in the checkpoint, nothing draws random numbers, and
device, type, threads and torch are those of the plan.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from glassmill.errors import UserError
from glassmill.model.sizes import num_parameters, training_flops_per_token
from glassmill.model.transformer import Transformer
from glassmill.recipe import LoopSettings
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.train.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from glassmill.train.gradients import Batch, make_gradients
from glassmill.train.optimizer import Optimizer
from glassmill.train.plan import Plan, Setup, make_plan, read_plan
from glassmill.train.schedule import learning_rate_factor

METRIC_SECONDS = 1.0


class Batches(Protocol):
    """Where a step's batch of `rows` rows of `length` tokens comes from; a pure function of the step."""

    rows: int
    length: int

    def batch(self, step: int) -> Batch:
        """What a step reads."""


Report = Callable[[Transformer, int], None]
"""Called with the model and the number of steps done, at a few even intervals and at the end."""


class Trainer:
    """A model, its optimizer, and one step of both."""

    def __init__(self, model: Transformer, batches: Batches, settings: LoopSettings, setup: Setup) -> None:
        self.model, self.batches, self.settings = model, batches, settings
        self.optimizer = Optimizer(model, settings.optimizer, settings.momentum, settings.weight_decay)
        self.gradients = make_gradients(
            model, batches.rows, batches.length, settings.micro_batch_tokens, setup.device.torch_dtype, setup.step
        )

    def step(self, step: int, steps: int) -> tuple[float, float]:
        """Loss (nats per token) before the step, and the learning rate factor it used."""
        loss = self.gradients(self.batches.batch(step))
        factor = learning_rate_factor(step, steps, self.settings.warmup_steps, self.settings.decay_share)
        self.optimizer.step(factor * self.settings.peak_lr, factor * self.settings.embedding_lr)
        return loss, factor


def fit(
    run: RunFolder,
    fresh_model: Callable[[], Transformer],
    batches: Batches,
    settings: LoopSettings,
    setup: Setup,
    report: Report,
) -> tuple[Transformer, Plan]:
    """Train to the end of the plan, made now or by an earlier attempt.

    Args:
        run: Holds `plan.json` and `checkpoints/`.
        fresh_model: The model before the first step; called once more for measuring.
        batches: What the steps read.
        settings: Rates, schedule, time box.
        setup: On what and how it computes.
        report: Validation and samples.

    Raises:
        UserError: the run has no length, an earlier attempt had another setup, or there are several ranks.
    """
    world_size = setup.device.place.world_size
    if world_size > 1:
        raise UserError(f"WORLD_SIZE = {world_size}: this command trains in one process; start it without torchrun")
    with _pinned_threads(setup.device.threads), _deterministic():
        plan = read_plan(run, setup) or make_plan(run, settings, setup, _trial(fresh_model, batches, settings, setup))
        trainer = Trainer(fresh_model(), batches, settings, setup)
        _announce(run, trainer, plan)
        begin = _resume(run, trainer)
        with _signals() as stop:
            _steps(run, trainer, plan, begin, report, stop)
    return trainer.model, plan


def _trial(
    fresh_model: Callable[[], Transformer], batches: Batches, settings: LoopSettings, setup: Setup
) -> Callable[[int], object]:
    """Steps of a throw-away model, which is made with the first of them."""
    trainers: list[Trainer] = []

    def step(number: int) -> object:
        if not trainers:
            trainers.append(Trainer(fresh_model(), batches, settings, setup))
        return trainers[0].step(number, 10**9)

    return step


def _announce(run: RunFolder, trainer: Trainer, plan: Plan) -> None:
    tokens = plan.steps * trainer.batches.rows * trainer.batches.length
    run.emit(
        kinds.Plan(
            steps=plan.steps,
            parameters=num_parameters(trainer.model.config),
            tokens=tokens,
            minutes=round(plan.steps * plan.step_seconds / 60, 2),
            flops=training_flops_per_token(trainer.model.config) * tokens,
            threads=plan.threads,
            dtype=plan.dtype,
        )
    )


def _resume(run: RunFolder, trainer: Trainer) -> int:
    """Load the newest checkpoint; the number of steps it has behind it."""
    checkpoint = newest_checkpoint(run.path / "checkpoints")
    if checkpoint is None:
        return 0
    trainer.model.load_state_dict(checkpoint.weights)
    trainer.optimizer.load_state(checkpoint.optimizer)
    run.emit(kinds.Note(f"continuing after step {checkpoint.step}"))
    return checkpoint.step


def _steps(run: RunFolder, trainer: Trainer, plan: Plan, begin: int, report: Report, stop: list[int]) -> None:
    settings, pace = trainer.settings, _Pace(run, trainer, plan, begin)
    saved_step, saved_at = begin, time.perf_counter()
    for step in range(begin, plan.steps):
        loss, factor = trainer.step(step, plan.steps)
        done = step + 1
        pace.count(done, loss, factor)
        reporting = done == plan.steps or done * settings.reports // plan.steps > step * settings.reports // plan.steps
        due = time.perf_counter() - saved_at > settings.checkpoint_seconds
        if due or stop or reporting:
            _save(run, trainer, done)
            saved_step, saved_at = done, time.perf_counter()
        if stop:
            raise KeyboardInterrupt if stop[0] == signal.SIGINT else SystemExit(128 + stop[0])
        if reporting and done < plan.steps:
            with pace.paused():
                report(trainer.model, done)
    if saved_step < plan.steps:
        _save(run, trainer, plan.steps)
    report(trainer.model, plan.steps)


def _save(run: RunFolder, trainer: Trainer, step: int) -> None:
    save_checkpoint(
        run.path / "checkpoints", Checkpoint(step, dict(trainer.model.state_dict()), trainer.optimizer.state())
    )


class _Pace:
    """Metric events, at most one per second, with speed and time left."""

    def __init__(self, run: RunFolder, trainer: Trainer, plan: Plan, begin: int) -> None:
        self.run, self.plan, self.trainer = run, plan, trainer
        self.batch_tokens = trainer.batches.rows * trainer.batches.length
        self.told_at, self.told_step, self.losses = time.perf_counter(), begin, list[float]()

    def count(self, done: int, loss: float, factor: float) -> None:
        """Count a finished step."""
        self.losses.append(loss)
        now = time.perf_counter()
        elapsed = now - self.told_at
        if elapsed < METRIC_SECONDS and done < self.plan.steps:
            return
        per_second = (done - self.told_step) / max(elapsed, 1e-9)
        self.run.emit(
            kinds.Metric(
                step=done,
                steps=self.plan.steps,
                loss=round(sum(self.losses) / len(self.losses), 4),
                lr=self.trainer.settings.peak_lr * factor,
                grad_norm=round(_gradient_norm(self.trainer.model), 4),
                tokens=done * self.batch_tokens,
                tokens_per_s=round(per_second * self.batch_tokens),
                seconds_left=round((self.plan.steps - done) / per_second, 1),
            )
        )
        self.told_at, self.told_step, self.losses = now, done, []

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in here doesn't count towards the speed."""
        begin = time.perf_counter()
        yield
        self.told_at += time.perf_counter() - begin


def _gradient_norm(model: Transformer) -> float:
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    return float(torch.stack(norms).norm())


@contextmanager
def _pinned_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    """Only kernels that give the same bits every time; fresh buffers aren't filled, which takes time."""
    flags: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), flags.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    flags.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        flags.fill_uninitialized_memory = before[1]


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that collects SIGINT and SIGTERM, so that the loop saves before it ends."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    caught = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda got, frame: received.append(got)) for number in caught]
    try:
        yield received
    finally:
        for number, handler in zip(caught, before, strict=True):
            signal.signal(number, handler)
