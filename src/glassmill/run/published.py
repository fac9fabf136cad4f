"""Finished runs in object stores: pushed so that a run is seen whole or not at all, pulled with every checksum.

    s3://bucket/prefix/<stage>/<name>/UPLOADING.json    which files are being uploaded; while it is the only list, the
                                                        run is not there
    s3://bucket/prefix/<stage>/<name>/...               the files of the run, under their names
    s3://bucket/prefix/<stage>/<name>/PUBLISHED.json    each file's SHA-256 and size; written last, in one piece

A store cannot rename, but shows each object once it is complete. So a push that was cut off is continued: an object of
the right size, listed by the same `UPLOADING.json`, is whole. What another push left there is deleted first. A pull
collects the files beside the runs, and the folder gets its name when all of them are what was pushed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypedDict, cast

from glassmill.errors import FULL_DISK, UserError
from glassmill.foreign_json import load_json
from glassmill.printable import printable, shown
from glassmill.run.files import TEMPORARY, disk_full, locked, remove, sha256_file, sync
from glassmill.run.finished import INPUTS, FileEntry, is_done, read_manifest, run_damage
from glassmill.run.folder import PULLING
from glassmill.run.stores.address import PUBLISHED, UPLOADING, parts_of, scheme_of
from glassmill.run.stores.client import delete, entries_under, entry_at, put_bytes, put_file, read_range

COMPANIONS = (INPUTS, "recipe.toml", "events.jsonl", "metrics.csv", "stats.json", "plan.json", "manifest.json", "DONE")
"""Files of a run that are no artefacts and belong to it."""
AT_ONCE = 8
BLOCK_BYTES = 8 << 20
TRIES = 3
"""Of a file that arrives with other bytes than were pushed."""
MAX_LIST_BYTES = 512 << 20
LONGEST_NAME, LONGEST_PART = 1024, 200
_RUN = re.compile(r"[a-z]{1,20}/[\w+][\w.+-]{0,150}")

Told = Callable[[int, int], None]
"""Called with the bytes that are through, and all of them."""


class Publication(TypedDict):
    """What a list says: `stage/name` of the run, its content (see the manifest), and its files."""

    run: str
    content: str
    files: dict[str, FileEntry]


class Moved(TypedDict):
    """What was pushed or pulled: where to, how many files and bytes, and how many of them were not there yet."""

    run: str
    files: int
    bytes: int
    new: int


def push(folder: Path, address: str, told: Told | None = None) -> Moved:
    """Publishes a finished run under `address`, as `<stage>/<name>`; one that is there already stays.

    Raises:
        UserError: the run is damaged, another one of that name is published there, or the store fails.
    """
    scheme_of(address)
    for one in run_damage(folder):
        raise UserError(f"{folder / one.name} {one.what}; `glassmill run` of its recipe makes the run again")
    manifest = read_manifest(folder)
    run = f"{manifest['stage']}/{folder.name}"
    place = f"{address.rstrip('/')}/{run}"
    there = _published(place)
    if there:
        if there["content"] != manifest["content"]:
            raise UserError(f"{shown(place)} holds another run of that name; give another prefix, or delete it there")
        return {"run": place, "files": len(there["files"]), "bytes": _bytes(there), "new": 0}
    ours: Publication = {"run": run, "content": manifest["content"], "files": _files(folder)}
    have = _continued(place, ours)
    missing = [name for name, entry in ours["files"].items() if have.get(name) != entry["bytes"]]
    _all(missing, ours, told, lambda name: put_file(folder / name, f"{place}/{name}"))
    _check_sizes(place, ours)
    if _list_at(f"{place}/{UPLOADING}") != ours:  # its files may lie over some of these
        raise UserError(f"{shown(place)}: another push of this run is under way; push again when that has ended")
    put_bytes(_text(ours), f"{place}/{PUBLISHED}")
    delete([f"{place}/{UPLOADING}"])
    return {"run": place, "files": len(ours["files"]), "bytes": _bytes(ours), "new": len(missing)}


def pull(address: str, runs: Path, told: Told | None = None) -> tuple[Path, Moved]:
    """The run that is published at `address`, as a folder under `runs`; one that is there already stays.

    Raises:
        UserError: nothing is published there, its list is damaged or names files outside the run, a file is not what
            was pushed, another run of that name is here, or the store fails.
    """
    place = address.rstrip("/")
    published = _published(place)
    if published is None:
        begun = entry_at(f"{place}/{UPLOADING}") is not None
        why = "its push was cut off or is under way; push it again" if begun else "give the address that `push` printed"
        raise UserError(f"no published run at {shown(place)}: {why}")
    folder = runs / published["run"]
    moved: Moved = {"run": published["run"], "files": len(published["files"]), "bytes": _bytes(published), "new": 0}
    if _is_here(folder, published):
        return folder, moved
    work = folder.with_name(f"{PULLING}{folder.name}")
    work.parent.mkdir(parents=True, exist_ok=True)
    lock = work.with_name(f"{work.name}.lock")
    with locked(lock, "pull"):
        try:
            work.mkdir(exist_ok=True)
            missing = [name for name, entry in published["files"].items() if not _is_whole(work / name, entry)]
            _all(missing, published, told, lambda name: _fetch(place, name, published["files"][name], work))
            for one in run_damage(work):
                raise UserError(f"{shown(place)}/{one.name} {one.what}, though it is what was published; push it again")
            sync(work)
            if not _is_here(folder, published):  # again: the files may have taken hours
                remove(folder)
                work.rename(folder)
            remove(work)
        except OSError as error:
            if error.errno in FULL_DISK:
                raise disk_full(work) from None
            raise
    remove(lock)
    return folder, {**moved, "new": len(missing)}


def _is_here(folder: Path, published: Publication) -> bool:
    """Whether the folder is the published run, and whole."""
    if not folder.exists():
        return False
    if not is_done(folder):
        raise UserError(f"{folder} is an unfinished run of that name; finish or delete it, or give another --runs")
    if read_manifest(folder)["content"] != published["content"]:
        raise UserError(f"{folder} is another run of that name; give another folder with --runs")
    return not run_damage(folder)


# --- what lies in the store -------------------------------------------------------------------------------------------


def _published(place: str) -> Publication | None:
    """The list of the run that is published there; None if none is.

    Raises:
        UserError: it is damaged, or not the list of a run at this address.
    """
    found = _list_at(f"{place}/{PUBLISHED}")
    if found is None:
        return None
    where = f"{shown(place)}/{PUBLISHED}"
    is_list = isinstance(found, dict) and isinstance(found.get("files"), dict)
    if not is_list or not all(isinstance(found.get(name), str) for name in ("run", "content")):
        raise UserError(f"{where} is damaged: not the list of a run")
    if not _RUN.fullmatch(found["run"]) or tuple(found["run"].split("/")) != parts_of(place)[-2:]:
        raise UserError(f"{where} is the list of another run: {shown(found['run'])!r}")
    for name, entry in found["files"].items():
        if why := _why_unsafe(name):
            raise UserError(f"{where} names the file {shown(name)!r}: {why}")
        known = isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and type(entry.get("bytes")) is int
        if not known or entry["bytes"] < 0:
            raise UserError(f"{where} is damaged: no checksum of {shown(name)!r}")
    folders = {str(folder) for name in found["files"] for folder in Path(name).parents}
    if clash := folders & found["files"].keys():
        raise UserError(f"{where} names {shown(min(clash))!r} as a file and as a folder")
    return cast("Publication", found)


def _list_at(address: str) -> Any:
    """The JSON there; None if there is nothing."""
    entry = entry_at(address)
    if entry is None:
        return None
    if entry.size > MAX_LIST_BYTES:
        raise UserError(f"{shown(address)} has {entry.size:,} bytes; at most {MAX_LIST_BYTES:,} are read")
    return load_json(read_range(address, 0, entry.size), what=shown(address), max_bytes=MAX_LIST_BYTES)


def _why_unsafe(name: str) -> str:
    """Why a file of that name must not be written into a run; empty if it may."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        return "it would lie outside the run"
    if printable(name) != name:
        return "it holds characters that are not shown"
    if name.endswith(TEMPORARY):
        return "it is a temporary one"
    if len(name) > LONGEST_NAME or any(len(part.encode()) > LONGEST_PART for part in parts):
        return "it is too long"
    return ""


