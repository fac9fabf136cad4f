"""What a finished run says of itself, and whether it still is what was written.

manifest.json   identity, counts, software, SHA-256 and size of every artefact
stats.json      numbers for people
DONE            the content's digest and the manifest's SHA-256: the last file that is written

Artefacts are all files but those named here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, cast

from glassmill.errors import UserError
from glassmill.foreign_json import load_json
from glassmill.run.files import remove, sha256_file
from glassmill.run.integrity import Damage, damage
from glassmill.run.resolved import Resolved

INPUTS = "inputs.jsonl"
"""The user's files that a run read: see `run.inputs`."""
NOT_ARTEFACTS = frozenset(
    {
        INPUTS, "recipe.toml", "events.jsonl", "metrics.csv", "manifest.json", "stats.json", "plan.json", "DONE",
        "lock", "suffixes.lock",
    }
)  # fmt: skip
SCRATCH_FOLDERS = frozenset({"checkpoints", "work"})
LOGS = "logs"
"""The folder of what other programs log of a run; no artefacts."""
SNAPSHOTS = "snapshots"
"""The folder of weights that a training leaves to be looked at; no artefacts: see `train.snapshots`."""
SEARCH, SUFFIXES = "search", "suffixes"
"""Folders of indexes that are made from a finished run's artefacts: see `search.index` and `tokens.suffixes`."""
INDEXES = (SEARCH, SUFFIXES)


class FileEntry(TypedDict):
    """An artefact: SHA-256 and size."""

    sha256: str
    bytes: int


class Computed(TypedDict, total=False):
    """What an older glassmill did not write: see `Identity.computed`."""

    computed: Resolved


class Manifest(Computed):
    """`manifest.json`: the parts of the identity, what came out, and by which software."""

    stage: str
    version: int
    digest: str
    settings: Mapping[str, object]
    inputs: Mapping[str, str]
    resolved: Resolved
    counts: Mapping[str, Any]
    content: str
    files: Mapping[str, FileEntry]
    software: Mapping[str, str]


def content_digest(hashes: Mapping[str, str]) -> str:
    """One SHA-256 over names and hashes: by this, a later stage knows its input."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def is_done(path: Path) -> bool:
    """Whether the run in `path` is finished."""
    return (path / "DONE").is_file() and (path / "manifest.json").is_file()


def read_manifest(path: Path) -> Manifest:
    """The manifest of a finished run.

    Raises:
        UserError: `path` is not a finished run, or its manifest is damaged.
    """
    if not (path / "manifest.json").is_file():
        raise UserError(f"{path} is not a finished run (no manifest.json); run its stage first")
    manifest = load_json(path / "manifest.json")
    if not _is_manifest(manifest):
        raise UserError(f"{path / 'manifest.json'} is damaged; `glassmill run` of its recipe makes the run again")
    return cast("Manifest", manifest)


def read_stats(path: Path) -> dict[str, Any]:
    """The numbers of a finished run."""
    stats: dict[str, Any] = json.loads((path / "stats.json").read_text(encoding="utf-8"))
    return stats


def _is_manifest(value: object) -> bool:
    """Whether what is read later is there, in the right types."""
    if not isinstance(value, dict) or not value.keys() >= Manifest.__required_keys__:
        return False
    files, texts = value["files"], (value["stage"], value["digest"], value["content"])
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(value[name], dict) for name in ("settings", "inputs", "resolved", "counts", "software"))
        and isinstance(files, dict)
        and all(
            isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and type(entry.get("bytes")) is int
            for entry in files.values()
        )
        and not any(map(_leads_out, files))
    )


def _leads_out(name: str) -> bool:
    """Whether a path is absolute, or goes up; most show at once that they do neither."""
    if ".." not in name and ":" not in name and name[:1] not in ("/", "\\"):
        return False
    return Path(name).is_absolute() or ".." in Path(name).parts


def run_damage(path: Path, again: bool = False) -> list[Damage]:
    """What in a finished run is gone or has changed since it was finished; `again` hashes what was hashed before.

    `DONE` holds the hash of the manifest, and the manifest those of the artefacts.
    """
    try:
        manifest = read_manifest(path)
    except UserError as error:
        return [Damage("manifest.json", f"cannot be read ({error})")]
    files = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    content, *rest = (path / "DONE").read_text(encoding="utf-8", errors="replace").split() or [""]
    if content != manifest["content"] or content != content_digest(files):
        return [Damage("DONE", "names another content than the manifest")]
    if rest and rest != [sha256_file(path / "manifest.json")]:
        return [Damage("manifest.json", "has other bytes than were written")]
    return damage(path, files, {name: entry["bytes"] for name, entry in manifest["files"].items()}, again)


def discard(path: Path) -> None:
    """Deletes the artefacts of a damaged run, so that its stage can make them again: all of them, because a stage
    continues from what it finds. Plan and checkpoints stay: with them, the same bytes come out."""
    remove(path / "DONE")
    for name in [*artefacts(path), "manifest.json", "stats.json", "work", SNAPSHOTS, *INDEXES]:
        remove(path / name)


def artefacts(path: Path) -> list[str]:
    """Names of the files of a run that are artefacts, sorted."""
    names = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    return sorted(
        name.as_posix()
        for name in names
        if name.parts[0] not in {*SCRATCH_FOLDERS, LOGS, SNAPSHOTS, *INDEXES} and name.as_posix() not in NOT_ARTEFACTS
    )
