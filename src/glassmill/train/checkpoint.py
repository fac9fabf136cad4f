"""Checkpoints: everything a run needs to continue to the same bits, in safetensors and JSON.

    checkpoints/step-00000120/   weights.safetensors  optimizer.safetensors  state.json

A folder gets its name once all of it is on disk, so a folder with this name is complete. Neither the loader (see
`batches`) nor the schedule needs any state.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassmill.run.files import atomic_path, remove

KEPT = 2


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
        state = {"step": checkpoint.step, "seconds": round(checkpoint.seconds, 3)}
        (path / "state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")
    for old in _complete(folder)[KEPT:]:
        remove(old)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read; None if there is none. Damaged ones are skipped."""
    for path in _complete(folder):
        try:
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            weights, optimizer = load_file(path / "weights.safetensors"), load_file(path / "optimizer.safetensors")
            return Checkpoint(state["step"], weights, optimizer, state["seconds"])
        except (OSError, ValueError, KeyError, SafetensorError):
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
