"""What a model was made from: runs, model folders and the user's files, each compared with its checksum.

In: a model, or a run of any stage. Out: its parts, nearest first. A part names its inputs by digests; runs are found by
their content, files where `inputs.jsonl` says that they lay. What cannot be found, or is from elsewhere, is said to be
unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from glassmill.errors import UserError
from glassmill.infer.find import find_model, read_meta
from glassmill.recipe import Recipe, load_recipe
from glassmill.run.finished import Manifest, is_done, read_manifest, run_damage
from glassmill.run.given import with_content
from glassmill.run.hashes import hash_files
from glassmill.run.inputs import InputRow, digest_files, digest_of, input_files, recorded_inputs
from glassmill.run.integrity import NOTE, sealed_damage
from glassmill.run.names import find_folder
from glassmill.run.stores.address import is_address
from glassmill.run.stores.stored import is_same
from glassmill.stages import NAMES, Files, stage_named

State = Literal["verified", "changed", "missing", "unknown", "not looked at"]
MOST_TOLD = 20
"""Files of one input that are named as changed."""
MISSING = "is missing"
AT_ONCE = 1000
ASKED_AT_ONCE = 16
"""Files that are hashed together, so that a long list is never in memory."""


@dataclass(slots=True)
class Link:
    """An input of a part.

    Attributes:
        argument: What the part calls it: an argument of its stage, or a setting that names files.
        digest: What the part's manifest has of it.
        state: What became of it.
        to: The part that it is, if it is a run or a model.
        says: A sentence: how many files, or which of them differ.
    """

    argument: str
    digest: str
    state: State
    to: str = ""
    says: str = ""


@dataclass(slots=True)
class Part:
    """A run, or a model folder from elsewhere (`stage` is empty, `manifest` None)."""

    name: str
    stage: str
    folder: Path
    manifest: Manifest | None = None
    state: State = "not looked at"
    says: str = ""
    inputs: list[Link] = field(default_factory=list)


@dataclass(slots=True)
class Chain:
    """All parts, nearest first; `model` is the folder of the model's files, if it is one."""

    name: str
    model: Path | None
    parts: list[Part]

    @property
    def links(self) -> list[tuple[Part, Link]]:
        """Every input, with the part that read it."""
        return [(part, link) for part in self.parts for link in part.inputs]

    @property
    def whole(self) -> bool:
        """Whether everything is there, known, and has the bytes that were written."""
        states = [part.state for part in self.parts] + [link.state for _, link in self.links]
        return all(state == "verified" for state in states)

    def of_stage(self, *stages: str) -> list[Part]:
        return [part for part in self.parts if part.stage in stages]


def chain_of(word: str, runs: Path, verify: bool) -> Chain:
    """The chain of a model or run; with `verify`, every file in it is hashed, whatever is remembered.

    Raises:
        UserError: `word` is neither, or a recorded list of inputs is damaged.
    """
    folder = _found(word, runs)
    run = folder.parent if folder.name == "model" and is_done(folder.parent) else folder
    builder = _Builder(runs if not is_done(run) else run.resolve().parent.parent, verify)
    name = builder.add(run)
    first = builder.parts[name]
    model = folder if (folder / "config.json").is_file() else folder / "model"
    if first.stage == "" and (origin := _origin_of_copy(folder, runs)):
        first.inputs.append(Link("made from the run", "", "unknown", builder.add(origin), "by its name"))
    return Chain(name, model if (model / "config.json").is_file() else None, list(builder.parts.values()))


def _found(word: str, runs: Path) -> Path:
    try:
        return find_model(word, runs)
    except UserError:
        folder = find_folder(word, runs, is_done, "model or run", "is finished")
        if is_done(folder):
            return folder
        raise


def _origin_of_copy(folder: Path, runs: Path) -> Path | None:
    """The run that a copied, quantised or merged model folder says it came from, if it is here."""
    note = read_meta(folder)
    stage, name = note.get("stage"), note.get("run")
    if stage in NAMES and isinstance(name, str) and Path(name).name == name and is_done(runs / str(stage) / name):
        return runs / str(stage) / name
    return None


