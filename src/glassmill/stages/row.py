"""What a row of the registry says about a stage. The rows themselves are in `rows`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from glassmill.recipe import Recipe

Stats = Mapping[str, Any]
"""A stage's `stats.json`."""


@dataclass(frozen=True, slots=True)
class Input:
    """An earlier stage's run folder, as the argument `argument` of `make`: of `stages`, the first that the line has."""

    argument: str
    stages: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """What `glassmill plan` knows of the work before it starts."""

    html_bytes: int
    text_bytes: int
    cores: int
    tokens_per_s: float
    """Of training, estimated for this model on this machine."""


@dataclass(frozen=True, slots=True)
class Files:
    """The user's own files that one setting names.

    Attributes:
        words: Paths, folders and globs.
        folders: How many folders above a file are part of its name; 1 for lists whose category is their folder's name.
        run: A finished run instead, which counts by its content; or a folder that stands for all its files.
    """

    words: tuple[str, ...] = ()
    folders: int = 0
    run: str | None = None


def _no_files(recipe: Recipe) -> Mapping[str, Files]:
    return {}


def _no_problem(recipe: Recipe) -> str | None:
    return None


def _nothing(stats: Stats) -> Mapping[str, object]:
    return {}


def reported(*names: str) -> Callable[[Stats], Mapping[str, object]]:
    """A row's `report` that takes the numbers `names` from the stats as they are."""
    return lambda stats: {name: stats.get(name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage.

    Attributes:
        name: Names its section of the recipe, its command, and its folder under `runs`.
        verb: Module with `VERSION` and `make(run, settings, **inputs)`.
        facts: Module with its `VERSION` and `resolved`, where the verb's own takes long to import; empty: `verb`.
        help: What its command does, in one sentence.
        leaves: What it leaves in its run folder.
        title: One or two words.
        doing: What happens while it runs, to follow "Now: ".
        inputs: The run folders that `make` takes.
        sections: Further sections of the recipe that change its output; section `x` is the argument `x_settings`.
        files: Setting -> the user's own files that it names. Their names, order and bytes are part of the run's
            identity, for each setting on its own.
        check: The problem that would stop it halfway, in one line; None if there is none.
        minutes: An estimate; None where there is none.
        report: What the line's report takes from its stats.
        seeded: Whether a seed changes its output: `make` takes `seed`, its section's own or else the recipe's.
        headline: The numbers of its stats that a list of runs shows.
        array: Whether tasks of an array job can do its shards.
        together: Whether all processes that torchrun started work on it, see `glassmill.run.team`.
        model: What kind of model it leaves in `model/`; the last stage that leaves one gives the line its model.
        shows: How the page draws its room, the page's section; `card` draws any stage.
        room: The room on the page; stages may share one. Empty: one of its own, named after the stage.
        heading: The room's heading; empty: `title`.
        says: What a reader should know about the room; empty: `help`.
        waits: Shown in the room before the stage has started.
    """

    name: str
    verb: str
    help: str
    leaves: str
    title: str
    doing: str
    facts: str = ""
    inputs: tuple[Input, ...] = ()
    sections: tuple[str, ...] = ()
    files: Callable[[Recipe], Mapping[str, Files]] = _no_files
    check: Callable[[Recipe], str | None] = _no_problem
    minutes: Callable[[Recipe, Load], float] | None = None
    report: Callable[[Stats], Mapping[str, object]] = _nothing
    headline: tuple[str, ...] = ()
    seeded: bool = True
    array: bool = False
    together: bool = False
    model: Literal["base", "assistant"] | None = None
    shows: Literal["funnel", "vocabulary", "curve", "rollouts", "scores", "card"] = "card"
    room: str = ""
    heading: str = ""
    says: str = ""
    waits: str = ""

    def given(self, folders: Mapping[str, Path]) -> dict[str, Path]:
        """Argument of `make` -> run folder, of the inputs that are among `folders` (stage -> run folder)."""
        found = {one.argument: next((name for name in one.stages if name in folders), None) for one in self.inputs}
        return {argument: folders[name] for argument, name in found.items() if name is not None}

    def seed(self, recipe: Recipe) -> dict[str, int]:
        """The argument `seed` of `make`, if it takes one."""
        own = getattr(getattr(recipe, self.name), "seed", None)
        return {"seed": recipe.seed if own is None else own} if self.seeded else {}

    def make(self, run: Any, recipe: Recipe, given: Mapping[str, Path]) -> None:
        """Do the work in an open run folder. `given`: argument of the verb's `make` -> finished run folder."""
        sections = {f"{name}_settings": getattr(recipe, name) for name in self.sections}
        verb = importlib.import_module(self.verb)
        verb.make(run, getattr(recipe, self.name), **self.seed(recipe), **given, **sections)

    def words(self) -> dict[str, str | None]:
        """What the page needs to know about the stage."""
        return {
            "name": self.name,
            "title": self.title,
            "doing": self.doing,
            "leaves": self.leaves,
            "model": self.model,
            "shows": self.shows,
            "room": self.room or self.name,
            "heading": self.heading or self.title,
            "says": self.says or self.help,
            "waits": self.waits,
        }
