"""A line: the stages of one recipe, run in order, each skipped, continued or begun as its folder says.

`runs/lines/<recipe>.json` tells at any moment which stage stands where; the studio reads it.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassmill.errors import UserError, Waiting
from glassmill.recipe import STAGES, Recipe, Settings
from glassmill.run import kinds
from glassmill.run.events import Listener, read_events
from glassmill.run.files import atomic_json, sha256_file
from glassmill.run.folder import Identity, content_digest, is_done, open_run, place, read_manifest, settings_identity
from glassmill.run.inputs import expand
from glassmill.run.states import FINISHED, LineFile, StageState, State


class Line:
    """The state of one recipe's run over all stages. Use as a context: leaving it writes how the line ended.

    Args:
        recipe: What to run.
        verbs: Stage name -> module with `make` and `VERSION`; imported when the stage has work to do or to check.
        runs: The folder for run folders.
        listeners: Called with every event.
        until: The last stage to run; None for all of the recipe's.
    """

    def __init__(
        self,
        recipe: Recipe,
        verbs: Mapping[str, str],
        runs: Path,
        listeners: tuple[Listener, ...] = (),
        until: str | None = None,
    ) -> None:
        self.recipe = recipe
        self.verbs = verbs
        self.runs = runs
        self.listeners = listeners
        wanted: list[str] = [name for name in STAGES if name in recipe.stages]
        if until is not None and until not in wanted:
            raise UserError(f"recipe {recipe.name} has no stage {until}; it has: {', '.join(wanted)}")
        self.wanted = wanted if until is None else wanted[: wanted.index(until) + 1]
        self.folders: dict[str, Path] = {}
        self.seconds: dict[str, float] = {}
        self._states: dict[str, State] = dict.fromkeys(self.wanted, "waiting")
        self._begin = time.time()

    @property
    def status_path(self) -> Path:
        return self.runs / "lines" / f"{self.recipe.name}.json"

    def __enter__(self) -> Line:
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            self._tell("running")
        except OSError as error:
            raise UserError(
                f"cannot write in {self.runs} ({error.strerror}); name another folder with --runs"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Waiting):
            self._tell("waiting")
        else:
            self._tell("done" if error is None else "failed", error)

    def stage(
        self,
        name: str,
        settings: Settings,
        files: tuple[str, ...] = (),
        model_settings: Settings | None = None,
        **inputs: Path | None,
    ) -> Path | None:
        """The finished run folder of stage `name`, made now if need be; None where the recipe leaves the stage out.

        Args:
            settings: The stage's section of the recipe.
            files: The user's own input files; their content is part of the run's identity.
            model_settings: A second section, for the stage that needs the model's shape.
            inputs: Run folders of earlier stages; None for those that the recipe leaves out.
        """
        if name not in self.wanted:
            return None
        verb = importlib.import_module(self.verbs[name])
        given = {key: path for key, path in inputs.items() if path is not None}
        parts: dict[str, Settings | int | str] = {"settings": settings, "seed": self.recipe.seed}
        if model_settings is not None:
            parts["model"] = model_settings
        identity = Identity(name, verb.VERSION, settings_identity(**parts), _digests(given, files))
        folder = place(self.runs, self.recipe.name, identity)
        self.folders[name] = folder
        if is_done(folder):
            self._set(name, "skipped")
        else:
            self._set(name, "running")
            arguments: dict[str, Any] = dict(given)
            if model_settings is not None:
                arguments["model_settings"] = model_settings
            try:
                with open_run(folder, identity, self.recipe, self.listeners) as run:
                    verb.make(run, settings, self.recipe.seed, **arguments)
            except Waiting:
                self._set(name, "waiting")
                raise
            except BaseException:
                self._set(name, "failed")
                raise
            self._set(name, "done")
        self.seconds[name] = working_seconds(folder)
        return folder

    def _set(self, name: str, state: State) -> None:
        self._states[name] = state
        self._tell("running")

    def _tell(self, status: State, error: BaseException | None = None) -> None:
        stages: list[StageState] = [
            {"stage": name, "status": self._states[name], "run": self._relative(name)} for name in self.wanted
        ]
        models = [self._relative(name) for name in ("sft", "train") if self._states.get(name) in FINISHED]
        value: LineFile = {
            "recipe": self.recipe.name,
            "status": status,
            "started": round(self._begin, 3),
            "stages": stages,
            "model": f"{models[0]}/model" if models else None,
            "error": str(error) if error else None,
        }
        atomic_json(self.status_path, value)

    def _relative(self, name: str) -> str | None:
        return self.folders[name].relative_to(self.runs).as_posix() if name in self.folders else None


def working_seconds(folder: Path) -> float:
    """Seconds that a stage worked in `folder`, over all its attempts: time between an attempt's first and last
    event."""
    total, begin, last = 0.0, None, 0.0
    for entry in read_events(folder / "events.jsonl"):
        if not entry.time_s:
            continue
        if isinstance(entry.event, kinds.Start):
            total += last - begin if begin is not None else 0.0
            begin = entry.time_s
        last = entry.time_s
    return round(total + (last - begin if begin is not None else 0.0), 3)


def _digests(runs: dict[str, Path], files: tuple[str, ...]) -> dict[str, str]:
    """What a run depends on: content of earlier runs by manifest, and the user's files by name and bytes."""
    digests = {name: read_manifest(path)["content"] for name, path in runs.items()}
    if files:
        digests["files"] = content_digest({path.name: sha256_file(path) for path in expand(files)})
    return digests