def _continued(place: str, ours: Publication) -> dict[str, int]:
    """Name -> bytes of what an earlier push of the same files has uploaded. What another one left is deleted."""
    left = {entry.address.removeprefix(f"{place}/"): entry.size for entry in entries_under(f"{place}/")}
    if UPLOADING in left and _list_at(f"{place}/{UPLOADING}") == ours:
        return left
    delete([f"{place}/{name}" for name in left if name != UPLOADING])
    put_bytes(_text(ours), f"{place}/{UPLOADING}")
    return {}


def _check_sizes(place: str, ours: Publication) -> None:
    there = {entry.address.removeprefix(f"{place}/"): entry.size for entry in entries_under(f"{place}/")}
    for name, entry in ours["files"].items():
        if there.get(name) != entry["bytes"]:
            raise UserError(f"{shown(place)}/{name} is not there as it was uploaded; push again")


# --- files ------------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> dict[str, FileEntry]:
    files = dict(read_manifest(folder)["files"])
    for name in COMPANIONS:
        if (folder / name).is_file():
            files[name] = {"sha256": sha256_file(folder / name), "bytes": (folder / name).stat().st_size}
    return files


def _fetch(place: str, name: str, entry: FileEntry, work: Path) -> None:
    """A file, checked, under its name in `work`."""
    path = work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}{TEMPORARY}")
    for _ in range(TRIES):
        digest = hashlib.sha256()
        with part.open("wb") as out:
            for begin in range(0, entry["bytes"], BLOCK_BYTES):
                data = read_range(f"{place}/{name}", begin, min(entry["bytes"], begin + BLOCK_BYTES))
                digest.update(data)
                out.write(data)
        if digest.hexdigest() == entry["sha256"]:
            part.replace(path)
            return
    remove(part)
    raise UserError(f"{shown(place)}/{name} has other bytes than were pushed; delete the run there and push it again")


def _is_whole(path: Path, entry: FileEntry) -> bool:
    return path.is_file() and path.stat().st_size == entry["bytes"] and sha256_file(path) == entry["sha256"]


def _all(names: list[str], listed: Publication, told: Told | None, move: Callable[[str], None]) -> None:
    """Moves the files, some at once, and tells how far it is. After a failure no further one is begun."""
    sizes = {name: listed["files"][name]["bytes"] for name in names}
    done, total = 0, sum(sizes.values())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for name, _ in zip(names, pool.map(move, names), strict=True):
                done += sizes[name]
                if told:
                    told(done, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _bytes(listed: Publication) -> int:
    return sum(entry["bytes"] for entry in listed["files"].values())


def _text(listed: Mapping[str, object]) -> bytes:
    return json.dumps(listed, indent=0, sort_keys=True).encode()
