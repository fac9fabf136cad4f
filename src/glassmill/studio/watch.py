"""Follow the runs folder: which lines there are, and what their stages have written since the last look.

Reads `runs/lines/*.json` and `runs/<stage>/<run>/events.jsonl`, which other processes write at the same time; writes
nothing. A half-written last line waits for its rest, a damaged one is reported and passed over. A position in a line is
the byte offset in every events file, so a browser that comes back says where it stood and the server remembers nothing.
"""

from __future__ import annotations

import json
import math
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glassmill.stages import NAMES as STAGES
from glassmill.studio.history import Event, History

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 18
MAX_LINE_FILE_BYTES = 1 << 20
MAX_HISTORIES = 64
FINISHED = ("done", "skipped")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_RUN = re.compile(r"(.+)-[0-9a-f]{6,64}")

Position = dict[str, int]


@dataclass(frozen=True, slots=True)
class Update:
    """What a page must be told: the line's stages, new events, runs to forget first, and where it now stands."""

    line: dict[str, Any]
    events: list[Event]
    position: Position
    forget: list[str] = field(default_factory=list)


class Watcher:
    """Looks into one runs folder; safe to use from several threads."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs.resolve()
        self._histories: dict[str, tuple[History, int]] = {}
        self._lock = threading.Lock()

    def lines(self) -> list[dict[str, Any]]:
        """All lines, the newest first: `{name, recipe, status, started, report}`; `report` is a finished eval run."""
        names = {path.stem for path in (self.runs / "lines").glob("*.json") if is_name(path.stem)}
        loose = {name for run in self._runs_on_disk() if (name := _recipe_name(run))}
        lines = [line for name in names | loose if (line := self.line(name)) is not None]
        lines.sort(key=lambda line: (-float(line.get("started") or 0), line["name"]))
        return [
            {**{key: line.get(key) for key in ("name", "recipe", "status", "started")}, "report": _finished_eval(line)}
            for line in lines
        ]

    def line(self, name: str) -> dict[str, Any] | None:
        """The stages of line `name` with their runs and states; None when there is no such line.

        Runs made one command at a time have no line file: they form a line of their newest runs.
        """
        if not is_name(name):
            return None
        written = _read_json(self.runs / "lines" / f"{name}.json")
        if written is None:
            return self._line_of_loose_runs(name)
        stages = [
            {"stage": entry["stage"], "status": str(entry.get("status")), "run": self._known_run(entry.get("run"))}
            for entry in written.get("stages") or []
            if isinstance(entry, dict) and entry.get("stage") in STAGES
        ]
        return {**written, "name": name, "stages": stages}

    def run_folder(self, run: str) -> Path | None:
        """The folder of `run` ("corpus/demo-3f9a1c"), or None if the name is not one or leads out of the runs."""
        stage, _, name = run.partition("/")
        if stage not in STAGES or not is_name(name):
            return None
        folder = (self.runs / stage / name).resolve()
        return folder if folder.is_relative_to(self.runs) and folder.is_dir() else None

    def line_of_model(self, model: Path) -> str | None:
        """The line that `model` (a model folder, or the run with one inside) came out of."""
        folder = model.resolve()
        places = {folder, folder.parent}
        for name in (line["name"] for line in self.lines()):
            runs = [entry["run"] for entry in (self.line(name) or {"stages": []})["stages"] if entry["run"]]
            if any(self.run_folder(run) in places for run in runs):
                return str(name)
        return None

    def _known_run(self, run: Any) -> str | None:
        return run if isinstance(run, str) and self.run_folder(run) is not None else None

    def look(self, name: str, position: Position | None = None) -> Update | None:
        """What happened in line `name` since `position` (None: everything worth telling); None when it is unknown."""
        line = self.line(name)
        if line is None:
            return None
        update = Update(line, [], {})
        for entry in line["stages"]:
            run = entry.get("run")
            folder = self.run_folder(run) if run else None
            if run and folder is not None:
                self._look_at_run(run, folder / "events.jsonl", (position or {}).get(run), update)
        return update

    def _look_at_run(self, run: str, path: Path, offset: int | None, update: Update) -> None:
        size = path.stat().st_size if path.is_file() else 0
        if offset is None or not 0 <= offset <= size or size - offset > CHUNK_BYTES:
            events, update.position[run] = self._recall(run, path, size)
            update.forget.append(run)
        else:
            events, update.position[run] = read_events(path, offset)
        stage = run.partition("/")[0]
        update.events.extend({**event, "stage": stage, "run": run} for event in events)

    def _recall(self, run: str, path: Path, size: int) -> tuple[list[Event], int]:
        """The remembered events of a run, read on to the end of its file first."""
        with self._lock:
            history, offset = self._histories.pop(run, (History(), 0))
            if offset > size:
                history, offset = History(), 0
            while True:
                events, after = read_events(path, offset)
                if after == offset:
                    break
                for event in events:
                    history.add(event)
                offset = after
            self._histories[run] = (history, offset)
            while len(self._histories) > MAX_HISTORIES:
                self._histories.pop(next(iter(self._histories)))
            return history.events(), offset

    def _runs_on_disk(self) -> list[str]:
        return [
            f"{stage}/{folder.name}"
            for stage in STAGES
            if (self.runs / stage).is_dir()
            for folder in (self.runs / stage).iterdir()
            if is_name(folder.name) and (folder / "events.jsonl").is_file()
        ]

    def _line_of_loose_runs(self, name: str) -> dict[str, Any] | None:
        newest: dict[str, tuple[float, str]] = {}
        for run in self._runs_on_disk():
            if _recipe_name(run) != name:
                continue
            stage = run.partition("/")[0]
            touched = (self.runs / run / "events.jsonl").stat().st_mtime
            newest[stage] = max(newest.get(stage, (0.0, "")), (touched, run))
        if not newest:
            return None
        stages = [
            {"stage": stage, "run": newest[stage][1], "status": self._status_on_disk(newest[stage][1])}
            if stage in newest
            else {"stage": stage, "run": None, "status": "waiting"}
            for stage in STAGES
        ]
        done = all(entry["status"] == "done" for entry in stages if entry["run"])
        started = max(touched for touched, _ in newest.values())
        return {
            "name": name,
            "recipe": name,
            "status": "done" if done else "running",
            "started": started,
            "stages": stages,
        }

    def _status_on_disk(self, run: str) -> str:
        return "done" if (self.runs / run / "DONE").exists() else "running"


def is_name(name: str) -> bool:
    """Whether `name` may be one part of a path: letters, digits, `.`, `_`, `-`, and no dot first."""
    return _NAME.fullmatch(name) is not None


def read_events(path: Path, offset: int) -> tuple[list[Event], int]:
    """The complete lines of `path` from byte `offset` on, at most one chunk, and the offset after them."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return [], offset
    end = chunk.rfind(b"\n") + 1
    if end == 0 and len(chunk) == CHUNK_BYTES:  # one line longer than a chunk: nothing of ours, pass over it
        return [_unreadable(offset)], offset + len(chunk)
    events: list[Event] = []
    for line in chunk[:end].splitlines():
        if line.strip():
            events.append(_parse(line, offset))
    return events, offset + end


