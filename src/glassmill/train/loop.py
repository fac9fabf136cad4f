"""The training loop, for pretraining and for sft: gradient, step, report, checkpoint, until the plan is done.

A run killed at any moment continues from its newest checkpoint and ends with the same bits as an undisturbed one: what
a step reads is a function of its number, the optimizer's state is in the checkpoint, nothing draws random numbers, and
device, type, threads, processes and torch are those of the plan. Where a spike of the loss leads is a function of the
steps before it, see `course`. (Unless a time box cuts one of the two, see `deadline`, or the run moves to another
machine, see `plan`.)

Under torchrun every rank runs this loop. All of them make the same decisions, see `ranks`; only rank 0 has a run folder
to write in, reports and publishes.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from glassmill.errors import Spike, UserError
from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters, training_bytes, training_flops_per_token
from glassmill.model.threads import pinned_threads
from glassmill.model.transformer import Transformer
from glassmill.recipe import LoopSettings
from glassmill.run import kinds
from glassmill.run.device import memory_of
from glassmill.run.folder import RunFolder
from glassmill.train.checkpoint import (
    DAMAGED,
    Checkpoint,
    Saved,
    drop_checkpoint,
    drop_newer,
    newest_checkpoint,
    newest_saved,
    open_saved,
    save_checkpoint,
)
from glassmill.train.course import Course
from glassmill.train.deadline import Deadline
from glassmill.train.health import Watch
from glassmill.train.pace import Pace
from glassmill.train.plan import Plan, Setup, cut_plan, make_plan, moved_plan, read_plan
from glassmill.train.process import deterministic, signals
from glassmill.train.ranks import Ranks, others_may_die
from glassmill.train.saver import Saver
from glassmill.train.sinks import logging
from glassmill.train.trainer import Batches, Trainer

USABLE = 0.8
"""Share of a device's memory that a replica of the model may plan for; beyond it, the model is cut over the ranks."""


class Report(Protocol):
    """What is told of a model in training, with the number of steps that it has behind it. Only on rank 0.

    Attributes:
        tokens: Held-out tokens that `report` reads.
    """

    tokens: int

    def report(self, model: Transformer, step: int) -> float | None:
        """Measure it; at a few even intervals and at the end. What held-out text costs, lower is better; None where
        there is none."""

    def sample(self, model: Transformer, step: int) -> None:
        """Let it write; before the first step, after 1, 2, 4, 8, ..., and at the end."""


def fit(
    run: RunFolder,
    fresh_model: Callable[[], Transformer],
    batches: Batches,
    settings: LoopSettings,
    setup: Setup,
    report: Report,
    deadline: Deadline | None = None,
    outline: Callable[[], Transformer] | None = None,
) -> tuple[Transformer, Plan] | None:
    """Train to the end of the plan, made now or by an earlier attempt.

    Args:
        run: Holds `plan.json` and `checkpoints/`.
        fresh_model: The model before the first step; called once more for measuring.
        batches: What the steps read, on all ranks together.
        settings: Rates, schedule, time box.
        setup: On what and how it computes.
        report: Validation and samples.
        deadline: The clock of the time box, if it started before this call.
        outline: The modules of `fresh_model` on the device "meta". With it, only rank 0 ever holds a model whole that
            is cut over the ranks.

    Returns:
        The trained model and the plan as the deadline left it; None on the ranks that only help.

    Raises:
        UserError: the run has no length, an earlier attempt had another type, a loss, a gradient or a weight is no
            finite number, or another rank died.
    """
    deadline = deadline or Deadline(settings.minutes)
    with pinned_threads(setup.device.threads), deterministic():
        ranks = Ranks.join(setup.device, setup.tensor_parallel)
        with others_may_die(ranks):
            on = _Training(run, batches, settings, setup, report, deadline, ranks, os.getppid())
            done = _fit(on, fresh_model, outline)
            ranks.part()
            return done


class _Training(NamedTuple):
    """What the parts of the loop share."""

    run: RunFolder
    batches: Batches
    settings: LoopSettings
    setup: Setup
    report: Report
    deadline: Deadline
    ranks: Ranks
    parent: int
    """Process that started this one."""


