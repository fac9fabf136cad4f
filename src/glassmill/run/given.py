"""Finished runs that stand in for stages: a training from token ids whose pages are gone, or were never here.

    glassmill run mine.toml given.tokens=tokens/mine-f9da91

A given stage is not run, and neither is what only it needs (for `tokens`: `corpus` and `tokenizer`). Runs that a given
one was made from are found among the runs by their content, where they still are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glassmill.errors import UserError
from glassmill.recipe import Recipe
from glassmill.run.finished import is_done, read_manifest, run_damage
from glassmill.run.names import find_folder
from glassmill.stages import NAMES, Stage, stage_named


def prepared(recipe: Recipe, runs: Path) -> Recipe:
    """The recipe with the given runs, and those that they were made from, as folders, and without needless stages.

    Raises:
        UserError: A name is no stage or no run, or the run is of another stage, not finished, or damaged.
    """
    if not recipe.given:
        return recipe
    folders = {name: _found(name, word, runs) for name, word in recipe.given.items()}
    for name, folder in list(folders.items()):
        for stage, origin in origins(stage_named(name), folder, runs):
            folders.setdefault(stage, origin)
    needless = {name for given in recipe.given for name in _needed(stage_named(given))} | folders.keys()
    given = {name: str(folders[name]) for name in NAMES if name in folders}
    stages = tuple(name for name in recipe.stages if name not in needless)
    return recipe.model_copy(update={"given": given, "stages": stages})


def _found(name: str, word: str, runs: Path) -> Path:
    if name not in NAMES:
        raise UserError(f"given.{name}: there is no such stage; there are: {', '.join(NAMES)}")
    folder = find_folder(word, runs, is_done, "run", "is finished")
    stage = read_manifest(folder)["stage"]
    if stage != name:
        raise UserError(f"given.{name} = {word!r} is a run of the stage {stage}")
    for damage in run_damage(folder):
        raise UserError(f"given.{name}: {folder / damage.name} {damage.what}")
    return folder


def _needed(stage: Stage) -> Iterator[str]:
    """The stages that `stage` cannot do without, and what they cannot do without."""
    for one in stage.inputs:
        for name in one.stages if one.required else ():
            yield name
            yield from _needed(stage_named(name))


def origins(stage: Stage, folder: Path, runs: Path) -> Iterator[tuple[str, Path]]:
    """The stage and folder of every run that the run in `folder` was made from and that is still among `runs`, nearest
    first."""
    contents = read_manifest(folder)["inputs"]
    for one in stage.inputs:
        for name in one.stages:
            origin = next(with_content(contents.get(one.argument), runs / name), None)
            if origin is not None:
                yield name, origin
                yield from origins(stage_named(name), origin, runs)


def with_content(content: str | None, folder: Path) -> Iterator[Path]:
    """The finished runs in a folder that hold this content."""
    for run in sorted(folder.glob("*")):
        if content and is_done(run) and read_manifest(run)["content"] == content:
            yield run
