"""Whether files still have the bytes that were written: SHA-256 against a list, hashed once a machine (`hashes.py`).

Lists of checksums lie beside what they describe: `manifest.json` in a finished run, the key `integrity` in a model
folder's `glassmill.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from glassmill.errors import UserError
from glassmill.foreign_json import load_json
from glassmill.run.files import sha256_file
from glassmill.run.hashes import hash_files, stamp_of

NOTE = "glassmill.json"
SEALED = "checksums"
"""Key in the header of weights that were sealed; its value is the name of the list."""
MAX_HEADER = 16 << 20


class Damage(NamedTuple):
    """A file that is not what was written, and how it differs."""

    name: str
    what: str


def damage(
    folder: Path, expected: Mapping[str, str], sizes: Mapping[str, int] | None = None, again: bool = False
) -> list[Damage]:
    """The files of `folder` that are missing or have other bytes.

    Args:
        folder: Where they are.
        expected: Name -> SHA-256.
        sizes: Name -> bytes, where known: another size needs no hash.
        again: Hash every file, whatever is remembered.
    """
    found: list[Damage] = []
    there: list[str] = []
    for name in expected:
        stamp = stamp_of(f"{folder}/{name}")
        if stamp is None:
            found.append(Damage(name, "is missing"))
        elif sizes is not None and name in sizes and sizes[name] != stamp[0]:
            found.append(Damage(name, f"has {stamp[0]:,} bytes instead of {sizes[name]:,}"))
        else:
            there.append(name)
    differing = _differing(folder, there, expected, again)
    if differing and not again:  # a file is not called damaged for what was remembered of it
        differing = _differing(folder, list(differing), expected, True)
    for name, now in differing.items():
        found.append(Damage(name, "cannot be read" if now is None else "has other bytes than were written"))
    return sorted(found)


def _differing(folder: Path, names: list[str], expected: Mapping[str, str], again: bool) -> dict[str, str | None]:
    """The files whose digest is another, and which."""
    digests = hash_files([f"{folder}/{name}" for name in names], again)
    return {name: now for name, now in zip(names, digests, strict=True) if now != expected[name]}


def check(folder: Path, expected: Mapping[str, str], advice: str, names: Iterable[str] | None = None) -> None:
    """Refuses files that are not what was written.

    Args:
        folder: Where they are.
        expected: Name -> SHA-256.
        advice: What the user can do, to follow a semicolon.
        names: The ones that are about to be read; by default all.

    Raises:
        UserError: One of them is missing or has other bytes.
    """
    wanted = expected if names is None else {name: expected[name] for name in names if name in expected}
    for name, what in damage(folder, wanted):
        raise UserError(f"{folder / name} {what}; {advice}")


def check_run_files(folder: Path, names: Iterable[str]) -> None:
    """Refuses damaged files of a finished run, before they are read. A folder with neither `DONE` nor a manifest is no
    finished run and not checked.

    Raises:
        UserError: One of them is missing or has other bytes.
    """
    manifest = folder / "manifest.json"
    if not manifest.exists() and not (folder / "DONE").exists():
        return
    if not manifest.is_file():
        raise UserError(f"{manifest} is missing; `glassmill run` of its recipe makes the run again")
    try:
        expected = {name: str(entry["sha256"]) for name, entry in load_json(manifest)["files"].items()}
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{manifest} is damaged: `glassmill run` of its recipe makes the run again") from None
    check(folder, expected, "the run is damaged: `glassmill run` of its recipe makes it again", names)


# --- model folders, which are copied elsewhere ------------------------------------------------------------------------


def file_digests(folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Name -> SHA-256 of every file of a model folder but the note; those that are `known` are not hashed again."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NOTE)
    names = {path.relative_to(folder).as_posix(): path for path in found}
    return {name: (known or {}).get(name) or sha256_file(path) for name, path in names.items()}


def seal(folder: Path, note: Mapping[str, object], known: Mapping[str, str] | None = None) -> None:
    """Writes `glassmill.json`: `note`, and the checksum of every other file (some may be `known`) and of the note
    itself."""
    files = file_digests(folder, known)
    whole = {**note, "integrity": {"files": files, "note": _note_digest(note)}}
    text = json.dumps(whole, indent=2, ensure_ascii=False, sort_keys=True, allow_nan=False)
    (folder / NOTE).write_text(text + "\n", encoding="utf-8")


def check_sealed(folder: Path, again: bool = False) -> None:
    """Refuses a model folder of ours in which a file was changed; one from elsewhere is not checked.

    Raises:
        UserError: A file is missing or has other bytes.
    """
    for name, what in sealed_damage(folder, again):
        raise UserError(
            f"{folder / name} {what}: the model is damaged; copy, import or train it again (or, if you changed it on "
            f'purpose, write "integrity": null in {NOTE})'
        )


def sealed_damage(folder: Path, again: bool = False) -> list[Damage]:
    """What in a model folder is not as `seal` left it.

    Raises:
        UserError: `glassmill.json` is not a JSON object.
    """
    if not (folder / NOTE).exists():
        return [Damage(NOTE, "is missing")] if _was_sealed(folder) else []
    whole = load_json(folder / NOTE)
    if not isinstance(whole, dict):
        raise UserError(f"{folder / NOTE} is not a JSON object")
    if "integrity" not in whole:
        return [Damage(NOTE, "has lost its checksums")] if _was_sealed(folder) else []
    sealed = whole.pop("integrity")
    if sealed is None:  # somebody changed the model on purpose
        return []
    files = sealed.get("files") if isinstance(sealed, dict) else None
    if not isinstance(files, dict) or not all(_is_entry(name, digest) for name, digest in files.items()):
        return [Damage(NOTE, "has a damaged list of checksums")]
    if sealed.get("note") != _note_digest(whole):
        return [Damage(NOTE, "has other bytes than were written")]
    return damage(folder, files, again=again)


def _was_sealed(folder: Path) -> bool:
    """Whether the weights themselves say that a list of checksums lies beside them."""
    for file in folder.glob("*.safetensors"):
        if not file.is_file():
            continue
        with file.open("rb") as weights:
            length = int.from_bytes(weights.read(8), "little")
            header = weights.read(min(length, MAX_HEADER))
        if f'"{SEALED}":"{NOTE}"'.encode() in header.replace(b" ", b""):
            return True
    return False


def sealed_digests(folder: Path) -> dict[str, str]:
    """The files that a model folder has checksums of, and these; none for a folder from elsewhere."""
    whole = load_json(folder / NOTE) if (folder / NOTE).is_file() else None
    sealed = whole.get("integrity") if isinstance(whole, dict) else None
    files = sealed.get("files") if isinstance(sealed, dict) else None
    return {name: str(digest) for name, digest in files.items()} if isinstance(files, dict) else {}


def _is_entry(name: str, digest: object) -> bool:
    path = Path(name)
    return isinstance(digest, str) and not path.is_absolute() and ".." not in path.parts


def _note_digest(note: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(dict(note), sort_keys=True, allow_nan=False).encode()).hexdigest()
