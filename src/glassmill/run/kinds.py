"""The kinds of events: everything that a run can say while it works, one frozen class a kind.

A kind's class names its fields and their units; `to_json` and `from_json` carry it over pipes, files and the page's
stream. Writers use this module as a whole, `run.emit(kinds.Progress(done=3, total=8, unit="shards"))`; readers use
`match event: case kinds.Progress(): ...`. The page's types are generated from it (`scripts/event_types.py`).

JSON has no NaN: null stands for a number that is not finite. Unknown fields are dropped on reading, missing ones take
their default; what still fits no kind becomes `Unknown`, so a reader never fails on another version's file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, get_args, get_type_hints


@dataclass(frozen=True, slots=True)
class Start:
    """A process starts or continues the run."""

    kind: ClassVar[str] = "start"
    run: str
    digest: str


@dataclass(frozen=True, slots=True)
class Done:
    """The run is finished; `seconds` is the time since this process started it."""

    kind: ClassVar[str] = "done"
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The process stops with an error; the same command continues the run."""

    kind: ClassVar[str] = "error"
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for people."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """A sentence that people should read: the run continues, but something is not as they may expect."""

    kind: ClassVar[str] = "warning"
    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A line that this version cannot read: damaged, or written by another version. Never emitted."""

    kind: ClassVar[str] = "unknown"
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the stage's work is done, counted in `unit`s; no `total` where nobody knows it yet."""

    kind: ClassVar[str] = "progress"
    done: int
    total: int | None = None
    unit: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What training is going to do; `minutes` is 0 where the recipe gives the steps."""

    kind: ClassVar[str] = "plan"
    steps: int
    parameters: int
    tokens: int
    minutes: float
    flops: float
    threads: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Metric:
    """Where training is: `loss` is the mean since the last metric, in nats a token; `peak_share` of the matrix peak."""

    kind: ClassVar[str] = "metric"
    step: int
    steps: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    tokens_per_s: float
    seconds_left: float
    peak_share: float | None = None


@dataclass(frozen=True, slots=True)
class Norms:
    """What a step did to each group of weights: the gradient's norm; the update's norm over that of the weights."""

    kind: ClassVar[str] = "norms"
    step: int
    gradients: Mapping[str, float]
    updates: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Validation:
    """Bits per byte on held-out text after `step` steps."""

    kind: ClassVar[str] = "validation"
    step: int
    bits_per_byte: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What the model writes after `prompt`, after `step` steps."""

    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """What each token of the first window cost that step `step` + 1 reads, in nats, after `step` steps."""

    kind: ClassVar[str] = "window"
    step: int
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Answers to one prompt that `rl` drew: rewards, and by how many standard deviations they beat the group's."""

    kind: ClassVar[str] = "rollouts"
    step: int
    prompt: str
    texts: tuple[str, ...]
    rewards: tuple[float, ...]
    advantages: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """A named number of the report; `step` where it is measured during training."""

    kind: ClassVar[str] = "score"
    name: str
    value: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The finished model's answer to a question of the examination."""

    kind: ClassVar[str] = "answer"
    question: str
    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge of the vocabulary: token `rank` is `left` and `right` joined, `count` times in the training text."""

    kind: ClassVar[str] = "merge"
    rank: int
    left: str
    right: str
    token: str
    count: int
    left_id: int
    right_id: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """One step of the corpus so far: documents in and out, how many each rule dropped; characters from `extract` on."""

    kind: ClassVar[str] = "funnel"
    step: str
    documents_in: int = field(metadata={"json": "in"})
    documents_out: int = field(metadata={"json": "out"})
    dropped: Mapping[str, int]
    quarantined: int = 0
    characters_in: int = 0
    characters_out: int = 0
    dropped_characters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Example:
    """A page that was just judged. `step` to `detail` say why it was dropped, and are empty for a page kept so far."""

    kind: ClassVar[str] = "example"
    url: str
    kept: bool
    text: str
    step: str = ""
    rule: str = ""
    value: float = 0.0
    bound: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """From a worker to its stage: how far shard `shard` is (`offset` in bytes, None at its end), and its counts."""

    kind: ClassVar[str] = "shard"
    shard: int
    offset: int | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Alive:
    """From a worker to its supervisor: it works on something that takes long."""

    kind: ClassVar[str] = "alive"


Event = (
    Start | Done | Failed | Note | Warned | Unknown | Progress | Plan | Metric | Norms | Validation | Sample | Window
    | Rollouts | Score | Answer | Merge | Funnel | Example | ShardProgress | Alive
)  # fmt: skip
KINDS: dict[str, type[Event]] = {kind.kind: kind for kind in get_args(Event)}


def to_json(event: Event) -> dict[str, object]:
    """`kind` and all fields."""
    return {"kind": event.kind, **fields_of(event)}


def fields_of(event: Event) -> dict[str, object]:
    """The fields alone, under their names in JSON and in the order of the class."""
    return {column.name: _finite(getattr(event, column.attribute)) for column in COLUMNS[event.kind]}


def from_json(value: object) -> Event:
    """The event that `to_json` wrote, or `Unknown`."""
    if not isinstance(value, Mapping):
        return Unknown("not an event")
    name = value.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        return Unknown(f"unknown kind of event: {str(name)[:40]!r}")
    given: dict[str, object] = {}
    for column in COLUMNS[name]:
        if column.name in value:
            try:
                given[column.attribute] = column.parse(value[column.name])
            except ValueError:
                return Unknown(f"{name}: unexpected value of {column.name}: {str(value[column.name])[:40]!r}")
        elif column.required:
            return Unknown(f"{name}: {column.name} is missing")
    return KINDS[name](**given)  # type: ignore[arg-type]


# --- fields -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a kind: its names in JSON and in Python, its type, and what makes its value from JSON's."""

    name: str
    attribute: str
    hint: object
    required: bool
    parse: Callable[[object], object]


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [_finite(one) for one in value]
    return {name: _finite(one) for name, one in value.items()} if isinstance(value, Mapping) else value


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError


def _whole_or_none(value: object) -> int | None:
    return None if value is None else _whole(value)


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        raise ValueError from None


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _numbers(value: object) -> dict[str, float]:
    if isinstance(value, Mapping):
        return {_string(name): _number(number) for name, number in value.items()}
    raise ValueError


def _listed(parse: Callable[[object], object]) -> Callable[[object], object]:
    def listed(value: object) -> tuple[object, ...]:
        if isinstance(value, list | tuple):
            return tuple(parse(one) for one in value)
        raise ValueError

    return listed


def _counts(value: object) -> dict[str, int]:
    if isinstance(value, Mapping):
        return {_string(name): _whole(count) for name, count in value.items()}
    raise ValueError


_PARSERS: dict[object, Callable[[object], object]] = {
    str: _string,
    bool: _truth,
    int: _whole,
    int | None: _whole_or_none,
    float: _number,
    float | None: _number_or_none,
    Mapping[str, int]: _counts,
    Mapping[str, float]: _numbers,
    tuple[str, ...]: _listed(_string),
    tuple[float, ...]: _listed(_number),
}


def _columns(kind: type[Event]) -> tuple[Column, ...]:
    hints = get_type_hints(kind)
    return tuple(
        Column(str(one.metadata.get("json", one.name)), one.name, hint, _is_needed(one), _PARSERS[hint])
        for one in fields(kind)
        for hint in [hints[one.name]]
    )


def _is_needed(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


COLUMNS: dict[str, tuple[Column, ...]] = {name: _columns(kind) for name, kind in KINDS.items()}
"""Kind -> its fields."""
