"""A line: the stages of one recipe, run in order, each skipped, continued or started as its folder says. A finished
stage in which a file is gone or changed is made again; if that gives the same bytes, what depends on it stays.

`runs/lines/<recipe>-<digest>.json` says how far every stage is; the studio reads it.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from glassmill.errors import UserError, Waiting
from glassmill.recipe import Recipe
from glassmill.run import kinds, torch_says
from glassmill.run.events import Entry, Listener, read_events
from glassmill.run.files import atomic_json
from glassmill.run.finished import discard, is_done, read_manifest, run_damage
from glassmill.run.folder import Identity, open_run, settings_identity
from glassmill.run.hashes import Told
from glassmill.run.inputs import InputFile, digest_files, input_files, record_inputs
from glassmill.run.integrity import Damage
from glassmill.run.places import place, settled
from glassmill.run.resolved import resolve
from glassmill.run.states import FINISHED, LineFile, StageState, State, line_file_of, lock_of
from glassmill.run.team import Leader
from glassmill.stages import NAMES, Files, Stage, last_model

READERS_MAY_HOLD_IT_S = 1.0
"""The page tries a lock for an instant to see whether its process lives."""
HASHING_IS_TOLD_AFTER_S = 2.0


class Line:
    """The state of one recipe's run over all stages. Use as a context: leaving it writes how the line ended.

    Args:
        recipe: What to run.
        runs: The folder for run folders.
        listeners: Called with every event.
        until: The last stage to run; None for all of the recipe's.
        leader: Tells the other processes of torchrun what to help with, if there are any.
        asked: The recipe as it was given, before names in it were resolved; the line's file is named after it.

    Attributes:
        folders: Stage -> run folder, of the stages reached so far.
        seconds: Stage -> seconds that it worked, earlier attempts included.
    """

    def __init__(
        self,
        recipe: Recipe,
        runs: Path,
        listeners: tuple[Listener, ...] = (),
        until: str | None = None,
        leader: Leader | None = None,
        asked: Recipe | None = None,
    ) -> None:
        self.recipe = recipe
        self.leader = leader
        self.runs = runs
        self.status_path = line_file_of(runs, asked or recipe)
        self.listeners = listeners
        wanted = [name for name in NAMES if name in recipe.stages]
        if until is not None and until not in wanted:
            raise UserError(f"recipe {recipe.name} has no stage {until}; it has: {', '.join(wanted)}")
        self.wanted = wanted if until is None else wanted[: wanted.index(until) + 1]
        self.folders: dict[str, Path] = {name: Path(folder) for name, folder in recipe.given.items()}
        self.seconds: dict[str, float] = {}
        states: dict[str, State] = dict.fromkeys(self.folders, "skipped")
        states |= dict.fromkeys(self.wanted, "waiting")
        self._states = {name: states[name] for name in NAMES if name in states}
        self._started = time.time()

    @property
    def lock(self) -> Path:
        """Held while the line runs; a killed process releases it. A second process of the same recipe works without
        the lock, and leaves the line file to the first."""
        return lock_of(self.status_path)

    def __enter__(self) -> Line:
        try:
            self.lock.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(Timeout):
                self._lock = FileLock(self.lock)
                self._lock.acquire(timeout=READERS_MAY_HOLD_IT_S)
            self._write("running")
        except OSError as error:
            raise UserError(
                f"cannot write in {self.runs} ({error.strerror}); name another folder with --runs"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Waiting):
            self._write("waiting")
        else:
            self._write("done" if error is None else "failed", error)
        self._lock.release()

    def run(self, stage: Stage) -> None:
        """Makes sure that the work of `stage` is done, if the recipe wants it: skips, continues or starts it.

        Raises:
            UserError: a mistake in its settings or inputs.
            Waiting: array tasks have to work first.
        """
        if stage.name not in self.wanted:
            return
        given = stage.given(self.folders)
        identity, folder, damaged = self._find(stage, given)
        self.folders[stage.name] = folder
        if is_done(folder) and not damaged:
            self.folders[stage.name] = settled(folder)
            self._set(stage.name, "skipped")
        else:
            self._set(stage.name, "running")
            try:
                self._make(stage, identity, given, folder, damaged)
            except Waiting:
                self._set(stage.name, "waiting")
                raise
            except BaseException:
                self._set(stage.name, "failed")
                raise
            self.folders[stage.name] = settled(folder)
            self._set(stage.name, "done")
        self.seconds[stage.name] = working_seconds(self.folders[stage.name])

    def _find(self, stage: Stage, given: Mapping[str, Path]) -> tuple[Identity, Path, list[Damage]]:
        """Where the run is or will be; what torch was remembered to say decides only that nothing is to do."""
        identity = stage_identity(stage, self.recipe, given, self._hashing(stage.name))
        chosen = getattr(self.recipe, stage.name).chosen()
        folder = place(self.runs, self.recipe.name, identity, chosen)
        damaged = _damage(folder)
        if (damaged or not is_done(folder)) and torch_says.load():
            identity = replace(identity, resolved=resolve(stage.facts or stage.verb, self.recipe))
            folder = place(self.runs, self.recipe.name, identity, chosen)
            damaged = _damage(folder)
        return identity, folder, damaged

    def _make(
        self, stage: Stage, identity: Identity, given: Mapping[str, Path], folder: Path, damaged: list[Damage]
    ) -> None:
        with open_run(folder, identity, self.recipe, self.listeners, stage.facts or stage.verb) as run:
            if damaged:
                run.emit(
                    kinds.Warned(f"{folder / damaged[0].name} {damaged[0].what}; the stage {stage.name} runs again")
                )
                discard(folder)
            record_inputs(folder, _named(stage.files(self.recipe)))
            if stage.together and self.leader:
                self.leader.call(stage.name, folder, given, self.recipe)
            stage.make(run, self.recipe, given)

    def _hashing(self, stage: str) -> Told:
        """Tells the listeners how far the hashes of the inputs are, where they take long."""
        begin = time.monotonic()

        def told(done: int, total: int) -> None:
            if time.monotonic() - begin < HASHING_IS_TOLD_AFTER_S:
                return
            progress = kinds.Progress(done // 10**6, total // 10**6, "MB of inputs hashed")
            for listener in self.listeners:
                listener(Entry(round(time.time(), 3), stage, progress))

        return told

    def _set(self, name: str, state: State) -> None:
        self._states[name] = state
        self._write("running")

    def _write(self, status: State, error: BaseException | None = None) -> None:
        if not self._lock.is_locked:
            return
        stages: list[StageState] = [
            {"stage": name, "status": state, "run": self.place_of(name)} for name, state in self._states.items()
        ]
        model = last_model([name for name, state in self._states.items() if state in FINISHED])
        file: LineFile = {
            "recipe": self.recipe.name,
            "status": status,
            "started": round(self._started, 3),
            "stages": stages,
            "model": f"{self.place_of(model)}/model" if model else None,
            "error": str(error) if error else None,
        }
        atomic_json(self.status_path, file)

    def place_of(self, name: str) -> str | None:
        """The run of a stage as `stage/name`; None if it has none yet, or if it is a given one from elsewhere."""
        folder = self.folders.get(name)
        if folder is None or not folder.resolve().is_relative_to(self.runs.resolve()):
            return None
        return folder.resolve().relative_to(self.runs.resolve()).as_posix()


def stage_identity(stage: Stage, recipe: Recipe, given: Mapping[str, Path], told: Told | None = None) -> Identity:
    """What decides the output of `stage`: its version, its settings, the content of what it reads, and the machine's
    part (see `glassmill.run.resolved`).

    Args:
        given: Argument of `make` -> finished run folder.
        told: Hears how far the hashes of the user's files are.
    """
    settings = {name: getattr(recipe, name) for name in stage.sections}
    settings |= {"settings": getattr(recipe, stage.name), **stage.seed(recipe)}
    facts = stage.facts or stage.verb
    version = importlib.import_module(facts).VERSION
    digests, resolved = _digests(given, stage.files(recipe), told), resolve(facts, recipe)
    return Identity(stage.name, version, settings_identity(**settings), digests, resolved)


def working_seconds(folder: Path) -> float:
    """Seconds that a stage worked in `folder`: of every attempt, the time between its first and its last event."""
    total, begin, last = 0.0, None, 0.0
    for entry in read_events(folder / "events.jsonl"):
        if not entry.time_s:
            continue
        if isinstance(entry.event, kinds.Start):
            total += last - begin if begin is not None else 0.0
            begin = entry.time_s
        last = entry.time_s
    return round(total + (last - begin if begin is not None else 0.0), 3)


def _damage(folder: Path) -> list[Damage]:
    return run_damage(folder) if is_done(folder) else []


def _digests(runs: Mapping[str, Path], files: Mapping[str, Files], told: Told | None) -> dict[str, str]:
    """What a run depends on: earlier runs by the content in their manifests, the user's files by setting."""
    digests = {name: read_manifest(path)["content"] for name, path in runs.items()}
    digests |= {setting: digest_files(found, told) for setting, found in _named(files).items()}
    return digests | {setting: _digest_of_run(some.run, told) for setting, some in files.items() if some.run}


def _named(files: Mapping[str, Files]) -> dict[str, list[InputFile]]:
    """The user's files of each setting that names any."""
    return {setting: input_files(some.words, some.folders) for setting, some in files.items() if some.words}


def _digest_of_run(folder: str, told: Told | None) -> str:
    """The content of a finished run; of another folder, all its files."""
    if is_done(Path(folder)):
        return read_manifest(Path(folder))["content"]
    return digest_files(input_files([folder]), told)
