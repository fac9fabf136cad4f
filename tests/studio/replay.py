"""The recorded runs, copied into a runs folder: at once, or event by event as they were written.

    python tests/studio/replay.py RUNS_FOLDER --seconds 120
    glassmill studio --runs RUNS_FOLDER

No event is invented: lines of `events.jsonl` are appended in the order of their times, only `t` becomes the time of the
replay. The line file and a stage's other files appear when the stage starts and ends, as the pipeline writes them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassmill.recipe import load_recipe
from glassmill.run.finished import read_manifest
from glassmill.run.folder import Identity, open_run
from glassmill.tokens import tokens

RECORDED = Path(__file__).parent / "recorded"
Event = dict[str, Any]


class Replay:
    """The recorded line `name`, written into `runs`."""

    def __init__(self, runs: Path, name: str = "demo") -> None:
        self.runs, self.name = runs, name
        self.line: dict[str, Any] = json.loads((RECORDED / "lines" / f"{name}.json").read_text(encoding="utf-8"))
        self.run_of: dict[str, str] = {entry["stage"]: entry["run"] for entry in self.line["stages"]}
        self.status = dict.fromkeys(self.run_of, "waiting")
        self.started = time.time()

    def folder(self, stage: str) -> Path:
        return self.runs / self.run_of[stage]

    def events(self) -> Iterator[Event]:
        """All recorded events of the line, in the order in which they were written."""
        lines = [
            line
            for run in self.run_of.values()
            for line in (RECORDED / run / "events.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        yield from sorted(map(json.loads, lines), key=lambda event: event["t"])

    def write(self, event: Event) -> None:
        """Appends one event to its stage's file."""
        path = self.folder(event["stage"]) / "events.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, separators=(",", ":")) + "\n")

    def write_line(self, status: str = "running", error: str | None = None) -> None:
        """The line file, replaced whole as the pipeline does."""
        done = self.status[list(self.status)[-1]] == "done"
        stages = [
            {"stage": stage, "status": state, "run": None if state == "waiting" else self.run_of[stage]}
            for stage, state in self.status.items()
        ]
        line = {**self.line, "started": self.started, "stages": stages, "status": status, "error": error}
        path = self.runs / "lines" / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(line if done else {**line, "model": None}), encoding="utf-8")
        temporary.replace(path)

    def copy_files(self, stage: str) -> None:
        """What the stage leaves beside its events."""
        others = shutil.ignore_patterns("events.jsonl")
        shutil.copytree(RECORDED / self.run_of[stage], self.folder(stage), ignore=others, dirs_exist_ok=True)

    def play(self, seconds: float = 0.0, until: str = "") -> None:
        """Writes all events, stretched over `seconds`, up to the end of stage `until` (all, where none is named)."""
        events = list(self.events())
        first, length = events[0]["t"], events[-1]["t"] - events[0]["t"]
        self.started = time.time()
        self.write_line()
        for event in events:
            if seconds:
                time.sleep(max(0.0, self.started + (event["t"] - first) / length * seconds - time.time()))
            self._happens({**event, "t": round(time.time(), 3)})
            if event["kind"] == "done" and event["stage"] == until:
                return
        self.write_line("done")

    def _happens(self, event: Event) -> None:
        stage, kind = event["stage"], event["kind"]
        if kind == "done":
            self.copy_files(stage)
        self.write(event)
        if kind in ("start", "done"):
            self.status[stage] = "done" if kind == "done" else "running"
            self.write_line()


RUN_OF = Replay(Path()).run_of
"""Stage to run, of the recorded demo: `corpus` to `corpus/demo-67cf55`."""


def copy_recorded(runs: Path) -> Replay:
    """All recorded lines, finished, as they lie in the repository; the line `demo`."""
    shutil.copytree(RECORDED, runs, dirs_exist_ok=True)
    return Replay(runs)


def encode_again(runs: Path) -> Path:
    """The recorded tokens run with its ids, which are not recorded: encoded anew, they are the same."""
    folder = runs / RUN_OF["tokens"]
    recorded, events = read_manifest(folder), (folder / "events.jsonl").read_bytes()
    identity = Identity(*(recorded[name] for name in ("stage", "version", "settings", "inputs", "resolved")))
    recipe = load_recipe(folder / "recipe.toml")
    with open_run(folder, identity, recipe) as run:
        tokens.make(run, recipe.tokens, runs / RUN_OF["corpus"], runs / RUN_OF["tokenizer"])
    (folder / "events.jsonl").write_bytes(events)
    assert read_manifest(folder)["content"] == recorded["content"]
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    if arguments.runs.exists():
        sys.exit(f"{arguments.runs} is there already")
    Replay(arguments.runs).play(arguments.seconds)
