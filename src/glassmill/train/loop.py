"""The training loop, for pretraining and for sft: gradient, step, report, checkpoint, until the plan is done.

A run killed at any moment continues from its newest checkpoint and ends with the same bits as an undisturbed one: what
a step reads is a function of its number, the optimizer's state is in the checkpoint, nothing draws random numbers, and
device, type, threads and torch are those of the plan. (Unless a time box cuts one of the two, see `deadline`.)
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch

from glassmill.errors import UserError
from glassmill.model.sizes import num_parameters, training_flops_per_token
from glassmill.model.transformer import Transformer
from glassmill.recipe import LoopSettings
from glassmill.run import kinds
from glassmill.run.folder import RunFolder
from glassmill.train.checkpoint import Checkpoint, drop_checkpoint, newest_checkpoint, save_checkpoint
from glassmill.train.deadline import Deadline
from glassmill.train.gradients import Batch, make_gradients
from glassmill.train.health import Watch, gradient_norm, shorten
from glassmill.train.optimizer import Optimizer
from glassmill.train.plan import Plan, Setup, cut_plan, make_plan, read_plan
from glassmill.train.process import deterministic, pinned_threads, signals
from glassmill.train.schedule import Cut, learning_rate_factor

METRIC_SECONDS = 1.0


class Batches(Protocol):
    """Where a step's batch of `rows` rows of `length` tokens comes from; a pure function of the step."""

    rows: int
    length: int

    def batch(self, step: int) -> Batch:
        """What a step reads."""


class Report(Protocol):
    """What is told of a model in training, with the number of steps that it has behind it."""

    def report(self, model: Transformer, step: int) -> None:
        """Measure it; at a few even intervals and at the end."""

    def sample(self, model: Transformer, step: int) -> None:
        """Let it write; before the first step, after 1, 2, 4, 8, ..., and at the end."""


class Trained(NamedTuple):
    """What a step did."""

    loss: float
    """Nats per token, before the step."""
    factor: float
    """Of the learning rates."""
    gradient_norm: float


