"""How a run trains: on what device, by which step, over how many processes, and for how many steps.

The number of steps is given, or measured once so that the run ends when its time is up. With a time box it is the most
that are taken: if the machine turns out slower, the run is cut (see `deadline`).

The plan is written before the first step, and every cut before the step after it. Killed and run again, a run reads the
plan instead of measuring, and ends with the same weights. Continued on another processor, with another torch or another
number of threads or processes, it takes the same steps over the same samples, but sums in another order: the run says
so, and the plan keeps who computed which steps. Time depends on the machine, so two runs of one recipe with a time box
may differ in their number of steps; with `steps` alone they don't. All of it is in the name of the finished run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from statistics import median
from typing import Any, Literal, NamedTuple

from glassmill import native
from glassmill.errors import UserError
from glassmill.recipe import LoopSettings
from glassmill.run import kinds
from glassmill.run.device import Device, Facts, resolve
from glassmill.run.folder import RunFolder
from glassmill.run.places import PLAN
from glassmill.train.deadline import Deadline
from glassmill.train.schedule import Cut

COMPUTED_WITH = ("device", "processor", "dtype", "threads", "torch", "world_size", "step", "parallel")
MARGIN = 0.97
"""Share of the time box that is planned for; the rest is for samples and checkpoints."""
REPORTS_SHARE = 0.15
"""Share of the time box that reports may take; there are fewer of them if need be, but one at the end."""
FORWARD_SHARE = 0.5
"""What a held-out token costs of what a token of a step does."""


class Setup(NamedTuple):
    """What a training computes on, and how it gets its gradients."""

    device: Device
    step: Literal["fused", "autograd"]
    parallel: Literal["none", "ddp", "fsdp"] = "none"
    tensor_parallel: int = 1

    def facts(self) -> Facts:
        """All of it that changes the bytes of the model."""
        return {**self.device.facts(), "step": self.step, "parallel": self.way}

    @property
    def way(self) -> str:
        """How the processes share the work, such as `fsdp` or `fsdp + tp 2`."""
        return self.parallel if self.tensor_parallel == 1 else f"{self.parallel} + tp {self.tensor_parallel}"

    def identity(self) -> Facts:
        """What of it no run may change on its way: the type of products. The rest changes the order of sums, and a run
        continues where there is a machine for it."""
        return {"dtype": self.device.dtype}


def set_up(settings: LoopSettings, d_model: int) -> Setup:
    """What these settings mean on this machine, for a model of that width.

    Raises:
        UserError: this machine doesn't have the device, or the fused step was asked for where it can't be used.
    """
    device = resolve(settings.device, settings.dtype, settings.threads, d_model)
    if settings.step == "fused" and settings.lora.rank:
        raise UserError("step = fused trains all weights, and lora.rank asks for adapters; set step=auto")
    if settings.step == "fused" and settings.activation_checkpointing:
        raise UserError("step = fused keeps what it computed, activation_checkpointing does not; set step=auto")
    if settings.step == "fused" and settings.dropout:
        raise UserError("step = fused has no dropout; set step=auto, or dropout=0")
    plain = not settings.lora.rank and not settings.activation_checkpointing and not settings.dropout
    can_fuse = device.kind == "cpu" and device.place.world_size == 1 and native.trains() and plain
    if settings.step == "fused" and not can_fuse:
        what = f"{device.place.world_size} on {device.kind}" if native.trains() else "one without the native core"
        raise UserError(f"step = fused is for one process on a CPU, not {what}; set step=auto")
    check_processes(settings, device.place.world_size)
    step: Literal["fused", "autograd"] = "fused" if can_fuse and settings.step != "autograd" else "autograd"
    return Setup(device, step, tensor_parallel=settings.tensor_parallel)


def check_processes(settings: LoopSettings, num_processes: int) -> None:
    """Raises UserError where the processes cannot share the work as the settings say."""
    size = settings.tensor_parallel
    if num_processes % size:
        other = "start the command with torchrun" if num_processes == 1 else "start as many as it divides"
        raise UserError(
            f"tensor_parallel = {size} does not divide the number of processes, {num_processes}: {other}, or set "
            "tensor_parallel=1"
        )
    if size > 1 and settings.parallel == "ddp":
        raise UserError(
            f"tensor_parallel = {size} cuts the layers, and parallel = ddp keeps them whole; set parallel=fsdp, or "
            "tensor_parallel=1"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rerun must know to give the same bits.

    Attributes:
        planned: The number of steps before any cut: the schedule's.
        cuts: What the deadline made of it.
        step_seconds: What a step took when it was measured; 0 if nothing was.
        reports: How many reports the time box has room for; 0: as many as the settings ask for.
        device, processor, dtype, threads, torch, world_size, step, parallel: See `Setup.facts`.
        earlier: The same of those who computed the run before, each with the steps behind it when it was left.
    """

    planned: int
    step_seconds: float
    device: str
    processor: str
    dtype: str
    threads: int
    torch: str
    world_size: int
    step: str
    parallel: str = "none"
    reports: int = 0
    cuts: tuple[Cut, ...] = ()
    earlier: tuple[Facts, ...] = ()

    def facts(self) -> Facts:
        """See `Setup.facts`."""
        return {name: getattr(self, name) for name in COMPUTED_WITH}

    def computed(self) -> Facts:
        """All of it that changes the bytes of the model, for the run's identity."""
        lists = {"cuts": self.cuts, "earlier": self.earlier}
        told: Facts = {name: json.dumps(value, sort_keys=True) for name, value in lists.items() if value}
        return self.facts() | {"steps": self.planned} | told

    @property
    def steps(self) -> int:
        """How many steps the run takes, as far as is known now."""
        return self.cuts[-1][1] if self.cuts else self.planned

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """What `asdict` and JSON made of a plan."""
        cuts = tuple((int(at), int(steps)) for at, steps in value["cuts"])
        known = {one.name for one in fields(cls)}
        return cls(**{k: v for k, v in value.items() if k in known} | {"cuts": cuts, "earlier": (*value["earlier"],)})


