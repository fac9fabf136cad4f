"""The runs of a folder, two or more side by side, and their end with all that was made from them.

A run was made from another if its manifest names that run's content as an input. Runs with equal bytes stand for each
other: what was made from one of them stays while the other does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from glassmill.errors import UserError
from glassmill.foreign_json import load_json
from glassmill.printable import shown
from glassmill.run.files import bytes_of, is_held, remove
from glassmill.run.finished import Manifest, is_done, read_manifest
from glassmill.run.folder import layers_of
from glassmill.run.names import find_folder
from glassmill.run.stores.address import is_address
from glassmill.stages import STAGES

State = Literal["done", "running", "unfinished", "damaged"]
NUMBERS = {stage.name: stage.headline for stage in STAGES}


class RunEntry(TypedDict):
    """One run.

    Attributes:
        run: Its name, `stage/recipe-digest`.
        changed: When it was finished or last worked in, in seconds since 1970.
        made_from: The runs whose output it read.
        numbers: What it came to.
    """

    run: str
    state: State
    changed: float
    bytes: int
    made_from: list[str]
    numbers: dict[str, float]


class RunList(TypedDict):
    """All runs, stage by stage, the newest last. `layers`: bytes of texts that spare further runs the reading."""

    runs: list[RunEntry]
    bytes: int
    layers: int


class Comparison(TypedDict):
    """Runs of one stage side by side: what differs in the settings, inputs and machine, and all numbers.

    A value is None where a run has none of that name.
    """

    runs: list[str]
    settings: dict[str, list[Any]]
    inputs: dict[str, list[Any]]
    machine: dict[str, list[Any]]
    numbers: dict[str, list[Any]]


class Doomed(TypedDict):
    """A run that goes, and why."""

    run: str
    bytes: int
    why: str


class Deletion(TypedDict):
    """What goes, and whether it has gone."""

    runs: list[Doomed]
    bytes: int
    deleted: bool


class _Run(NamedTuple):
    name: str
    path: Path
    state: State
    manifest: Manifest | None


def list_runs(runs: Path) -> RunList:
    """What is under `runs`.

    Raises:
        UserError: There is no such folder.
    """
    found = list(_runs(runs))
    of_content = _names_by_content(found)
    entries = [_entry(run, of_content) for run in found]
    order = {stage.name: number for number, stage in enumerate(STAGES)}
    entries.sort(key=lambda entry: (order.get(entry["run"].split("/")[0], -1), entry["changed"]))
    layers = layers_of(runs)
    kept = bytes_of(layers) if layers.is_dir() else 0
    return {"runs": entries, "bytes": sum(entry["bytes"] for entry in entries), "layers": kept}


def _runs(runs: Path) -> Iterator[_Run]:
    if not runs.is_dir():
        raise UserError(f"no runs folder at {runs}; name it with --runs")
    for path in sorted(runs.glob("*/*")):
        if path.is_symlink() or path.name.startswith(".") or not _is_run(path):
            continue
        state: State = "unfinished"
        manifest = None
        if is_done(path):
            try:
                state, manifest = "done", read_manifest(path)
            except UserError:
                state = "damaged"
        yield _Run(path.relative_to(runs).as_posix(), path, "running" if is_held(path / "lock") else state, manifest)


def _is_run(path: Path) -> bool:
    return (path / "events.jsonl").is_file()


def _names_by_content(found: Sequence[_Run]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for run in found:
        if run.manifest:
            names.setdefault(run.manifest["content"], []).append(run.name)
    return names


def _entry(run: _Run, of_content: Mapping[str, list[str]]) -> RunEntry:
    inputs = run.manifest["inputs"].values() if run.manifest else ()
    stats = _stats(run.path) if run.manifest else {}
    last = run.path / "manifest.json" if run.manifest else run.path / "events.jsonl"
    return {
        "run": run.name,
        "state": run.state,
        "changed": last.stat().st_mtime,
        "bytes": bytes_of(run.path),
        "made_from": list(dict.fromkeys(name for digest in inputs for name in of_content.get(digest, []))),
        "numbers": {name: stats[name] for name in NUMBERS.get(run.name.split("/")[0], ()) if name in stats},
    }


def _stats(path: Path) -> dict[str, float]:
    """The single numbers of a run's `stats.json`."""
    try:
        stats = load_json(path / "stats.json")
    except UserError:
        return {}
    numbers = stats.items() if isinstance(stats, dict) else ()
    return {name: value for name, value in numbers if type(value) in (int, float)}


