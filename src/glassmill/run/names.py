"""From what people type to a folder: a path, or the name of a run under the runs folder.

One resolver for every command, so that a run's name stands wherever a folder does. A name is `sft/demo-3f9a1c`,
`demo-3f9a1c`, or what a report prints, such as `sft/demo-3f9a1c/model`; or the address of a published run, which is
pulled first (see `published`). So words come from commands and recipes, never from clients or from files of strangers.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path

from glassmill.errors import UserError
from glassmill.printable import shown
from glassmill.run.stores.address import is_address

MOST_NAMES = 5
SIMILAR = 0.4

Fits = Callable[[Path], bool]


def user_path(word: str) -> Path:
    """The path that the user means, `~` read as a home folder.

    Raises:
        UserError: `~name` names nobody.
    """
    try:
        return Path(word).expanduser()
    except RuntimeError:
        raise UserError(f"{shown(word)!r}: there is no home folder of that name") from None


def find_folder(word: str | Path, runs: Path, fits: Fits, kind: str, lacks: str) -> Path:
    """The folder of a path, or of the run of that name.

    Args:
        word: What was typed.
        runs: The folder with all runs.
        fits: Whether a run's folder is of the wanted kind; a path that exists is taken as it is.
        kind: What is wanted, for messages: "model".
        lacks: What a run of that name does not have: "has a model".

    Raises:
        UserError: There is none, or the name fits several runs; the message lists the nearest names.
    """
    if is_address(word):
        return _pulled(str(word), runs, fits, kind, lacks)
    path = user_path(str(word))
    if path.exists():
        return path
    found = list(named(path, runs, fits))
    if len(found) > 1:
        raise UserError(f"{kind} {path} matches several runs: {', '.join(map(str, found))}; give the path")
    if found:
        return found[0]
    raise UserError(
        f"{kind} {path}: no such folder, and no run of that name under {runs}/ {lacks}{_hint(path, runs, fits)}"
    )


def _pulled(address: str, runs: Path, fits: Fits, kind: str, lacks: str) -> Path:
    from glassmill.run.published import pull  # which reads manifests, whose module names runs

    folder, _ = pull(address.rstrip("/").removesuffix("/model"), runs)
    if not fits(folder):
        raise UserError(f"{kind} {shown(address)}: what is published there is no run that {lacks}")
    return folder


def named(path: Path, runs: Path, fits: Fits) -> Iterator[Path]:
    """The runs that a name fits."""
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return
    if path.name == "model" and len(path.parts) > 1:  # as a report names it
        path = path.parent
    places = [runs / path, *(stage / path for stage in sorted(runs.glob("*")) if len(path.parts) == 1)]
    yield from (run for run in places if run.is_dir() and fits(run))


def _hint(path: Path, runs: Path, fits: Fits) -> str:
    """The names that are nearest to what was typed, or the newest."""
    known = [run for run in runs.glob("*/[!.]*") if run.is_dir() and fits(run)]
    known.sort(key=lambda run: -run.stat().st_mtime)
    names = [run.relative_to(runs).as_posix() for run in known]
    wanted = path.parent.as_posix() if path.name == "model" and len(path.parts) > 1 else path.as_posix()
    short = {name: name if "/" in wanted else name.split("/")[1] for name in names}
    close = difflib.get_close_matches(wanted, short.values(), n=MOST_NAMES, cutoff=SIMILAR)
    near = sorted((name for name in names if short[name] in close), key=lambda name: close.index(short[name]))
    if near:
        return f"; the nearest: {', '.join(near[:MOST_NAMES])}"
    return f"; there are: {', '.join(names[:MOST_NAMES])}" if names else ""
