"""A bounded memory of a run's events: what a page that opens late must be told.

Events come in, in order, any number of them; at most a few thousand go out, in the same order. Of a curve every n-th
point is kept, of examples the newest few per rule, of everything that replaces itself (progress, counts) the last.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

Event = dict[str, Any]

MAX_SLOTS = 1000
NEWEST = {"example": 4, "merge": 240, "note": 50, "answer": 50, "warning": 50, "error": 5}
SERIES = {"metric": 1200, "validation": 400, "sample": 48}
KEY_FIELDS = {
    "funnel": ("step",),
    "example": ("step", "rule", "kept"),
    "sample": ("prompt",),
    "score": ("name",),
}


class _Slot(Protocol):
    """A place where events of one kind, about one thing, are kept."""

    def add(self, number: int, event: Event) -> None: ...
    def numbered(self) -> list[tuple[int, Event]]: ...


class _Newest:
    """The newest `limit` events."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[tuple[int, Event]] = deque(maxlen=limit)

    def add(self, number: int, event: Event) -> None:
        self._kept.append((number, event))

    def numbered(self) -> list[tuple[int, Event]]:
        return list(self._kept)


class _Series:
    """Every n-th event, evenly over the whole curve, and the newest; `n` doubles whenever `limit` is reached."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stride = 1
        self._seen = 0
        self._kept: list[tuple[int, Event]] = []
        self._newest: tuple[int, Event] | None = None

    def add(self, number: int, event: Event) -> None:
        self._newest = (number, event)
        if self._seen % self._stride == 0:
            self._kept.append(self._newest)
            if len(self._kept) > self._limit:
                self._kept = self._kept[::2]
                self._stride *= 2
        self._seen += 1

    def numbered(self) -> list[tuple[int, Event]]:
        if self._newest is None or (self._kept and self._kept[-1] is self._newest):
            return list(self._kept)
        return [*self._kept, self._newest]


class History:
    """What is remembered of one run."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, ...], _Slot] = {}
        self._count = 0

    def add(self, event: Event) -> None:
        """Remember `event`; an older one of its kind may be forgotten for it."""
        kind = str(event.get("kind", ""))
        key = (kind, *(str(event.get(field)) for field in KEY_FIELDS.get(kind, ())))
        slot = self._slots.get(key)
        if slot is None:
            if len(self._slots) >= MAX_SLOTS:
                return
            slot = _Series(SERIES[kind]) if kind in SERIES else _Newest(NEWEST.get(kind, 1))
            self._slots[key] = slot
        slot.add(self._count, event)
        self._count += 1

    def events(self) -> list[Event]:
        """The remembered events, oldest first."""
        numbered = [entry for slot in self._slots.values() for entry in slot.numbered()]
        return [event for _, event in sorted(numbered, key=lambda entry: entry[0])]