def _fit(
    on: _Training, fresh_model: Callable[[], Transformer], outline: Callable[[], Transformer] | None
) -> tuple[Transformer, Plan] | None:
    run, ranks = on.run, on.ranks

    def fresh_trainer() -> Trainer:
        outlined = outline is not None and ranks.rank and on.setup.parallel == "fsdp"
        model = outline() if outline and outlined else fresh_model()
        watch = Watch(run.stage, on.settings, model.config.vocab_size)
        if not outlined:
            watch.start(model)
        return Trainer(model, on.batches, on.settings, on.setup, watch, ranks)

    if ranks.size > 1:
        chosen = on.settings.parallel
        if ranks.tensor_parallel > 1:
            chosen = "fsdp"
        elif chosen == "auto":
            chosen = ranks.tell(_what_fits(on, (outline or fresh_model)().config))
        on = on._replace(setup=on.setup._replace(parallel=chosen))
    plan = read_plan(run, on.setup) if ranks.rank == 0 else None
    if not ranks.tell(plan is not None):
        plan = make_plan(
            run,
            on.settings,
            on.setup,
            on.deadline,
            lambda: partial(fresh_trainer().step, steps=10**9),
            report_tokens=on.report.tokens,
            agree=lambda go: ranks.tell(go),
        )
        gc.collect()  # the trial's weights and moments, before there are others
    plan = Plan.from_json(ranks.tell(plan and asdict(plan)))
    on = on._replace(settings=on.settings.model_copy(update={"reports": plan.reports or on.settings.reports}))
    trainer = fresh_trainer()
    _announce(run, trainer, plan)
    trainer.watch.course = course = Course(run.stage, on.settings, lambda text: run.emit(kinds.Warned(text)))
    begin = _resume(on, trainer, course)
    plan = moved_plan(run, plan, on.setup, begin)
    with signals() as stop, logging(run, on.settings, begin) if ranks.rank == 0 else nullcontext():
        return _steps(on, trainer, course, plan, begin, stop)


