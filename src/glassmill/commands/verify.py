"""`glassmill verify`: hash everything that runs and model folders have checksums for, and name what changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from glassmill.errors import UserError
from glassmill.run.finished import is_done, read_manifest, run_damage
from glassmill.run.integrity import NOTE, sealed_damage, sealed_digests


class Verified(TypedDict):
    """What was looked at and what is not as it was written."""

    folders: int
    files: int
    bytes: int
    damaged: list[str]


def verify(words: Sequence[str], runs: Path) -> Verified:
    """Hashes every file that has a checksum, whatever is remembered of earlier looks.

    Args:
        words: Run folders, model folders, or folders that hold such; names under `runs` count too. None: all of `runs`.
        runs: The folder for run folders.

    Raises:
        UserError: A word names no folder, or there is nothing with a checksum.
    """
    found: dict[Path, None] = {}
    for place in [_folder(word, runs) for word in words] or [runs]:
        inside = [path.parent for name in ("DONE", NOTE) for path in place.rglob(name)] if place.is_dir() else []
        found |= dict.fromkeys(sorted(inside))
    result: Verified = {"folders": 0, "files": 0, "bytes": 0, "damaged": []}
    for folder in found:
        if is_done(folder):
            wrong = run_damage(folder, again=True)
            files = [] if any(one.name == "manifest.json" for one in wrong) else list(read_manifest(folder)["files"])
        else:
            files = list(sealed_digests(folder))
            wrong = sealed_damage(folder, again=True)
        result["folders"] += 1
        result["files"] += len(files)
        result["bytes"] += sum((folder / name).stat().st_size for name in files if (folder / name).is_file())
        result["damaged"] += [f"{folder / one.name} {one.what}" for one in wrong]
    if not result["folders"]:
        raise UserError(f"nothing with checksums in {', '.join(words) or runs}; give a finished run or a model folder")
    return result


def verified_lines(result: Verified) -> list[str]:
    """The result for people."""
    total = f"{result['files']:,} files in {result['folders']:,} folders, {result['bytes'] / 1e6:,.1f} MB hashed: "
    advice = "`glassmill run` of its recipe makes a damaged run again; copy or import a damaged model again"
    if not result["damaged"]:
        return [f"{total}all as they were written"]
    return [*result["damaged"], f"{total}{len(result['damaged']):,} are not as they were written", advice]


def _folder(word: str, runs: Path) -> Path:
    for path in (Path(word).expanduser(), runs / word):
        if path.is_dir():
            return path
    raise UserError(f"no folder {word}, and none of that name in {runs}")