class _Builder:
    def __init__(self, runs: Path, verify: bool) -> None:
        self.runs, self.verify = runs, verify
        self.parts: dict[str, Part] = {}

    def add(self, folder: Path) -> str:
        """Adds a run or a model folder with all that it was made from; returns its name."""
        manifest = read_manifest(folder) if is_done(folder) else None
        name = f"{manifest['stage']}/{folder.resolve().name}" if manifest else folder.resolve().name
        if name in self.parts:
            return name
        part = Part(name, manifest["stage"] if manifest else "", folder, manifest)
        self.parts[name] = part
        if manifest is None:
            self._model_from_elsewhere(part)
            return name
        if self.verify:
            wrong = run_damage(folder, again=True)
            part.state = "changed" if wrong else "verified"
            part.says = "; ".join(f"{one.name} {one.what}" for one in wrong[:MOST_TOLD])
        if not part.says:
            part.says = f"{len(manifest['files']):,} files"
        part.inputs += self._links(part, manifest)
        return name

    def _model_from_elsewhere(self, part: Part) -> None:
        note = read_meta(part.folder)
        if self.verify and (part.folder / NOTE).is_file():
            wrong = sealed_damage(part.folder, again=True)
            part.state = "changed" if wrong else "verified"
            part.says = "; ".join(f"{one.name} {one.what}" for one in wrong[:MOST_TOLD])
        elif self.verify:
            part.state = "unknown"
            part.says = "it has no checksums: glassmill did not write it"
        origin = note.get("imported_from") or note.get("quantized_from") or note.get("adapter")
        told = f"imported from {origin}: " if origin else ""
        part.inputs.append(Link("training data", "", "unknown", says=f"{told}what it was trained on is not known here"))

    def _links(self, part: Part, manifest: Manifest) -> Iterator[Link]:
        recipe = _recipe_of(part.folder)
        digests = dict(manifest["inputs"])
        stage = stage_named(manifest["stage"]) if manifest["stage"] in NAMES else None
        for one in stage.inputs if stage else ():
            if one.argument not in digests:
                continue
            digest = digests.pop(one.argument)
            yield self._run_link(one.argument, digest, one.stages, recipe)
        settings = dict(stage.files(recipe)) if stage and recipe else {}
        listed = {row["setting"] for row in recorded_inputs(part.folder)}
        for setting, digest in digests.items():
            files = settings.get(setting, Files())
            if files.run or setting.startswith("train.mixture"):
                yield self._run_link(setting, digest, ("tokens",), recipe, files.run)
            elif setting in listed:
                yield self._file_link(part.folder, setting, digest)
            else:
                yield self._unlisted(setting, digest, files)

    def _run_link(
        self, argument: str, digest: str, stages: tuple[str, ...], recipe: Recipe | None, where: str | None = None
    ) -> Link:
        places = (
            [Path(where)] if where else [Path(recipe.given[one]) for one in stages if recipe and one in recipe.given]
        )
        found = next((run for stage in stages for run in with_content(digest, self.runs / stage)), None)
        for place in places:
            if found is None and is_done(place) and read_manifest(place)["content"] == digest:
                found = place
        if found is None:
            return Link(argument, digest, "missing", says=f"no run of {' or '.join(stages)} here has this content")
        name = self.add(found)
        state: State = self.parts[name].state
        return Link(argument, digest, state, name)

    def _file_link(self, folder: Path, setting: str, digest: str) -> Link:
        rows = [row for row in recorded_inputs(folder) if row["setting"] == setting]
        is_list = digest_of((row["name"], row["content"]) for row in rows) == digest
        to = self._part_of(rows)
        size = sum(row["bytes"] for row in rows)
        says = f"{len(rows):,} file{'s' * (len(rows) != 1)}, {size:,} bytes"
        if not is_list:
            return Link(setting, digest, "changed", to, "inputs.jsonl has other names or checksums than the run read")
        if not self.verify:
            return Link(setting, digest, "not looked at", to, says)
        wrong, told = Counter[str](), list[str]()
        for row, how in looked_at(rows):
            wrong[how] += 1
            if how and len(told) < MOST_TOLD:
                told.append(f"{row['name']} {how}")
        if told:
            number = wrong.total() - wrong[""]
            says = f"{number:,} of {len(rows):,} files differ: {'; '.join(told)}"
            return Link(setting, digest, "missing" if wrong[MISSING] == number else "changed", to, says)
        return Link(setting, digest, "verified", to, says)

    def _part_of(self, rows: list[InputRow]) -> str:
        """The run or model that the files lie in, if they do."""
        folders = {Path(row["path"]).parent for row in rows}
        named = ""
        for folder in sorted(folders):
            if _is_done(folder.parent):
                named = self.add(folder.parent)
            elif (folder / NOTE).is_file() and (folder / "config.json").is_file():
                named = self.add(folder)
        return named

    def _unlisted(self, setting: str, digest: str, files: Files) -> Link:
        """An input of a run of an older version, which kept no list."""
        if not files.words:
            return Link(setting, digest, "unknown", says="the run kept no list of these files")
        try:
            same = digest_files(input_files(files.words, files.folders)) == digest
        except UserError as error:
            return Link(setting, digest, "missing", says=str(error))
        says = "the run kept no list of these files; they were compared as a whole"
        return Link(setting, digest, "verified" if same else "changed", says=says)


def looked_at(rows: list[InputRow]) -> Iterator[tuple[InputRow, str]]:
    """Every file with how it differs from what was read; empty if it doesn't."""
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        here = [row["path"] for row in some if not is_address(row["path"])]
        by_path = dict(zip(here, hash_files([Path(path) for path in here], again=True), strict=True))
        yield from _looked_at_in_stores([row for row in some if is_address(row["path"])])
        for row in (row for row in some if not is_address(row["path"])):
            now = by_path[row["path"]]
            if len(row["content"]) != 64:  # it must not be read, and was not
                yield row, ""
            elif now is None:
                yield row, MISSING
            else:
                yield row, "" if now == row["content"] else "has other bytes than were read"


def _looked_at_in_stores(rows: list[InputRow]) -> Iterator[tuple[InputRow, str]]:
    """The same of files in stores, by their tags there."""

    def how(row: InputRow) -> str:
        try:
            same = is_same(row["path"], row["content"])
        except UserError as error:
            return f"cannot be looked at ({error})"
        return MISSING if same is None else "" if same else "is another one than was read"

    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        yield from zip(rows, pool.map(how, rows), strict=True)


@lru_cache(4096)
def _is_done(folder: Path) -> bool:
    return is_done(folder)


def _recipe_of(run: Path) -> Recipe | None:
    """A run's recipe; None if this version of glassmill cannot read it."""
    try:
        return load_recipe(run / "recipe.toml")
    except UserError:
        return None
