"""Weights that a training leaves behind, to look at how its model came to be.

    snapshots/step-00000064.safetensors   the weights after 64 steps, in bfloat16, with a SHA-256 over them

They are kept where the model writes samples: after no step, after 1, 2, 4, 8, ..., and at the end. Nothing is made from
them, so they are no artefacts, and a run without them is the same run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glassmill.errors import UserError
from glassmill.model.transformer import Transformer
from glassmill.run.files import atomic_path
from glassmill.run.finished import SNAPSHOTS


def save_snapshot(run: Path, model: Transformer, step: int) -> None:
    """Write the model's weights after `step` steps, whole or not at all.

    Raises:
        UserError: the disk is full.
    """
    weights = {
        name: value.detach().to("cpu", torch.bfloat16).contiguous() for name, value in model.state_dict().items()
    }
    with atomic_path(run / SNAPSHOTS / f"step-{step:08d}.safetensors") as path:
        save_file(weights, path, {"sha256": _digest(weights)})


def snapshots(run: Path) -> dict[int, Path]:
    """The snapshots of a run by their step, the earliest first; none where it left none."""
    found = sorted((run / SNAPSHOTS).glob("step-*.safetensors"))
    return {int(path.stem.removeprefix("step-")): path for path in found if path.stem.removeprefix("step-").isdigit()}


def read_snapshot(path: Path) -> dict[str, Tensor]:
    """The weights of a snapshot.

    Raises:
        UserError: it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            told = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, the others can be looked at without it") from None
    if told != _digest(weights):
        raise UserError(f"{path} is damaged (its SHA-256 differs); delete it, the others can be looked at without it")
    return weights


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