def parse_json(text: bytes) -> Any:
    """The value of `text`; a number that JSON cannot pass on (NaN, infinity) becomes None.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(text, parse_constant=lambda _: None, parse_float=_finite)


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _parse(line: bytes, offset: int) -> Event:
    try:
        event = parse_json(line) if len(line) <= MAX_LINE_BYTES else None
    except (ValueError, RecursionError):
        event = None
    return event if isinstance(event, dict) else _unreadable(offset)


def _unreadable(offset: int) -> Event:
    return {"kind": "warning", "text": f"events.jsonl: an unreadable line near byte {offset} was passed over"}


def _finished_eval(line: dict[str, Any]) -> str | None:
    done = (entry["run"] for entry in line["stages"] if entry["stage"] == "eval" and entry["status"] in FINISHED)
    return next(done, None)


def _read_json(path: Path) -> dict[str, Any] | None:
    """A small JSON object, or None if there is none (a line file is replaced atomically, so none is half-written)."""
    try:
        with path.open("rb") as file:
            value = parse_json(file.read(MAX_LINE_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _recipe_name(run: str) -> str | None:
    """`demo` of `corpus/demo-3f9a1c`."""
    match = _RUN.fullmatch(run.partition("/")[2])
    return match[1] if match and is_name(match[1]) else None
