"""Checkpoints: everything a run needs to continue to the same bits, in safetensors and JSON.

    checkpoints/step-00000120/   weights.safetensors  optimizer.safetensors  state.json

A folder gets its name once all of it is on disk, so a folder with this name is complete; `state.json` holds the
SHA-256 of the other two, so one that was damaged later is known. Neither the loader (see
`batches`) nor the schedule needs any state.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassmill.errors import UserError
from glassmill.foreign_json import load_object
from glassmill.run.files import atomic_path, remove, sha256_file

KEPT = 2
FILES = ("weights.safetensors", "optimizer.safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `step` steps."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all, then delete all but the newest `KEPT`."""
    with atomic_path(folder / f"step-{checkpoint.step:08d}") as path:
        path.mkdir()
        save_file(_flat(checkpoint.weights), path / "weights.safetensors")
        save_file(_flat(checkpoint.optimizer), path / "optimizer.safetensors")
        state = {"step": checkpoint.step, "files": {name: sha256_file(path / name) for name in FILES}}
        (path / "state.json").write_text(json.dumps(state, allow_nan=False) + "\n", encoding="utf-8")
    for old in _complete(folder)[KEPT:]:
        remove(old)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read; None if there is none. Damaged ones are skipped."""
    for path in _complete(folder):
        try:
            state = load_object(path / "state.json")
            if state != {"step": int(path.name[5:]), "files": {name: sha256_file(path / name) for name in FILES}}:
                continue
            weights, optimizer = (load_file(path / name) for name in FILES)
            return Checkpoint(state["step"], weights, optimizer)
        except (OSError, ValueError, UserError, SafetensorError):
            continue
    return None


def _complete(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted((path for path in folder.glob("step-*") if path.name[5:].isdigit()), reverse=True)


def _flat(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
