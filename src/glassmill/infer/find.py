"""Where a model lies, from a path or the name of a run. Nothing here loads torch, so a slip is told at once."""

from __future__ import annotations

from pathlib import Path

from glassmill.errors import UserError


def find_model(path: str | Path, runs: Path = Path("runs")) -> Path:
    """The model folder at a path, inside a run, or inside the run of that name under `runs`.

    Raises:
        UserError: There is none, or the name fits several runs.
    """
    path = Path(path)
    if path.exists():
        return find_model_folder(path)
    if path.name == "model" and len(path.parts) > 1:  # as a report names it
        path = path.parent
    named = [runs / path, *(stage / path for stage in sorted(runs.glob("*")) if len(path.parts) == 1)]
    found = [run for run in named if (run / "model" / "config.json").is_file()]
    if len(found) > 1:
        raise UserError(f"model {path}: several runs have this name: {', '.join(map(str, found))}; give the path")
    if not found:
        raise UserError(f"model {path}: no such folder, and no run of this name under {runs}/ has a model")
    return find_model_folder(found[0])


def find_model_folder(path: str | Path) -> Path:
    """`path` itself, or the `model` folder inside a train or sft run."""
    for folder in (Path(path), Path(path) / "model"):
        if (folder / "config.json").is_file():
            return folder
    raise UserError(
        f"{path} is no model folder: it has no config.json; give the folder of a model or of a train or sft run"
    )
