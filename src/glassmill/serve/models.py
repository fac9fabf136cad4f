"""Several models by name: each loaded when a request first wants it, and unloaded when idle or when room is needed.

A request holds its model until its answer is out (`Leases`), so nothing in use is unloaded. A model may be a LoRA
adapter over a base model: it is merged into a folder of its own, which is removed with the model.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from glassmill.errors import ApiError, UserError
from glassmill.infer.find import read_config
from glassmill.run.memory import available_memory

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from glassmill.infer.generate import Model

log = logging.getLogger(__name__)
MAX_LOADED = 4
ROOM_FACTOR = 2
"""Memory a model may need for each byte of its weight files: they are often widened as they are read."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model comes from.

    Attributes:
        path: The model folder; of an adapter, its base's.
        adapter: The PEFT folder, if it is one.
        parent: The base's name, if it is served too.
    """

    path: Path
    adapter: Path | None = None
    parent: str | None = None


@dataclass(slots=True)
class _Entry:
    name: str
    source: Source
    model: Model | None = None
    users: int = 0
    last_used: float = 0.0
    merged: Path | None = None
    problem: str | None = None
    loading: threading.Lock = field(default_factory=threading.Lock)


class Models:
    """The models of a server, the first of which answers requests that name none.

    Args:
        sources: Where they come from, by name, at least one.
        max_loaded: Models in memory at once.
        idle_s: Unload a model that nobody has used for so long; None: keep it.
        load: Opens a model folder; by default `Model.load`.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        max_loaded: int = MAX_LOADED,
        idle_s: float | None = None,
        load: Callable[[Path], Model] | None = None,
    ) -> None:
        self.max_loaded, self.idle_s = max_loaded, idle_s
        self._load = load or _load
        self._entries = {name: _Entry(name, source) for name, source in sources.items()}
        self.first = next(iter(self._entries))
        self._lock, self._room = threading.Lock(), threading.Lock()
        self._closed = threading.Event()
        if idle_s is not None:
            threading.Thread(target=self._watch, args=(idle_s,), name="glassmill-idle", daemon=True).start()

    def __call__(self) -> Model:
        """The first model, without holding it."""
        with self.held() as model:
            return model

    def take(self, name: str | None = None) -> Model:
        """The model of that name, loaded now if need be, and held until `give_back`.

        Raises:
            ApiError: 404: there is none; 503: others are in use, and there is no room for one more.
            UserError: It cannot be loaded.
        """
        entry = self._entries.get(self.first if name is None else name)
        if entry is None:
            known = ", ".join(map(repr, self._entries))
            message = f"unknown model {name!r}; available: {known}"
            raise ApiError(404, message, param="model", code="model_not_found")
        with self._lock:
            entry.users += 1
            entry.last_used = time.monotonic()
        try:
            with entry.loading:
                if entry.model is None:
                    with self._room:  # two that load at once would both find room for one
                        self._make_room(entry)
                        entry.model = self._opened(entry)
                return entry.model
        except BaseException:
            self._leave(entry)
            raise

    def give_back(self, model: Model) -> None:
        """Say that a request no longer uses what `take` gave it."""
        entry = next((one for one in self._entries.values() if one.model is model), None)
        if entry is not None:
            self._leave(entry)

    @contextlib.contextmanager
    def held(self, name: str | None = None) -> Iterator[Model]:
        """`take`, and `give_back` at the end of the block."""
        model = self.take(name)
        try:
            yield model
        finally:
            self.give_back(model)

    def loaded(self) -> list[Model]:
        """Those in memory now."""
        models = [entry.model for entry in self._entries.values()]
        return [model for model in models if model is not None]

    def sources(self) -> Mapping[str, Source]:
        """All of them, by name."""
        return {name: entry.source for name, entry in self._entries.items()}

    def context_length(self, name: str) -> int:
        """Tokens that a model's context holds, known without loading it."""
        model = self._entries[name].model
        return model.engine.max_length if model else read_config(self._entries[name].source.path).context_length

    def status(self) -> tuple[str, str | None]:
        """State of the first model, `waiting`, `loading`, `ready` or `failed`, and why it failed."""
        entry = self._entries[self.first]
        if entry.model is not None:
            return "ready", None
        if entry.problem is not None:
            return "failed", entry.problem
        return ("loading" if entry.loading.locked() else "waiting"), None

    def warm(self) -> None:
        """Start loading the first model in the background."""
        threading.Thread(target=self._warm, name="open-model", daemon=True).start()

    def unload_idle(self, idle_s: float) -> None:
        """Unload what nobody has used for `idle_s` seconds."""
        for entry in self._idle():
            if time.monotonic() - entry.last_used >= idle_s:
                self._unload(entry)

    def close(self) -> None:
        """Unload everything; answers that are still running end with an error."""
        self._closed.set()
        for entry in self._entries.values():
            with entry.loading:
                self._drop(entry)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _warm(self) -> None:
        with contextlib.suppress(Exception), self.held():
            pass

    def _watch(self, idle_s: float) -> None:
        while not self._closed.wait(max(0.05, min(idle_s / 4, 30.0))):
            self.unload_idle(idle_s)

    def _opened(self, entry: _Entry) -> Model:
        try:
            folder = entry.source.path
            if entry.source.adapter is not None:
                from glassmill.infer.peft import merge_adapter

                entry.merged = Path(tempfile.mkdtemp(prefix="glassmill-adapter-"))
                folder = merge_adapter(folder, entry.source.adapter, entry.merged / entry.name)
            model = self._load(folder)
        except BaseException as error:
            entry.problem = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self._drop(entry)
            raise
        model.name, entry.problem = entry.name, None
        return model

    def _make_room(self, entry: _Entry) -> None:
        """Unload idle models, longest unused first, until one more fits.

        Raises:
            ApiError: 503: as many as allowed are in use.
        """
        needed = ROOM_FACTOR * sum(file.stat().st_size for file in entry.source.path.glob("*.safetensors"))
        while (full := len(self.loaded()) >= self.max_loaded) or available_memory() < needed:
            idle = self._idle()
            if idle:
                self._unload(min(idle, key=lambda one: one.last_used))
            elif full:
                message = f"all {self.max_loaded} models that may be loaded at once are in use; try again later"
                raise ApiError(503, message, code="models_busy", headers={"Retry-After": "5"})
            else:
                return  # the loader checks the memory itself, and says what is missing

    def _idle(self) -> list[_Entry]:
        return [entry for entry in self._entries.values() if entry.model is not None and not entry.users]

    def _unload(self, entry: _Entry) -> None:
        if not entry.loading.acquire(blocking=False):
            return
        try:
            with self._lock:
                if entry.users:
                    return
                model, entry.model = entry.model, None
            if model is not None:
                model.close()
                log.info("unloaded %s", entry.name)
            self._drop(entry)
        finally:
            entry.loading.release()

    def _drop(self, entry: _Entry) -> None:
        if entry.model is not None:
            entry.model.close()
            entry.model = None
        if entry.merged is not None:
            shutil.rmtree(entry.merged, ignore_errors=True)
            entry.merged = None

    def _leave(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            entry.last_used = time.monotonic()


class Leases:
    """Middleware: what a request has taken, it gives back when its answer is out, or its client is gone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        returns: list[Callable[[], None]] = []
        scope["glassmill.returns"] = returns
        try:
            await self.app(scope, receive, send)
        finally:
            for give_back in returns:
                give_back()


def named_sources(models: Sequence[str], adapters: Sequence[str], find: Callable[[str], Path]) -> dict[str, Source]:
    """The sources that a command line names: `MODEL` or `NAME=MODEL`, and `NAME=FOLDER` for adapters of the first.

    Args:
        models: As given, at least one.
        adapters: As given.
        find: The model folder of a path or a run's name.

    Raises:
        UserError: A name twice, an adapter without a name, or nothing at a path.
    """
    from glassmill.infer.generate import model_name

    found: dict[str, Source] = {}

    def add(name: str, source: Source) -> None:
        if not name or name in found:
            raise UserError(f"two models are called {name!r}; give one another name: NAME={source.path}")
        found[name] = source

    for given in models:
        name, path = _split(given)
        folder = find(path)
        add(name or model_name(folder), Source(folder))
    base_name, base = next(iter(found.items()))
    for given in adapters:
        name, path = _split(given)
        folder = Path(path)
        if not (folder / "adapter_config.json").is_file():
            raise UserError(f"--adapter {given}: {path} is no PEFT folder (it has no adapter_config.json)")
        add(name or folder.resolve().name, Source(base.path, folder, base_name))
    return found


def _split(given: str) -> tuple[str, str]:
    """`NAME=PATH`; a path that exists as it stands has no name."""
    name, equals, path = given.partition("=")
    return (name, path) if equals and path and not Path(given).exists() else ("", given)


def _load(folder: Path) -> Model:
    from glassmill.infer.generate import Model

    return Model.load(folder)
