"""Checkpoints: everything a run needs to continue to the same bits, in safetensors and JSON.

    checkpoints/step-00000120/   weights.safetensors  optimizer.safetensors  state.json

A folder gets its name once all of it is on disk, so a folder with this name is complete; `state.json` holds the
SHA-256 of the other two and of itself, so one that was damaged later is known. Neither the loader (see `batches`) nor
the schedule needs any state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """The state after `step` steps; `seconds`: how long the run had taken by then."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    seconds: float = 0.0


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all, then delete all but the newest `KEPT`."""
    with atomic_path(folder / f"step-{checkpoint.step:08d}") as path:
        path.mkdir()
        save_file(_flat(checkpoint.weights), path / "weights.safetensors")
        save_file(_flat(checkpoint.optimizer), path / "optimizer.safetensors")
        state: dict[str, Any] = {"step": checkpoint.step, "seconds": round(checkpoint.seconds, 3)}
        state |= {"files": {name: sha256_file(path / name) for name in FILES}}
        (path / "state.json").write_text(json.dumps(_signed(state), allow_nan=False) + "\n", encoding="utf-8")
    for old in _complete(folder)[KEPT:]:
        remove(old)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read; None if there is none. Damaged ones are skipped."""
    for path in _complete(folder):
        try:
            state = load_object(path / "state.json")
            if state != _signed(state) or state["step"] != int(path.name[5:]):
                continue
            if state["files"] != {name: sha256_file(path / name) for name in FILES}:
                continue
            weights, optimizer = (load_file(path / name) for name in FILES)
            return Checkpoint(state["step"], weights, optimizer, state["seconds"])
        except (OSError, ValueError, KeyError, UserError, SafetensorError):
            continue
    return None


def drop_checkpoint(folder: Path, step: int) -> None:
    """Delete the checkpoint of `step`, if there is one."""
    remove(folder / f"step-{step:08d}")


def _complete(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted((path for path in folder.glob("step-*") if path.name[5:].isdigit()), reverse=True)


def _flat(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _signed(state: Mapping[str, Any]) -> dict[str, Any]:
    """`state` with a SHA-256 over the rest of it."""
    rest = {name: value for name, value in state.items() if name != "sha256"}
    return {**rest, "sha256": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}
