"""What happens in a run, one JSON object a line; the terminal and the studio draw the same events.

A line has `t` (seconds since 1970), `stage`, `kind`, and the fields of its kind (`glassmill.run.kinds`). Events are for
people: they may carry times and speeds, they are not artefacts, and a power cut may lose the last one.

A reader may be at work while another process writes: a half-written last line waits for its rest, a damaged one becomes
`kinds.Unknown`, and a position in the file is a byte offset.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from glassmill.run.kinds import Event, Unknown, from_json, to_json

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 18
MAX_TIME_S = 1e12


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an events file: `event` at `time_s` seconds since 1970 (0 where the line names none) in `stage`."""

    time_s: float
    stage: str
    event: Event

    def to_json(self) -> dict[str, object]:
        """The object as written to the file."""
        return {"t": self.time_s, "stage": self.stage, **to_json(self.event)}


Listener = Callable[[Entry], None]


class EventLog:
    """Appends events to `path` and hands each to the listeners."""

    def __init__(self, path: Path, stage: str, listeners: tuple[Listener, ...] = ()) -> None:
        self.stage = stage
        self.listeners = listeners
        torn = _is_torn(path)
        self._file = path.open("a", encoding="utf-8")
        if torn:  # a kill in the middle of a write: close that line, so that it is the only one lost
            self._file.write("\n")

    def emit(self, event: Event) -> None:
        """Writes one event. A lone surrogate in a page's text is written as an escape."""
        entry = Entry(round(time.time(), 3), self.stage, event)
        self._file.write(json.dumps(entry.to_json(), separators=(",", ":"), allow_nan=False) + "\n")
        self._file.flush()
        for listener in self.listeners:
            listener(entry)

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> Iterator[Entry]:
    """All complete lines of `path`, in order; none where there is no file."""
    offset = 0
    while True:
        entries, after = read_chunk(path, offset)
        if after == offset:
            return
        yield from entries
        offset = after


def read_chunk(path: Path, offset: int, num_bytes: int = CHUNK_BYTES) -> tuple[list[Entry], int]:
    """The complete lines of `path` from byte `offset` on, at most `num_bytes` of them, and the offset after them.

    The offset stays the same at the end of the file, and before a line that is not complete yet.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(num_bytes)
    except FileNotFoundError:
        return [], offset
    end = chunk.rfind(b"\n") + 1
    if end == 0 and len(chunk) == num_bytes:  # one line longer than a chunk: not written by us, skip it
        return [_unreadable(offset)], offset + len(chunk)
    return [_parse(line, offset) for line in chunk[:end].split(b"\n") if line.strip()], offset + end


def parse_json(text: bytes) -> object:
    """The value of `text`; a number that JSON cannot pass on (NaN, infinity) becomes None.

    Raises:
        ValueError: it is not JSON.
    """
    value: object = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    return value


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _parse(line: bytes, offset: int) -> Entry:
    try:
        value = parse_json(line) if len(line) <= MAX_LINE_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return _unreadable(offset)
    seconds, stage = value.get("t"), value.get("stage")
    if not isinstance(seconds, int | float) or abs(seconds) > MAX_TIME_S:
        seconds = 0.0
    return Entry(seconds, stage if isinstance(stage, str) else "", from_json(value))


def _unreadable(offset: int) -> Entry:
    return Entry(0.0, "", Unknown(f"events.jsonl: skipped an unreadable line near byte {offset}"))


def _is_torn(path: Path) -> bool:
    """Whether the last line of `path` has no end."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
