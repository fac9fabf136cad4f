"""What happens in a run, one JSON object a line; the terminal and the studio draw the same events.

An event has `t` (seconds since 1970), `stage`, `kind`, and the fields of its kind. Events are for people: they may
carry times and speeds, they are no artefact, and losing the last one in a power cut loses nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Listener = Callable[[Event], None]


class EventLog:
    """Appends events to `path` and hands each to the listeners."""

    def __init__(self, path: Path, stage: str, listeners: tuple[Listener, ...] = ()) -> None:
        self.stage = stage
        self.listeners = listeners
        torn = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
        self._file = path.open("a", encoding="utf-8")
        if torn:  # a kill in the middle of a write: close that line, so that it is the only one lost
            self._file.write("\n")

    def emit(self, kind: str, **fields: Any) -> None:
        """Writes one event. Values are JSON; a lone surrogate in a page's text is written as an escape."""
        event: Event = {"t": round(time.time(), 3), "stage": self.stage, "kind": kind, **fields}
        self._file.write(json.dumps(event, separators=(",", ":")) + "\n")
        self._file.flush()
        for listener in self.listeners:
            listener(event)

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> Iterator[Event]:
    """The events of a run, in order; a torn line is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(event, dict):
                yield event