def compare(words: Sequence[str], runs: Path) -> Comparison:
    """Finished runs of one stage side by side.

    Raises:
        UserError: There are fewer than two, a name fits none or several, a run is not finished, or they are of several
            stages.
    """
    if len(words) < 2:
        raise UserError("give two runs or more; `glassmill runs` lists them")
    paths = [find_folder(word, runs, is_done, "run", "is finished") for word in words]
    manifests = [read_manifest(path) for path in paths]
    stages = {manifest["stage"] for manifest in manifests}
    if len(stages) > 1:
        each = ", ".join(f"{path} is of {one['stage']}" for path, one in zip(paths, manifests, strict=True))
        raise UserError(f"runs of one stage can be compared; {each}")
    of_content = _names_by_content(list(_runs(runs))) if runs.is_dir() else {}
    settings = [_flat(manifest["settings"], manifest["stage"]) for manifest in manifests]
    inputs = [
        {name: ", ".join(of_content.get(digest, [digest[:12]])) for name, digest in manifest["inputs"].items()}
        for manifest in manifests
    ]
    machine = [{**one["resolved"], **one.get("computed", {}), "version": one["version"]} for one in manifests]
    return {
        "runs": [f"{one['stage']}/{path.name}" for path, one in zip(paths, manifests, strict=True)],
        "settings": _differing(settings),
        "inputs": _differing(inputs),
        "machine": _differing(machine),
        "numbers": _beside([_stats(path) for path in paths]),
    }


def _flat(settings: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """`train.peak_lr` -> its value, as a recipe has it."""
    flat: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                add(f"{prefix}.{name}", inner)
        else:
            flat[prefix] = value

    for name, value in settings.items():
        add(stage if name == "settings" else name, value)
    return flat


def _beside(columns: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for column in columns for name in column)
    return {name: [column.get(name) for column in columns] for name in names}


def _differing(columns: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: row for name, row in _beside(columns).items() if any(value != row[0] for value in row)}


def delete(words: Sequence[str], runs: Path, really: bool) -> Deletion:
    """The named runs and all that was made from them; they go if `really` is set.

    Raises:
        UserError: A name fits none or several, or a process works in a run that would go.
    """
    found = list(_runs(runs))
    paths = {run.path.resolve(): run for run in found}
    why: dict[str, str] = {}
    for word in words:
        if is_address(word):
            raise UserError(f"{shown(word)!r} lies in a store; delete it there with the store's own tools")
        path = find_folder(word, runs, _is_run, "run", "has events.jsonl").resolve()
        if path not in paths:
            raise UserError(f"{word} is no run under {runs}/")
        why[paths[path].name] = "named"
    while more := dict(_orphans(found, why)):
        why |= more
    doomed = [run for run in found if run.name in why]
    busy = next((run.name for run in doomed if run.state == "running"), None)
    if busy:
        raise UserError(f"a process is working in {busy}; stop it first")
    gone: list[Doomed] = [{"run": run.name, "bytes": bytes_of(run.path), "why": why[run.name]} for run in doomed]
    if really:
        for run in doomed:
            remove(run.path / "DONE")  # killed here, it is an unfinished run, not a damaged one
            remove(run.path)
    return {"runs": gone, "bytes": sum(one["bytes"] for one in gone), "deleted": really}


def _orphans(found: Sequence[_Run], gone: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Runs that stay although what they were made from goes, and its name."""
    of_content = _names_by_content(found)
    for run in found:
        if run.name in gone or not run.manifest:
            continue
        for digest in run.manifest["inputs"].values():
            origins = of_content.get(digest, [])
            if origins and all(name in gone for name in origins):
                yield run.name, f"made from {origins[0]}"
                break