def read_plan(run: RunFolder, setup: Setup) -> Plan | None:
    """The plan of an earlier attempt in this run folder; None if this is the first.

    Raises:
        UserError: the plan is an older glassmill's, or the earlier attempt computed in another type.
    """
    path = run.path / PLAN
    if not path.exists():
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
    again = "or delete the folder to start again"
    if not saved.keys() >= setup.facts().keys() | {"cuts", "earlier"}:
        raise UserError(f"{run.path} was started by another version of glassmill: continue it with that one, {again}")
    if saved["dtype"] != setup.device.dtype:
        types = f"was started with dtype = {saved['dtype']}, and here it is {setup.device.dtype}"
        raise UserError(f"{run.path} {types}: continue as it was started, {again}")
    return Plan.from_json(saved)


def moved_plan(run: RunFolder, plan: Plan, setup: Setup, done: int) -> Plan:
    """The plan for this machine and these processes, which continue after `done` steps; says what may differ."""
    facts = setup.facts()
    before = plan.facts()
    if facts == before:
        return plan
    changed = [name for name in facts if facts[name] != before[name]]
    if done:
        was, now = (", ".join(f"{name} = {some[name]}" for name in changed) for some in (before, facts))
        run.emit(
            kinds.Warned(
                f"the first {done:,} steps were computed with {was}, from here on with {now}: the same samples in the "
                "same order, but sums are rounded differently, so the weights will differ in their last digits from "
                "those of a run that was not moved"
            )
        )
    earlier = (*plan.earlier, {**before, "until": done}) if done else plan.earlier
    moved = replace(plan, **facts, earlier=earlier)  # type: ignore[arg-type]
    write_plan(run, moved)
    return moved


def write_plan(run: RunFolder, plan: Plan) -> None:
    """Write the plan down, whole or not at all."""
    run.write_json(PLAN, {"asked": run.identity.asked, "steps": plan.steps, **asdict(plan)})


def cut_plan(run: RunFolder, plan: Plan, done: int, steps: int, box_s: float) -> Plan:
    """The plan with a cut after `done` steps to `steps` in all, written down; the first one is told."""
    if not plan.cuts:
        run.emit(
            kinds.Note(
                f"this machine is slower than planned: about {steps:,} steps instead of {plan.planned:,} fit into "
                f"{box_s / 60:g} minutes; the learning rate falls from here on"
            )
        )
    shorter = replace(plan, cuts=(*plan.cuts, (done, steps)))
    write_plan(run, shorter)
    return shorter


def make_plan(
    run: RunFolder,
    settings: LoopSettings,
    setup: Setup,
    deadline: Deadline,
    trial: Callable[[], Callable[[int], object]],
    report_tokens: int = 0,
    agree: Callable[[bool], bool] = bool,
) -> Plan:
    """Decide the number of steps and write it down.

    Args:
        settings: The number of steps, or a time box, for which the speed is measured.
        deadline: Its clock; what measuring takes is part of the box.
        trial: Makes a throw-away run, of which it gives step i.
        report_tokens: Held-out tokens that a report reads.
        agree: Of several ranks' answers, the one that all of them follow.

    Raises:
        UserError: neither minutes nor steps are given.
    """
    steps, seconds, reports = settings.steps, 0.0, 0
    if steps is None and settings.minutes is not None:
        run.emit(kinds.Note("measuring the speed, to see how many steps fit into the time box"))
        seconds = _step_seconds(trial(), settings.measure_seconds, 0.1 * deadline.box, agree)
        report_seconds = FORWARD_SHARE * seconds * report_tokens / settings.batch_tokens
        reports = min(settings.reports, max(1, int(REPORTS_SHARE * deadline.box / max(report_seconds, 1e-9))))
        steps = max(1, int((deadline.left() - (1 - MARGIN) * deadline.box - reports * report_seconds) / seconds))
        if reports < settings.reports:
            run.emit(
                kinds.Note(
                    f"held-out text takes about {report_seconds:.0f} s: it is measured {reports} "
                    f"time{'s' * (reports > 1)} in this time box, not {settings.reports}"
                )
            )
    if steps is None:
        raise UserError("neither minutes nor steps are set: set one of the two, or both")
    plan = Plan(planned=steps, step_seconds=round(seconds, 6), reports=reports, **setup.facts())  # type: ignore[arg-type]
    write_plan(run, plan)
    return plan


def _step_seconds(
    trial_step: Callable[[int], object], budget: float, most: float, agree: Callable[[bool], bool]
) -> float:
    """Median seconds of a step after the first, which warms up, from as many steps as `budget` seconds allow; of the
    first, where a second one would take longer than `most` seconds in all."""
    begin, times = time.perf_counter(), list[float]()

    def go_on() -> bool:
        spent = time.perf_counter() - begin
        return not times or spent < min(budget, most) or (len(times) == 1 and 2 * spent < most)

    while agree(go_on()):
        start = time.perf_counter()
        trial_step(len(times))
        times.append(time.perf_counter() - start)
    return median(times[1:] or times)
