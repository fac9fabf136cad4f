"""A run folder: where one stage's work is, and why the same work is never done twice.

    runs/<stage>/<recipe>-<hash6>/
      recipe.toml     every setting, resolved       manifest.json   inputs, versions, counts, files with sha256
      events.jsonl    one event a line              stats.json      the numbers that a page draws
      ...             the artefacts                 DONE            written last

The hash covers the stage, its version number, the settings that change its output, the content of its inputs, and what
the machine resolves (`resolved.py`). Of a training it also covers what only its end can tell: the steps that fitted
into its time box, and the processor, torch, threads and processes that computed them, one after the other if it was
moved. So a training is found by what was asked, may continue wherever there is a machine for it, and takes its last
name when it is finished (`places.py`).

Equal hashes stand for equal artefacts, with one exception by intent: an item over a limit of time, or one that kills
its worker, is left out, on a slow machine perhaps and not on a fast one. `quarantine.jsonl` names a page, a warning
names a document, and the corpus's manifest counts them.

Files that describe times or machines are not artefacts (`finished.py` lists them); the content hash leaves them out.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w

from glassmill.errors import Waiting
from glassmill.recipe import Recipe, RunSettings, Settings
from glassmill.run import engines, kinds
from glassmill.run.events import EventLog, Listener
from glassmill.run.executors import Crew, OnEvent, OnResult, Result, Task
from glassmill.run.files import atomic_json, atomic_write, locked, remove, sha256_file, sweep
from glassmill.run.finished import (
    FileEntry,
    Manifest,
    artefacts,
    content_digest,
)
from glassmill.run.resolved import Check, Resolved

PULLING = ".pull-"
"""How the name of a folder begins in which `published` collects the files of a run that it pulls."""


def layers_of(runs: Path) -> Path:
    """Where the corpus stage keeps texts for its further runs: see `corpus.layers`."""
    return runs / "corpus" / ".layers"


@dataclass(frozen=True)
class Identity:
    """What decides a run's output. Equal identities name the same folder, and stand for equal bytes.

    Attributes:
        stage: The stage's name.
        version: The `VERSION` of its verb module, raised whenever its code gives other bytes.
        settings: Every setting that changes the output.
        inputs: Digests of what it reads: earlier runs, the user's files.
        resolved: What the machine decides and the output depends on, such as an extractor and a library's version;
            see `glassmill.run.resolved`.
        computed: What only the work itself decides: of a training its steps, and the machines that took them.
    """

    stage: str
    version: int
    settings: Mapping[str, object]
    inputs: Mapping[str, str] = field(default_factory=dict)
    resolved: Resolved = field(default_factory=dict)
    computed: Resolved = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """SHA-256 of what is known before the work, which is how a run is found again."""
        return replace(self, computed={}).digest

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of all parts; the last two count where there is anything in them."""
        parts = [self.stage, self.version, self.settings, self.inputs, *filter(None, [self.resolved, self.computed])]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class RunFolder:
    """One stage's folder while the stage fills it. `open_run` makes it; the stage's verb receives it."""

    def __init__(
        self,
        path: Path,
        identity: Identity,
        log: EventLog,
        engine: RunSettings,
        check: Check | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.path = path
        self.identity = identity
        self._log = log
        self._engine = engine
        self._check = check
        self._crew = crew

    @property
    def stage(self) -> str:
        return self.identity.stage

    @property
    def name(self) -> str:
        """The folder's name once the run is finished."""
        recipe, _, end = self.path.name.rpartition("-")
        found_by = recipe and self.identity.asked.startswith(end)
        return f"{recipe}-{self.identity.digest[: len(end)]}" if found_by else self.path.name

    def settle(self, computed: Resolved) -> None:
        """The work has shown what else its bytes depend on: part of the identity from now on."""
        self.identity = replace(self.identity, computed=computed)

    def emit(self, event: kinds.Event) -> None:
        """Writes one event, see `glassmill.run.kinds`."""
        self._log.emit(event)

    @contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """The listener hears every event in here."""
        before = self._log.listeners
        self._log.listeners = (*before, listener)
        try:
            yield
        finally:
            self._log.listeners = before

    def map(
        self,
        function: str,
        tasks: Sequence[Task],
        workers: int = 0,
        *,
        on_event: OnEvent | None = None,
        on_result: OnResult | None = None,
        cpu_limit_s: float = 20.0,
        light: bool = False,
    ) -> list[Result]:
        """`function(task, link)` on every task, on the engine that the recipe names, see `glassmill.run.engines`.

        Raises:
            UserError: a worker's machine would give other bytes than the run's identity stands for.
        """
        return engines.map_shards(
            self._engine,
            self.path / "work",
            function,
            tasks,
            workers,
            on_event=on_event,
            on_result=on_result,
            cpu_limit_s=cpu_limit_s,
            light=light,
            check=self._check,
            crew=self._crew,
        )

    def shard_path(self, name: str) -> Path:
        """`shards/<name>`; creates the folder."""
        (self.path / "shards").mkdir(exist_ok=True)
        return self.path / "shards" / name

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON artefact, whole or not at all."""
        atomic_json(self.path / name, value)

    def finish(self, stats: Mapping[str, Any], counts: Mapping[str, Any] | None = None) -> None:
        """Publishes the run: `stats.json`, the manifest with every artefact's SHA-256, and last of all `DONE`."""
        sweep(self.path)
        atomic_json(self.path / "stats.json", dict(stats))
        files: dict[str, FileEntry] = {
            name: {"sha256": sha256_file(self.path / name), "bytes": (self.path / name).stat().st_size}
            for name in artefacts(self.path)
        }
        manifest: Manifest = {
            "stage": self.stage,
            "version": self.identity.version,
            "digest": self.identity.digest,
            "settings": self.identity.settings,
            "inputs": self.identity.inputs,
            "resolved": self.identity.resolved,
            "computed": self.identity.computed,
            "counts": dict(counts or {}),
            "content": content_digest({name: entry["sha256"] for name, entry in files.items()}),
            "files": files,
            "software": software(),
        }
        atomic_json(self.path / "manifest.json", manifest)
        atomic_write(self.path / "DONE", f"{manifest['content']}\n{sha256_file(self.path / 'manifest.json')}\n")
        remove(self.path / "checkpoints")  # of a finished run, nobody continues


@contextmanager
def open_run(
    path: Path, identity: Identity, recipe: Recipe, listeners: tuple[Listener, ...] = (), verb: str = ""
) -> Iterator[RunFolder]:
    """The folder at `path`, locked for this process until the block ends; a killed process releases its lock.

    Args:
        verb: The stage's verb module. Workers ask it what their machine resolves, and refuse to work where that is not
            what `identity` says.

    Raises:
        UserError: another process is working in it.
    """
    path.mkdir(parents=True, exist_ok=True)
    with locked(path / "lock", "glassmill process"):
        log = EventLog(path / "events.jsonl", identity.stage, listeners)
        begin, crew = time.perf_counter(), Crew()
        try:
            if recipe.run.executor != "slurm":  # array tasks may be working there
                sweep(path)
            atomic_write(path / "recipe.toml", recipe_toml(recipe))
            log.emit(kinds.Start(run=path.name, digest=identity.digest))
            yield RunFolder(path, identity, log, recipe.run, _check(verb, identity, recipe), crew)
            log.emit(kinds.Done(seconds=round(time.perf_counter() - begin, 3)))
        except Waiting as wait:
            log.emit(kinds.Note(str(wait)))
            raise
        except BaseException as error:
            log.emit(kinds.Failed(str(error) or type(error).__name__))
            raise
        finally:
            crew.close()
            engines.release()
            log.close()


def _check(verb: str, identity: Identity, recipe: Recipe) -> Check | None:
    if not verb:
        return None
    return {
        "verb": verb,
        "version": identity.version,
        "recipe": recipe.model_dump(mode="json"),
        "resolved": dict(identity.resolved),
    }


def recipe_toml(recipe: Recipe) -> str:
    """Every setting as TOML (which has no null: a setting of None is left out, and None is its default)."""
    return tomli_w.dumps(_without_none(recipe.model_dump(mode="json")))


def settings_identity(**parts: Settings | int | str) -> dict[str, object]:
    """The settings that decide an output, ready for `Identity`: sections without their runtime fields, plain values
    as they are."""
    return {name: part.identity() if isinstance(part, Settings) else part for name, part in parts.items()}


def software() -> dict[str, str]:
    """Versions for people who read a manifest later; those that decide bytes are in `resolved` too."""
    packages = ("glassmill", "numpy", "pyarrow", "torch", "Resiliparse", "ray")
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
