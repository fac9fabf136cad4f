"""Follows the runs folder: which lines it holds, and what their stages have written since the last look.

Reads `runs/lines/*.json` and `runs/<stage>/<run>/events.jsonl` while other processes write them; writes nothing. A
position in a line is the byte offset in each of its events files: a browser that reconnects sends its position, and the
server keeps no state for it.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, cast, get_args

from glassmill.run.events import CHUNK_BYTES, Entry, parse_json, read_chunk
from glassmill.run.files import is_held
from glassmill.run.finished import is_done
from glassmill.run.states import FINISHED, StageState, State, lock_of
from glassmill.stages import NAMES, STAGES
from glassmill.studio.history import UNSENT, History

MAX_LINE_FILE_BYTES = 1 << 20
MAX_HISTORIES = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_RUN = re.compile(r"(.+)-[0-9a-f]{6,64}")

Position = dict[str, int]
"""Run -> byte offset in its events file."""


class Line(TypedDict):
    """One line with its stages; `started` in seconds since 1970, `model` a model folder relative to the runs."""

    name: str
    recipe: str
    status: State
    started: float | None
    stages: list[StageState]
    model: str | None
    error: str | None


class ListedLine(TypedDict):
    """One line in the list of all; `report` is its finished eval run."""

    name: str
    recipe: str
    status: State
    started: float | None
    report: str | None


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One event of `run` ("corpus/demo-3f9a1c")."""

    run: str
    entry: Entry

    def to_json(self) -> dict[str, object]:
        """What the page gets: the line of the file, with the stage that the run's folder names."""
        return {**self.entry.to_json(), "stage": self.run.partition("/")[0], "run": self.run}


@dataclass(frozen=True, slots=True)
class Update:
    """News for a page: the line's stages, runs to forget first, new events, and the position after them."""

    line: Line
    events: list[RunEvent]
    position: Position
    forget: list[str] = field(default_factory=list)


KILLED = "its process is gone; run the same command again to continue"


