"""Whether files still have the bytes that were written: SHA-256 against a list, hashed once a machine and remembered.

Lists of checksums lie beside what they describe: `manifest.json` in a finished run, the key `integrity` in a model
folder's `glassmill.json`. A file that was hashed is not hashed again while its size, times and inode stay
(`verified.json` in the cache folder), so looking twice costs one `stat` a file. As in git's index, a file changed in
the last two seconds is never remembered: another change within one tick of the clock would go unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from glassmill.errors import UserError
from glassmill.foreign_json import load_json
from glassmill.run.files import atomic_write, cache_folder, sha256_file

SETTLED_NS = 2_000_000_000
MAX_REMEMBERED = 20_000
NOTE = "glassmill.json"
SEALED = "checksums"
"""Key in the header of weights that were sealed; its value is the name of the list."""
MAX_HEADER = 16 << 20

Stamp = tuple[int, int, int, int]
"""Size, modification and change time in ns, inode."""


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
    memory = _Memory()
    found: list[Damage] = []
    unknown: list[tuple[str, Path, Stamp]] = []
    for name, digest in expected.items():
        path = folder / name
        stamp = stamp_of(path)
        if stamp is None:
            found.append(Damage(name, "is missing"))
        elif sizes is not None and name in sizes and sizes[name] != stamp[0]:
            found.append(Damage(name, f"has {stamp[0]:,} bytes instead of {sizes[name]:,}"))
        elif again or memory.get(path, stamp) != digest:
            unknown.append((name, path, stamp))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing leaves Python's lock to the others
        for (name, path, stamp), now in zip(unknown, pool.map(_hashed, [path for _, path, _ in unknown]), strict=True):
            if now != expected[name]:
                found.append(Damage(name, "cannot be read" if now is None else "has other bytes than were written"))
            else:
                memory.add(path, stamp, now)
    memory.save()
    return sorted(found)


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


def seal(folder: Path, note: Mapping[str, object]) -> None:
    """Writes `glassmill.json`: `note`, and the checksum of every other file and of the note itself."""
    files = {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != NOTE
    }
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


def sealed_files(folder: Path) -> list[str]:
    """Names of the files that a model folder has checksums of."""
    whole = load_json(folder / NOTE)
    sealed = whole.get("integrity") if isinstance(whole, dict) else None
    files = sealed.get("files") if isinstance(sealed, dict) else None
    return list(files) if isinstance(files, dict) else []


def _is_entry(name: str, digest: object) -> bool:
    path = Path(name)
    return isinstance(digest, str) and not path.is_absolute() and ".." not in path.parts


def _note_digest(note: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(dict(note), sort_keys=True, allow_nan=False).encode()).hexdigest()


# --- what was hashed before -------------------------------------------------------------------------------------------


def stamp_of(path: Path) -> Stamp | None:
    """What changes when a file does; None if there is no regular file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino) if path.is_file() else None


def _hashed(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None


class _Memory:
    """`verified.json`: path -> stamp and SHA-256. Two processes may lose each other's entries, never falsify one."""

    def __init__(self) -> None:
        self._path = cache_folder() / "verified.json"
        self._new: dict[str, list[Any]] = {}
        self._known = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            known = load_json(self._path)
        except UserError:
            return {}
        return known if isinstance(known, dict) else {}

    def get(self, path: Path, stamp: Stamp) -> object:
        entry = self._known.get(str(path.absolute()))
        if not isinstance(entry, list) or len(entry) != 5 or entry[:4] != list(stamp):
            return None
        return entry[4]

    def add(self, path: Path, stamp: Stamp, digest: str) -> None:
        if max(stamp[1], stamp[2]) < time.time_ns() - SETTLED_NS and stamp_of(path) == stamp:
            self._new[str(path.absolute())] = [*stamp, digest]

    def save(self) -> None:
        if not self._new:
            return
        entries = {**self._read(), **self._new}
        kept = dict(list(entries.items())[-MAX_REMEMBERED:])
        try:
            atomic_write(self._path, json.dumps(kept, separators=(",", ":"), allow_nan=False))
        except (OSError, UserError):
            return  # a cache that cannot be written costs time, nothing else
