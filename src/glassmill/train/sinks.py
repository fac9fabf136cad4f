"""Where a training's numbers go besides `events.jsonl`: a table, TensorBoard, Trackio, Weights & Biases.

    train.log = ["csv"]   ->  metrics.csv, one row an event: its step, and those of its numbers that have a column
    "tensorboard"         ->  logs/tensorboard, for `tensorboard --logdir runs`
    "trackio", "wandb"    ->  the project "glassmill", under the run's name; wandb's files in logs/

Nothing of it is an artefact. A run that was cut off and continued takes some steps again: of the rows of one step the
last one counts, TensorBoard is told to forget the rest.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from glassmill.errors import UserError
from glassmill.recipe import LoopSettings, Recipe
from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.run.finished import LOGS
from glassmill.run.folder import RunFolder

GROUPS = ("embeddings", "attention", "feed-forward", "norms", "head")
COLUMNS = (
    "step", "loss", "lr", "grad_norm", "tokens", "tokens_per_s", "peak_share", "bits_per_byte", "held_out_loss",
    *(f"{what}/{group}" for what in ("gradient", "update") for group in GROUPS),
)  # fmt: skip
LIBRARIES = {"tensorboard": ("tensorboard", "tensorboardX"), "trackio": ("trackio",), "wandb": ("wandb",)}
"""What a sink needs: any one of these packages."""
PROJECT = "glassmill"

Write = Callable[[int, Mapping[str, float]], object]
"""Takes the step and its numbers."""


def check_sinks(recipe: Recipe, stages: Sequence[str]) -> None:
    """Raises UserError where a training of these stages is to log to what is not installed."""
    for stage in stages:
        for name in getattr(getattr(recipe, stage), "log", ()):
            packages = LIBRARIES.get(name, ())
            if packages and not any(map(importlib.util.find_spec, packages)):
                raise UserError(f"{stage}.log names {name}, which is not installed: pip install {packages[0]}")


@contextmanager
def logging(run: RunFolder, settings: LoopSettings, begin: int) -> Iterator[None]:
    """Pass on the numbers of all events of `run` in here, which continues after `begin` steps.

    Raises:
        UserError: a library refuses to start, for want of a login for example.
    """
    with ExitStack() as stack:
        writers = [stack.enter_context(SINKS[name](run, settings, begin)) for name in dict.fromkeys(settings.log)]

        def listen(entry: Entry) -> None:
            step, numbers = numbers_of(entry.event)
            for write in writers if numbers else ():
                write(step, numbers)

        if writers:
            stack.enter_context(run.heard_by(listen))
        yield


def numbers_of(event: kinds.Event) -> tuple[int, dict[str, float]]:
    """The step and the numbers of an event; no numbers where it has none.

    >>> numbers_of(kinds.Validation(8, 1.5))
    (8, {'bits_per_byte': 1.5})
    """
    match event:
        case kinds.Metric():
            named = {name: getattr(event, name) for name in COLUMNS[1:7]}
            return event.step, {name: value for name, value in named.items() if value is not None}
        case kinds.Norms(step, gradients, updates):
            both = (("gradient", gradients), ("update", updates))
            return step, {f"{what}/{group}": value for what, some in both for group, value in some.items()}
        case kinds.Validation(step, bits_per_byte):
            return step, {"bits_per_byte": bits_per_byte}
        case kinds.Score(name, value, step) if step is not None:
            return step, {name: value}
        case _:
            return 0, {}


@contextmanager
def _csv(run: RunFolder, settings: LoopSettings, begin: int) -> Iterator[Write]:
    path = run.path / "metrics.csv"
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        if is_new:
            rows.writeheader()

        def write(step: int, numbers: Mapping[str, float]) -> None:
            rows.writerow({"step": step, **numbers})
            file.flush()

        yield write


@contextmanager
def _tensorboard(run: RunFolder, settings: LoopSettings, begin: int) -> Iterator[Write]:
    ours = "torch.utils.tensorboard" if importlib.util.find_spec("tensorboard") else "tensorboardX"
    folder = run.path / LOGS / "tensorboard"
    writer = importlib.import_module(ours).SummaryWriter(str(folder), purge_step=begin + 1 if begin else None)
    try:

        def write(step: int, numbers: Mapping[str, float]) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)

        yield write
    finally:
        writer.close()


def _hosted(name: str) -> Callable[[RunFolder, LoopSettings, int], Any]:
    """Trackio and Weights & Biases, which have the same functions."""

    @contextmanager
    def sink(run: RunFolder, settings: LoopSettings, begin: int) -> Iterator[Write]:
        given: dict[str, Any] = {"project": PROJECT, "name": run.path.name, "resume": "allow"}
        given["config"] = settings.model_dump(mode="json")
        if name == "wandb":
            (run.path / LOGS).mkdir(exist_ok=True)
            given |= {"dir": str(run.path / LOGS), "id": f"{run.stage}-{run.identity.digest[:16]}"}
        try:
            library = importlib.import_module(name)
            library.init(**given)
        except Exception as error:
            raise UserError(f"{run.stage}.log = {name}: it does not start ({error})") from None
        try:
            yield lambda step, numbers: library.log(dict(numbers), step=step)
        finally:
            library.finish()

    return sink


SINKS: Mapping[str, Callable[[RunFolder, LoopSettings, int], Any]] = {
    "csv": _csv,
    "tensorboard": _tensorboard,
    "trackio": _hosted("trackio"),
    "wandb": _hosted("wandb"),
}