def _what_fits(on: _Training, config: ModelConfig) -> str:
    """`ddp` if a replica fits into a device's memory, else `fsdp`."""
    rows = min(on.batches.rows, max(1, on.settings.micro_batch_tokens // on.batches.length))
    needed = training_bytes(
        config,
        rows,
        on.batches.length,
        on.settings.optimizer,
        step=on.setup.step,
        dtype=on.setup.device.dtype,
        recompute=on.settings.activation_checkpointing,
    )
    return "ddp" if needed <= USABLE * memory_of(on.setup.device) else "fsdp"


def _announce(run: RunFolder, trainer: Trainer, plan: Plan) -> None:
    tokens = plan.steps * trainer.batches.rows * trainer.batches.length
    run.emit(
        kinds.Plan(
            steps=plan.steps,
            parameters=num_parameters(trainer.model.config),
            tokens=tokens,
            minutes=round(plan.steps * plan.step_seconds / 60, 2),
            flops=training_flops_per_token(trainer.model.config) * tokens,
            threads=trainer.setup.device.threads,
            dtype=plan.dtype,
        )
    )
    if trainer.ranks.size > 1:
        how = "each with the whole model" if trainer.setup.parallel == "ddp" else "each with a share of the model"
        run.emit(kinds.Note(f"{trainer.ranks.size} processes train together, {how} ({trainer.setup.way})"))


def _resume(on: _Training, trainer: Trainer, course: Course) -> int:
    """Load the newest sound checkpoint; the number of steps it has behind it."""
    saved = _load_newest(on, trainer)
    if saved is None:
        return 0
    trainer.skipped = course.restore(saved.notes)
    on.deadline.used = saved.seconds
    on.run.emit(kinds.Note(f"continuing after step {saved.step}"))
    return saved.step


def _load_newest(on: _Training, trainer: Trainer) -> Saved | None:
    """Load the newest sound checkpoint, which rank 0 finds, if there is one."""
    saved = None
    if on.ranks.rank == 0:
        saved = newest_saved(on.run.path / "checkpoints", lambda text: on.run.emit(kinds.Warned(text)))
    path = on.ranks.tell(saved and str(saved.path))
    if path is None:
        return None
    saved = saved or open_saved(Path(path), check=False)
    trainer.load(saved)
    return saved


def _state(on: _Training, trainer: Trainer, course: Course, step: int, reports: bool = False) -> Checkpoint:
    """What a checkpoint after `step` steps holds; `reports`: a report follows."""
    share = trainer.share(step, on.deadline.elapsed())
    return replace(share, notes=course.notes(step, trainer.skipped, reports))


def _go_back(on: _Training, trainer: Trainer, course: Course, saver: Saver, step: int, why: Spike) -> int:
    """Load the checkpoint before the spike after `step` steps; the number of steps it has behind it.

    The place in the data stays: what was read since is not read again. Nothing needs to be written down: a run killed
    now continues from a checkpoint before the spike, and comes here again.
    """
    saver.wait()
    on.ranks.meet()
    course.went_back(course.target(step), why)
    if on.ranks.rank == 0:
        drop_newer(on.run.path / "checkpoints", course.landed)
    saved = _load_newest(on, trainer)
    if saved is None:
        raise UserError(f"{on.run.stage} stopped: {why}, and there is no checkpoint to go back to")
    course.restore(saved.notes)
    count = step + 1 - saved.step
    trainer.skipped += count
    skips = f"{count} batches" if count > 1 else "one batch"
    on.run.emit(kinds.Warned(f"{why}; training goes back to step {saved.step} and skips the {skips} read since then"))
    if course.reports:
        _report(on, trainer, course, saved.step, reporting=on.settings.keep_best)
    return saved.step


def _steps(
    on: _Training, trainer: Trainer, course: Course, plan: Plan, begin: int, stop: list[int]
) -> tuple[Transformer, Plan] | None:
    """All steps from `begin` on; the model, and the plan as the deadline left it."""
    settings, deadline, pace = on.settings, on.deadline, Pace(on.run, trainer, begin)
    saved_at, step = time.perf_counter(), begin
    with Saver(on.run.path / "checkpoints", on.ranks, save_checkpoint, settings.keep_checkpoints) as saver:
        if not begin:
            if course.goes_back:
                saver.begin(_state(on, trainer, course, 0))
            _report(on, trainer, course, 0, sampling=True)
        elif course.reports and begin < plan.steps:
            _report(on, trainer, course, begin, reporting=settings.keep_best)
        deadline.count(begin + trainer.skipped)
        while step < plan.steps:
            try:
                with _keeping_the_last_sound_checkpoint(on, saver, step):
                    trained = trainer.step(step, plan.planned, plan.cuts, _reports_after(step + 1, plan, settings))
            except Spike as spike:
                step = _go_back(on, trainer, course, saver, step, spike)
                pace.restart(step)
                continue
            step += 1
            deadline.count(step + trainer.skipped)
            due = time.perf_counter() - saved_at > settings.checkpoint_seconds
            due = due and (settings.checkpoint_seconds == 0 or not saver.busy)
            due, cut, signalled = _agreed(on, due, _cut(plan, step, on), stop)
            if cut:
                plan = cut_plan(on.run, plan, step, cut, deadline.box)
            pace.count(step, plan.steps, trained, deadline)
            reporting = _reports_after(step, plan, settings)
            with deadline.resting():
                if due or signalled or reporting or (course.goes_back and course.anchor(step) == step):
                    saver.begin(_state(on, trainer, course, step, reporting))
                    saved_at = time.perf_counter()
                if signalled:
                    saver.wait()
                    on.ranks.meet()
                    raise KeyboardInterrupt if signalled == signal.SIGINT else SystemExit(128 + signalled)
                if step < plan.steps:
                    with pace.paused():
                        _report(on, trainer, course, step, reporting, sampling=step & (step - 1) == 0)
        return _end(on, trainer, course, plan, saver)


def _reports_after(step: int, plan: Plan, settings: LoopSettings) -> bool:
    """Whether there is a report after so many steps."""
    return step == plan.steps or step * settings.reports // plan.steps > (step - 1) * settings.reports // plan.steps


def _agreed(on: _Training, due: bool, cut: int, stop: list[int]) -> tuple[bool, int, int]:
    """Whether to save, to how many steps to cut (0: no cut), and a signal (0: none): rank 0's clock, anyone's signal.

    A rank whose torchrun was killed is to end, as if by SIGTERM: nobody would replace it or stop it.
    """
    if on.ranks.rank:
        due, cut = False, 0
    orphaned = signal.SIGTERM if on.ranks.size > 1 and os.getppid() != on.parent else 0
    saves, steps, signalled = on.ranks.largest(due, cut, stop[0] if stop else orphaned)
    return bool(saves), steps, signalled


def _report(
    on: _Training, trainer: Trainer, course: Course, step: int, reporting: bool = False, sampling: bool = False
) -> None:
    """Rank 0 reports; what it raises ends the others too."""
    model, score = trainer.whole_model() if reporting or sampling else None, None
    if model is not None and reporting:
        score = on.report.report(model, step)
    if model is not None and sampling:
        on.report.sample(model, step)
    if reporting and on.settings.keep_best:
        course.compare(step, on.ranks.tell(score))


def _end(on: _Training, trainer: Trainer, course: Course, plan: Plan, saver: Saver) -> tuple[Transformer, Plan] | None:
    """Look at the finished model, and report on it; with `keep_best`, take an earlier one that did better."""
    with _keeping_the_last_sound_checkpoint(on, saver, plan.steps):
        loss = trainer.loss_now(plan.steps)
        model = trainer.whole_model()
        if model is not None:
            trainer.watch.end(model, loss)
    score = None
    if model is not None:
        score = on.report.report(model, plan.steps)
        on.report.sample(model, plan.steps)
    saver.wait()
    on.ranks.meet()
    chosen_by = {"reports": on.settings.reports, "scored": on.report.tokens} if on.settings.keep_best else {}
    on.run.settle(plan.computed() | chosen_by)
    if on.settings.keep_best:
        course.compare(plan.steps, on.ranks.tell(score))
    if on.settings.keep_best and course.best and course.best[0] < plan.steps:
        del model
        model = _best(on, trainer, *course.best)
    return None if model is None else (model, plan)


def _best(on: _Training, trainer: Trainer, step: int, score: float) -> Transformer | None:
    """The model of the best report, on rank 0."""
    path = on.run.path / "checkpoints" / f"step-{step:08d}"
    try:
        trainer.load(open_saved(path, check=on.ranks.rank == 0))
    except DAMAGED as error:
        raise UserError(
            f"{path}, which did best on held-out text, is damaged ({error}); run it with {on.run.stage}.keep_best=false"
        ) from None
    model = trainer.whole_model()
    if model is not None:
        on.run.emit(kinds.Note(f"the model of step {step} did best on held-out text ({score:g}) and is the one kept"))
        on.report.report(model, step)
        on.report.sample(model, step)
    return model


@contextmanager
def _keeping_the_last_sound_checkpoint(on: _Training, saver: Saver, step: int) -> Iterator[None]:
    """What goes wrong with the weights after `step` steps concerns their checkpoint too: the one before it is kept."""
    folder = on.run.path / "checkpoints"
    try:
        yield
    except UserError as error:
        saver.wait()
        if on.ranks.rank:
            raise
        drop_checkpoint(folder, step)
        kept = newest_checkpoint(folder)
        raise UserError(f"{error}; the checkpoint of step {kept.step} is kept" if kept else str(error)) from None


def _cut(plan: Plan, done: int, on: _Training) -> int:
    """To how many steps the deadline cuts the run; 0: it goes on as it is."""
    breaks = on.settings.reports - done * on.settings.reports // plan.steps
    return on.deadline.cut(done, plan.steps, on.settings.decay_share, breaks) or 0
