"""The model behind the chat box: loaded in the background as soon as there is one, and one at a time.

What a decoder needs is imported only when a model is loaded, so that the page is there at once.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from glassmill.errors import UserError
from glassmill.run.states import FINISHED
from glassmill.serve.models import Models
from glassmill.stages import last_model
from glassmill.studio.watch import Watcher

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

log = logging.getLogger(__name__)

MAX_QUESTIONS_READ = 4000
WANTED_QUESTIONS = (("fact", 3), ("sum", 1), ("unknown", 1))


class ModelStatus(TypedDict):
    """What the page shows beside the chat box: `text` says why loading failed, `questions` are worth asking."""

    state: Literal["waiting", "loading", "ready", "failed"]
    name: NotRequired[str]
    text: NotRequired[str]
    questions: NotRequired[list[str]]


class ModelKeeper:
    """Provides the API with a model (see `glassmill.serve.provider.Provider`) and reports its state to the page.

    Args:
        watcher: Reads the runs folder; None if there is none.
        models: The models to serve, the first of them on the page; None: the model of the line that the page shows, or
            else of the newest line.
    """

    def __init__(self, watcher: Watcher | None, models: Models | None) -> None:
        self._watcher = watcher
        self.models = models
        self._chosen: Path | None = None
        self._lock = threading.Lock()
        self._model: Model | None = None
        self._opened: Path | None = None
        self._opening: threading.Thread | None = None
        self._problems: dict[Path, str] = {}

    def __call__(self) -> Model | None:
        """The model, loaded now if need be; None as long as there is none.

        Raises:
            UserError: It cannot be loaded.
        """
        path = self._chosen or self._newest()
        return None if path is None else self._open(path)

    def status(self, line: str) -> ModelStatus:
        """The state of the model of `line`. A model that exists starts loading with this call."""
        if self.models is not None:
            return self._status_of_first(self.models, line)
        path = self._of_line(line)
        if path is None:
            return {"state": "waiting"}
        self._chosen = path
        model = self._model
        if model is not None and self._opened == path:
            return {"state": "ready", "name": model.name, "questions": self._questions(line)}
        if path in self._problems:
            return {"state": "failed", "text": self._problems[path]}
        if self._opening is None or not self._opening.is_alive():
            self._opening = threading.Thread(target=self._open_quietly, args=(path,), name="open-model", daemon=True)
            self._opening.start()
        return {"state": "loading", "name": path.parent.name if path.name == "model" else path.name}

    def close(self) -> None:
        """Stop the engines' threads, after any model that is still loading: torch must not be interrupted there."""
        if self.models is not None:
            self.models.close()
        if self._opening is not None:
            self._opening.join()
        with self._lock:
            if self._model is not None:
                self._model.close()
                self._model = self._opened = None

    def _status_of_first(self, models: Models, line: str) -> ModelStatus:
        state, why = models.status()
        if state == "ready":
            return {"state": "ready", "name": models.first, "questions": self._questions(line)}
        if state == "failed":
            return {"state": "failed", "text": why or ""}
        models.warm()
        return {"state": "loading", "name": models.first}

    def _open(self, path: Path) -> Model:
        with self._lock:
            if self._model is None or self._opened != path:
                from glassmill.infer.generate import Model

                fresh = Model.load(path)
                if self._model is not None:
                    self._model.close()
                self._model, self._opened = fresh, path
            return self._model

    def _open_quietly(self, path: Path) -> None:
        try:
            self._open(path)
        except UserError as error:
            self._problems[path] = str(error)
        except Exception as error:  # whatever it is, the page must say so instead of waiting forever
            log.exception("cannot load the model in %s", path)
            self._problems[path] = f"{type(error).__name__}: {error}"

    def _of_line(self, name: str) -> Path | None:
        line = self._watcher.line(name) if self._watcher is not None else None
        if line is None or self._watcher is None:
            return None
        runs = {entry["stage"]: entry for entry in line["stages"]}
        last = runs.get(last_model(runs) or "")
        if last is None or not last["run"] or last["status"] not in FINISHED:
            return None
        folder = self._watcher.run_folder(last["run"])
        return folder / "model" if folder is not None and (folder / "model" / "config.json").is_file() else None

    def _newest(self) -> Path | None:
        names = [line["name"] for line in self._watcher.lines()] if self._watcher is not None else []
        return next((path for path in map(self._of_line, names) if path is not None), None)

    def _questions(self, line: str) -> list[str]:
        """A few questions of the line's exam: facts that no conversation contains, a sum, something unknown."""
        written = self._watcher.line(line) if self._watcher is not None else None
        stages = written["stages"] if written is not None else []
        run = next((entry["run"] for entry in stages if entry["stage"] == "miniweb"), None)
        folder = self._watcher.run_folder(run) if self._watcher is not None and run else None
        if folder is None:
            return []
        found: dict[str, list[str]] = {kind: [] for kind, _ in WANTED_QUESTIONS}
        for row in _json_lines(folder / "questions.jsonl"):
            kind, question = str(row.get("kind")), row.get("question")
            fits = kind != "fact" or (not row.get("in_sft") and row.get("wording") != "new")
            if kind in found and fits and isinstance(question, str):
                found[kind].append(question)
        return [question for kind, number in WANTED_QUESTIONS for question in _spread(found[kind], number)]


def _json_lines(path: Path) -> list[Mapping[str, object]]:
    try:
        with path.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in islice(file, MAX_QUESTIONS_READ)]
    except (OSError, ValueError):
        return []
    return [row for row in rows if isinstance(row, dict)]


def _spread(items: list[str], number: int) -> list[str]:
    return [items[i * len(items) // number] for i in range(number)] if len(items) >= number else items