class Trainer:
    """A model, its optimizer, and one step of both."""

    def __init__(
        self,
        model: Transformer,
        batches: Batches,
        settings: LoopSettings,
        setup: Setup,
        watch: Watch | None = None,
    ) -> None:
        self.model, self.batches, self.settings = model, batches, settings
        self.watch = watch or Watch("training", settings, model.config.vocab_size)
        self.optimizer = Optimizer(
            model, settings.optimizer, settings.momentum, settings.weight_decay, settings.adam_betas
        )
        self.gradients = make_gradients(
            model, batches.rows, batches.length, settings.micro_batch_tokens, setup.device.torch_dtype, setup.step
        )
        self.dtype = setup.device.torch_dtype

    def step(self, step: int, steps: int, cuts: Sequence[Cut] = ()) -> Trained:
        """Take a step.

        Raises:
            UserError: loss or gradient are no finite numbers; the weights are those before the step.
        """
        loss = self.gradients(self.batches.batch(step))
        norm = gradient_norm(self.model)
        self.watch.step(step + 1, cuts[-1][1] if cuts else steps, loss, norm)
        if 0 < self.settings.grad_clip < norm:
            shorten(self.model, self.settings.grad_clip / norm)
        factor = learning_rate_factor(step, steps, self.settings.warmup_steps, self.settings.decay_share, cuts)
        self.optimizer.step(factor * self.settings.peak_lr, factor * self.settings.embedding_lr)
        return Trained(loss, factor, norm)

    @torch.no_grad()
    def loss_now(self, step: int) -> float:
        """Loss on what `step` reads, a micro-batch at a time, without learning from it."""
        rows = max(1, self.settings.micro_batch_tokens // self.batches.length)
        device = self.model.head_weight.device
        total = 0.0
        for part in self.batches.batch(step).micro_batches(rows):
            ids, targets, weights = (tensor.to(device) for tensor in part)
            with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
                total += float((self.model(ids, targets) * weights).sum())
        return total


def fit(
    run: RunFolder,
    fresh_model: Callable[[], Transformer],
    batches: Batches,
    settings: LoopSettings,
    setup: Setup,
    report: Report,
    deadline: Deadline | None = None,
) -> tuple[Transformer, Plan]:
    """Train to the end of the plan, made now or by an earlier attempt.

    Args:
        run: Holds `plan.json` and `checkpoints/`.
        fresh_model: The model before the first step; called once more for measuring.
        batches: What the steps read.
        settings: Rates, schedule, time box.
        setup: On what and how it computes.
        report: Validation and samples.
        deadline: The clock of the time box, if it started before this call.

    Raises:
        UserError: the run has no length, an earlier attempt had another setup, there are several ranks, or a loss, a
            gradient or a weight is no finite number.
    """
    world_size = setup.device.place.world_size
    if world_size > 1:
        raise UserError(f"WORLD_SIZE = {world_size}: this command trains in one process; start it without torchrun")
    deadline = deadline or Deadline(settings.minutes)

    def fresh_trainer() -> Trainer:
        model = fresh_model()
        watch = Watch(run.stage, settings, model.config.vocab_size)
        watch.start(model)
        return Trainer(model, batches, settings, setup, watch)

    with pinned_threads(setup.device.threads), deterministic():
        plan = read_plan(run, setup) or make_plan(run, settings, setup, deadline, _trial(fresh_trainer))
        trainer = fresh_trainer()
        _announce(run, trainer, plan)
        begin = _resume(run, trainer, deadline)
        with signals() as stop:
            plan = _steps(run, trainer, plan, begin, report, deadline, stop)
    return trainer.model, plan


def _trial(fresh_trainer: Callable[[], Trainer]) -> Callable[[int], object]:
    """Steps of a throw-away model, which is made with the first of them."""
    trainers: list[Trainer] = []

    def step(number: int) -> object:
        if not trainers:
            trainers.append(fresh_trainer())
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


def _resume(run: RunFolder, trainer: Trainer, deadline: Deadline) -> int:
    """Load the newest checkpoint; the number of steps it has behind it."""
    checkpoint = newest_checkpoint(run.path / "checkpoints")
    if checkpoint is None:
        return 0
    trainer.model.load_state_dict(checkpoint.weights)
    trainer.optimizer.load_state(checkpoint.optimizer)
    deadline.used = checkpoint.seconds
    run.emit(kinds.Note(f"continuing after step {checkpoint.step}"))
    return checkpoint.step


def _steps(
    run: RunFolder, trainer: Trainer, plan: Plan, begin: int, report: Report, deadline: Deadline, stop: list[int]
) -> Plan:
    """All steps from `begin` on; the plan as the deadline left it."""
    settings, pace = trainer.settings, _Pace(run, trainer, begin)
    saved_step, saved_at, step = begin, time.perf_counter(), begin
    if not begin:
        report.sample(trainer.model, 0)
    deadline.count(begin)
    while step < plan.steps:
        with _keeping_the_last_sound_checkpoint(run, step):
            trained = trainer.step(step, plan.planned, plan.cuts)
        step += 1
        deadline.count(step)
        plan = _cut(run, plan, step, settings, deadline)
        pace.count(step, plan.steps, trained, deadline)
        reporting = (
            step == plan.steps or step * settings.reports // plan.steps > (step - 1) * settings.reports // plan.steps
        )
        due = time.perf_counter() - saved_at > settings.checkpoint_seconds
        with deadline.resting():
            if due or stop or reporting:
                _save(run, trainer, step, deadline)
                saved_step, saved_at = step, time.perf_counter()
            if stop:
                raise KeyboardInterrupt if stop[0] == signal.SIGINT else SystemExit(128 + stop[0])
            if step < plan.steps:
                with pace.paused():
                    if reporting:
                        report.report(trainer.model, step)
                    if step & (step - 1) == 0:
                        report.sample(trainer.model, step)
    with _keeping_the_last_sound_checkpoint(run, step):
        trainer.watch.end(trainer.model, trainer.loss_now(plan.steps))
    if saved_step < plan.steps:
        _save(run, trainer, plan.steps, deadline)
    report.report(trainer.model, plan.steps)
    report.sample(trainer.model, plan.steps)
    return plan


@contextmanager
def _keeping_the_last_sound_checkpoint(run: RunFolder, step: int) -> Iterator[None]:
    """What goes wrong with the weights after `step` steps concerns their checkpoint too: the one before it is kept."""
    folder = run.path / "checkpoints"
    try:
        yield
    except UserError as error:
        drop_checkpoint(folder, step)
        kept = newest_checkpoint(folder)
        raise UserError(f"{error}; the checkpoint of step {kept.step} is kept" if kept else str(error)) from None


def _cut(run: RunFolder, plan: Plan, done: int, settings: LoopSettings, deadline: Deadline) -> Plan:
    """The plan, shorter where the deadline asks for it."""
    breaks = settings.reports - done * settings.reports // plan.steps
    steps = deadline.cut(done, plan.steps, settings.decay_share, breaks)
    if steps is None:
        return plan
    if not plan.cuts:
        run.emit(
            kinds.Note(
                f"this machine is slower than planned: about {steps:,} steps instead of {plan.planned:,} fit into "
                f"{deadline.box / 60:g} minutes; the learning rate falls from here on"
            )
        )
    return cut_plan(run, plan, done, steps)


def _save(run: RunFolder, trainer: Trainer, step: int, deadline: Deadline) -> None:
    state = dict(trainer.model.state_dict())
    save_checkpoint(run.path / "checkpoints", Checkpoint(step, state, trainer.optimizer.state(), deadline.elapsed()))


class _Pace:
    """Metric events, at most one per second, with speed and time left."""

    def __init__(self, run: RunFolder, trainer: Trainer, begin: int) -> None:
        self.run, self.trainer = run, trainer
        self.batch_tokens = trainer.batches.rows * trainer.batches.length
        self.told_at, self.told_step, self.losses = time.perf_counter(), begin, list[float]()

    def count(self, done: int, steps: int, trained: Trained, deadline: Deadline) -> None:
        """Count a finished step."""
        self.losses.append(trained.loss)
        now = time.perf_counter()
        elapsed = now - self.told_at
        if elapsed < METRIC_SECONDS and done < steps:
            return
        per_second = (done - self.told_step) / max(elapsed, 1e-9)
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
            )
        )
        self.told_at, self.told_step, self.losses = now, done, []

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in here doesn't count towards the speed."""
        begin = time.perf_counter()
        yield
        self.told_at += time.perf_counter() - begin
