"""Where a model is, from a path or the name of a run, and what its JSON files say. Nothing here loads torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.model.config import ModelConfig


def find_model(path: str | Path, runs: Path = Path("runs")) -> Path:
    """The model folder at a path, inside a run, or inside the run of that name under `runs`.

    Raises:
        UserError: There is none, or the name matches several runs.
    """
    path = Path(path)
    if path.exists():
        return find_model_folder(path)
    if path.name == "model" and len(path.parts) > 1:  # as a report names it
        path = path.parent
    named = [runs / path, *(stage / path for stage in sorted(runs.glob("*")) if len(path.parts) == 1)]
    found = [run for run in named if (run / "model" / "config.json").is_file()]
    if len(found) > 1:
        raise UserError(f"model {path} matches several runs: {', '.join(map(str, found))}; give the path")
    if not found:
        raise UserError(f"model {path}: no such folder, and no run of that name under {runs}/ has a model")
    return find_model_folder(found[0])


def find_model_folder(path: str | Path) -> Path:
    """`path` itself, or the `model` folder inside a train or sft run."""
    for folder in (Path(path), Path(path) / "model"):
        if (folder / "config.json").is_file():
            return folder
    raise UserError(f"{path} is not a model folder (no config.json); give a model folder, or a train or sft run")


def read_config(folder: Path) -> ModelConfig:
    """The shape of the model in `folder`.

    Raises:
        UserError: `config.json` is missing or damaged, or describes a model that is not supported.
    """
    path = folder / "config.json"
    try:
        return ModelConfig.from_hf(read_json(path))
    except KeyError as error:
        raise UserError(f"{path} lacks the key {error}") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def read_meta(folder: Path) -> dict[str, object]:
    """Where the model in `folder` comes from, as `glassmill.json` has it; empty for a model from elsewhere."""
    path = folder / "glassmill.json"
    return dict(read_json(path)) if path.exists() else {}


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        UserError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from None
