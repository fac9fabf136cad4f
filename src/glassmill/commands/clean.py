"""`glassmill clean`: deletes what no command needs any more from the runs folder.

What finished runs left for a resume that will not come (checkpoints, scratch), and temporary files of killed
processes; with `unfinished`, also runs that never finished; with `layers`, also the texts that corpus runs keep for
each other. A run that a process is working in is left alone, and so are the texts while one works on a corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from glassmill.commands.terminal import plain, size
from glassmill.errors import UserError
from glassmill.run.files import TEMPORARY, bytes_of, is_held, remove
from glassmill.run.finished import SCRATCH_FOLDERS, is_done
from glassmill.run.folder import PULLING, layers_of


class Left(TypedDict):
    """Something that can go: where it is, how many bytes it takes, and what it is."""

    path: str
    bytes: int
    what: str


class CleanResult(TypedDict):
    """What was found, in the order of the paths, and whether it was deleted."""

    found: list[Left]
    bytes: int
    deleted: bool


def clean(runs: Path, unfinished: bool, delete: bool, layers: bool = False) -> CleanResult:
    """Finds what can go from `runs`, and deletes it if `delete` is set.

    Raises:
        UserError: there is no such folder.
    """
    if not runs.is_dir():
        raise UserError(f"no runs folder at {runs}; name it with --runs")
    found = sorted([*_left(runs, unfinished), *(_layers(runs) if layers else ())], key=lambda item: item["path"])
    if delete:
        for item in found:
            remove(Path(item["path"]))
    return {"found": found, "bytes": sum(item["bytes"] for item in found), "deleted": delete}


def clean_lines(result: CleanResult) -> list[str]:
    """The same for people."""
    if not result["found"]:
        return ["nothing to clean: no checkpoints of finished runs, no scratch, no temporary files"]
    lines = [f"{size(item['bytes']):>9}  {plain(item['path'])}  [dim]{item['what']}[/dim]" for item in result["found"]]
    total = f"{size(result['bytes'])} in {len(result['found']):,} places"
    return [*lines, f"deleted {total}" if result["deleted"] else f"{total} can go; delete them with --yes"]


def _left(runs: Path, unfinished: bool) -> Iterator[Left]:
    for run in sorted(path for path in runs.glob("*/*") if path.is_dir() and not path.is_symlink()):
        pulled = run.name.startswith(PULLING)
        lock = run.with_name(f"{run.name}.lock") if pulled else run / "lock"
        if run == layers_of(runs) or is_held(lock):  # a corpus run may be writing layers
            continue
        if pulled or run.name.endswith(TEMPORARY):
            yield _item(run, "left by a killed process")
        elif is_done(run):
            yield from (
                _item(run / name, "of a finished run") for name in sorted(SCRATCH_FOLDERS) if (run / name).exists()
            )
        elif unfinished and (run / "events.jsonl").is_file():
            yield _item(run, "never finished")
            continue
        for path in sorted(run.rglob(f"*{TEMPORARY}")):
            if path.relative_to(run).parts[0] not in SCRATCH_FOLDERS:
                yield _item(path, "left by a killed process")


def _layers(runs: Path) -> Iterator[Left]:
    folder = layers_of(runs)
    if folder.is_dir() and not any(is_held(run / "lock") for run in folder.parent.iterdir()):
        yield _item(folder, "texts of pages, for further corpus runs")


def _item(path: Path, what: str) -> Left:
    return {"path": str(path), "bytes": bytes_of(path), "what": what}