class Watcher:
    """Reads one runs folder; safe to use from several threads."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs.resolve()
        self._histories: dict[str, tuple[History, int]] = {}
        self._lock = threading.Lock()

    def lines(self) -> list[ListedLine]:
        """All lines, newest first."""
        names = {path.stem for path in (self.runs / "lines").glob("*.json") if is_name(path.stem)}
        loose = {name for run in self._loose_runs() if (name := _recipe_name(run))}
        lines = [line for name in names | loose if (line := self.line(name)) is not None and _is_there(line)]
        lines.sort(key=lambda line: (-(line["started"] or 0.0), line["name"]))
        return [
            {
                "name": line["name"],
                "recipe": line["recipe"],
                "status": line["status"],
                "started": line["started"],
                "report": _finished_eval(line),
            }
            for line in lines
        ]

    def line(self, name: str) -> Line | None:
        """Line `name` with its stages; None if there is none.

        Runs made one command at a time have no line file: the newest run of each stage forms a line.
        """
        if not is_name(name):
            return None
        written = _read_json(self.runs / "lines" / f"{name}.json")
        if written is None:
            return self._line_of_loose_runs(name)
        entries = written.get("stages")
        stages: list[StageState] = [
            self._stage(entry["stage"], entry)
            for entry in _list(entries)
            if isinstance(entry, dict) and entry.get("stage") in NAMES
        ]
        status, error = _state(written.get("status"), "running"), _text(written.get("error"))
        lock = lock_of(self.runs / "lines" / f"{name}.json")
        if status == "running" and lock.is_file() and not is_held(lock):
            status, error = "failed", KILLED
            stages = [{**stage, "status": _ended(stage["status"])} for stage in stages]
        return {
            "name": name,
            "recipe": _text(written.get("recipe")) or name,
            "status": status,
            "started": _seconds(written.get("started")),
            "stages": stages,
            "model": _text(written.get("model")),
            "error": error,
        }

    def run_folder(self, run: str) -> Path | None:
        """The folder of `run` ("corpus/demo-3f9a1c"), or None if the name is malformed or leads out of the runs."""
        stage, _, name = run.partition("/")
        if stage not in NAMES or not is_name(name):
            return None
        folder = (self.runs / stage / name).resolve()
        return folder if folder.is_relative_to(self.runs) and folder.is_dir() else None

    def line_of_model(self, model: Path) -> str | None:
        """The line that produced `model` (a model folder, or the run that contains one)."""
        folder = model.resolve()
        places = {folder, folder.parent}
        for name in (line["name"] for line in self.lines()):
            line = self.line(name)
            runs = [entry["run"] for entry in line["stages"] if entry["run"]] if line else []
            if any(self.run_folder(run) in places for run in runs):
                return name
        return None

    def _stage(self, name: str, entry: dict[str, object]) -> StageState:
        """The stage of a line as its file has it; one whose run was deleted is to be done again."""
        run, status = entry.get("run"), _state(entry.get("status"))
        if isinstance(run, str) and self.run_folder(run) is not None:
            return {"stage": name, "status": status, "run": run}
        return {"stage": name, "status": "waiting" if status in FINISHED else status, "run": None}

    def look(self, name: str, position: Position | None = None) -> Update | None:
        """What happened in line `name` since `position` (None: its kept history); None if there is no such line."""
        line = self.line(name)
        if line is None:
            return None
        update = Update(line, [], {})
        for entry in line["stages"]:
            run = entry["run"]
            folder = self.run_folder(run) if run else None
            if run and folder is not None:
                self._look_at_run(run, folder / "events.jsonl", (position or {}).get(run), update)
        return update

    def _look_at_run(self, run: str, path: Path, offset: int | None, update: Update) -> None:
        size = path.stat().st_size if path.is_file() else 0
        if offset is None or not 0 <= offset <= size or size - offset > CHUNK_BYTES:
            entries, update.position[run] = self._recall(run, path, size)
            update.forget.append(run)
        else:
            entries, update.position[run] = read_chunk(path, offset)
        update.events.extend(RunEvent(run, entry) for entry in entries if not isinstance(entry.event, UNSENT))

    def _recall(self, run: str, path: Path, size: int) -> tuple[list[Entry], int]:
        """The kept events of a run, after reading the rest of its file."""
        with self._lock:
            history, offset = self._histories.pop(run, (History(), 0))
            if offset > size:
                history, offset = History(), 0
            while True:
                entries, after = read_chunk(path, offset)
                if after == offset:
                    break
                for entry in entries:
                    history.add(entry)
                offset = after
            self._histories[run] = (history, offset)
            while len(self._histories) > MAX_HISTORIES:
                self._histories.pop(next(iter(self._histories)))
            return history.entries(), offset

    def _runs_on_disk(self) -> list[str]:
        return [
            f"{stage}/{folder.name}"
            for stage in NAMES
            if (self.runs / stage).is_dir()
            for folder in (self.runs / stage).iterdir()
            if is_name(folder.name) and (folder / "events.jsonl").is_file()
        ]

    def _loose_runs(self) -> list[str]:
        """Runs that no line file names."""
        files = (_read_json(path) for path in (self.runs / "lines").glob("*.json"))
        entries = (entry for file in files if file for entry in _list(file.get("stages")))
        named = {str(entry.get("run")) for entry in entries if isinstance(entry, dict)}
        return [run for run in self._runs_on_disk() if run not in named]

    def _line_of_loose_runs(self, name: str) -> Line | None:
        newest: dict[str, tuple[float, str]] = {}
        for run in self._loose_runs():
            if _recipe_name(run) != name:
                continue
            stage = run.partition("/")[0]
            touched = (self.runs / run / "events.jsonl").stat().st_mtime
            newest[stage] = max(newest.get(stage, (0.0, "")), (touched, run))
        if not newest:
            return None
        stages: list[StageState] = [
            {"stage": stage, "run": newest[stage][1], "status": self._status_on_disk(newest[stage][1])}
            if stage in newest
            else {"stage": stage, "run": None, "status": "waiting"}
            for stage in NAMES
        ]
        states = {entry["status"] for entry in stages if entry["run"]}
        started = max(touched for touched, _ in newest.values())
        return {
            "name": name,
            "recipe": name,
            "status": "done" if states == {"done"} else "failed" if "failed" in states else "running",
            "started": started,
            "stages": stages,
            "model": None,
            "error": KILLED if "failed" in states else None,
        }

    def _status_on_disk(self, run: str) -> State:
        if is_done(self.runs / run):
            return "done"
        lock = self.runs / run / "lock"
        return "failed" if lock.is_file() and not is_held(lock) else "running"


def is_name(name: str) -> bool:
    """Whether `name` may be one part of a path: letters, digits, `.`, `_`, `-`, not starting with a dot."""
    return _NAME.fullmatch(name) is not None


def _is_there(line: Line) -> bool:
    """Whether anything is left of a line: its runs may have been deleted."""
    return line["status"] != "done" or any(entry["run"] for entry in line["stages"])


def _finished_eval(line: Line) -> str | None:
    scored = [stage.name for stage in STAGES if stage.shows == "scores"]
    done = (entry["run"] for entry in line["stages"] if entry["stage"] in scored and entry["status"] in FINISHED)
    return next(done, None)


def _ended(status: State) -> State:
    return "failed" if status == "running" else status


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _state(value: object, unknown: State = "waiting") -> State:
    return cast("State", value) if value in get_args(State) else unknown


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read_json(path: Path) -> dict[str, object] | None:
    """A small JSON object, or None (a line file is replaced atomically, so it is never half-written)."""
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
