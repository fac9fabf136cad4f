"""A bounded summary of a run's events, for a page that opens late.

Takes any number of events in order and keeps at most a few thousand, in the same order: every n-th point of a curve,
the newest few examples per rule, and the last of whatever replaces itself (progress, counts).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Protocol

from glassmill.run import kinds
from glassmill.run.events import Entry

MAX_SLOTS = 1000
NEWEST: dict[type[kinds.Event], int] = {
    kinds.Example: 4,
    kinds.Merge: 240,
    kinds.Note: 50,
    kinds.Answer: 50,
    kinds.Warned: 50,
    kinds.Unknown: 50,
    kinds.Failed: 5,
}
"""How many of a kind are kept in one slot; of any other kind, the last."""
SERIES: dict[type[kinds.Event], int] = {
    kinds.Metric: 1200,
    kinds.Norms: 400,
    kinds.Validation: 400,
    kinds.Score: 400,
    kinds.Sample: 48,
    kinds.Rollouts: 48,
}
"""Kinds that are points of a curve, and how many points are kept."""
UNSENT = kinds.Window
"""What the page asks for where it shows it (`windows.py`), and no curve needs."""


class _Slot(Protocol):
    """Keeps events of one kind about one thing."""

    def add(self, number: int, entry: Entry) -> None: ...
    def numbered(self) -> list[tuple[int, Entry]]: ...


class _Newest:
    """The newest `limit` events."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[tuple[int, Entry]] = deque(maxlen=limit)

    def add(self, number: int, entry: Entry) -> None:
        self._kept.append((number, entry))

    def numbered(self) -> list[tuple[int, Entry]]:
        return list(self._kept)


class _Series:
    """Every n-th event, evenly over the whole curve, and the newest; `n` doubles whenever `limit` is reached."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stride = 1
        self._seen = 0
        self._kept: list[tuple[int, Entry]] = []
        self._newest: tuple[int, Entry] | None = None

    def add(self, number: int, entry: Entry) -> None:
        self._newest = (number, entry)
        if self._seen % self._stride == 0:
            self._kept.append(self._newest)
            if len(self._kept) > self._limit:
                self._kept = self._kept[::2]
                self._stride *= 2
        self._seen += 1

    def numbered(self) -> list[tuple[int, Entry]]:
        if self._newest is None or (self._kept and self._kept[-1] is self._newest):
            return list(self._kept)
        return [*self._kept, self._newest]


class History:
    """The events that are kept of one run."""

    def __init__(self) -> None:
        self._slots: dict[tuple[Hashable, ...], _Slot] = {}
        self._count = 0

    def add(self, entry: Entry) -> None:
        """Keeps `entry`, and may drop an older one about the same thing."""
        if isinstance(entry.event, UNSENT):
            return
        kind = type(entry.event)
        key = (entry.event.kind, *_about(entry.event))
        slot = self._slots.get(key)
        if slot is None:
            if len(self._slots) >= MAX_SLOTS:
                return
            slot = _Series(SERIES[kind]) if kind in SERIES else _Newest(NEWEST.get(kind, 1))
            self._slots[key] = slot
        slot.add(self._count, entry)
        self._count += 1

    def entries(self) -> list[Entry]:
        """The kept events, oldest first."""
        numbered = [pair for slot in self._slots.values() for pair in slot.numbered()]
        return [entry for _, entry in sorted(numbered, key=lambda pair: pair[0])]


def _about(event: kinds.Event) -> tuple[Hashable, ...]:
    """What the event is about, among those of its kind: each such thing has a slot of its own."""
    match event:
        case kinds.Funnel():
            return (event.step,)
        case kinds.Example():
            return event.step, event.rule, event.kept
        case kinds.Sample():
            return (event.prompt,)
        case kinds.Score():
            return (event.name,)
        case _:
            return ()
