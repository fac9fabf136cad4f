"""Checkpoints: everything a run needs to continue to the same bits, in safetensors and JSON.

    checkpoints/step-00000120/   weights.safetensors  optimizer.safetensors  state.json     of one process
                                 weights-1-of-2.safetensors  optimizer-1-of-2.safetensors   of rank 1 of several

A folder gets its name once all of it is on disk, so a folder with this name is complete; `state.json` holds the
SHA-256 of every file and of itself, so one that was damaged later is known. It also says which rows and columns of
which tensor are in which file: any number of ranks can continue from it, each reading only its part. Neither the loader
(see `batches`) nor the schedule needs any state.

Of several ranks, each writes a folder `share-...` of its own, which rank 0 moves into the checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from glassmill.errors import UserError
from glassmill.foreign_json import load_object
from glassmill.run.files import atomic_path, remove, sha256_file
from glassmill.train.parts import Box, OnDisk, Part, Value, copied, joined, place_of

KEPT = 2
KINDS = ("weights", "optimizer")
PATIENCE_S = 900.0
"""How long rank 0 waits for the share of another rank."""
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, UserError, SafetensorError)
"""What reading a damaged checkpoint raises."""
TYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64", torch.int64: "I64"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `step` steps, or a rank's share of it.

    Attributes:
        seconds: How long the run had taken by then.
        notes: What JSON can say of it. Earlier checkpoints whose steps are in `needs` are kept as long as this one.
    """

    step: int
    weights: Mapping[str, Value]
    optimizer: Mapping[str, Value]
    seconds: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)

    def copied(self) -> Checkpoint:
        """A copy in the CPU's memory, which training doesn't change."""
        weights, optimizer = (
            {name: copied(value) for name, value in values.items()} for values in (self.weights, self.optimizer)
        )
        return Checkpoint(self.step, weights, optimizer, self.seconds, dict(self.notes))


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, rank: int = 0, size: int = 1, attempt: str = "", keep: int = KEPT
) -> None:
    """Write a checkpoint whole or not at all, then delete all but the newest `keep` and those that they need.

    Args:
        folder: Of the checkpoints.
        checkpoint: The state, or of several ranks each its share.
        rank, size: Whose share it is, of how many. Rank 0 returns when the checkpoint is complete.
        attempt: The same on all ranks, and new in every process: shares of different attempts are never mixed.
        keep: How many stay.

    Raises:
        UserError: the disk is full, or another rank writes nothing.
    """
    name = f"step-{checkpoint.step:08d}"
    if rank:
        with atomic_path(folder / f"share-{name}-{rank}-{attempt}") as path:
            path.mkdir()
            (path / "share.json").write_text(json.dumps(_write(path, checkpoint, rank, size)), encoding="utf-8")
        return
    with atomic_path(folder / name) as path:
        path.mkdir()
        files = _write(path, checkpoint, 0, size)
        for other in range(1, size):
            files |= _fetch(folder / f"share-{name}-{other}-{attempt}", path)
        state = {"step": checkpoint.step, "seconds": round(checkpoint.seconds, 3), "files": files}
        state["notes"] = dict(checkpoint.notes)
        (path / "state.json").write_text(json.dumps(_signed(state), allow_nan=False) + "\n", encoding="utf-8")
    complete = _complete(folder)
    for old in set(complete) - _staying(complete, keep):
        remove(old)


@dataclass(slots=True)
class Saved:
    """A checkpoint on disk, whose files have the bytes that were written."""

    path: Path
    step: int
    seconds: float
    files: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    _open: dict[str, Any] = field(default_factory=dict)

    def names(self, kind: str) -> Iterator[str]:
        """Of the tensors among the `"weights"` or of the `"optimizer"`."""
        return iter({name: None for _, file in self._of(kind) for name in file["tensors"]})

    def read(self, kind: str, name: str, box: Box | None = None) -> Tensor:
        """A tensor, or a `box` of it; a number has none.

        Raises:
            KeyError: there is no such tensor, or not all of it.
        """
        files = [(at, file["tensors"][name]) for at, file in self._of(kind) if name in file["tensors"]]
        if not files:
            raise KeyError(name)
        return joined([self._part(at, name, *place) for at, place in files], name, box)

    def whole(self) -> Checkpoint:
        """All of it, in memory."""
        weights, optimizer = ({name: self.read(kind, name) for name in self.names(kind)} for kind in KINDS)
        return Checkpoint(self.step, weights, optimizer, self.seconds, self.notes)

    def _of(self, kind: str) -> Iterator[tuple[str, Any]]:
        return ((name, file) for name, file in self.files.items() if name.startswith(kind))

    def _part(self, at: str, name: str, *place: int) -> OnDisk:
        if at not in self._open:
            self._open[at] = safe_open(self.path / at, framework="pt")
        file = self._open[at]
        part = file.get_slice(name)
        return OnDisk(part if part.get_shape() else file.get_tensor(name), part.get_shape(), *place)


def newest_saved(folder: Path, told: Callable[[str], None] = lambda text: None) -> Saved | None:
    """The newest checkpoint that is as it was written; None if there is none. Damaged ones are told and skipped."""
    for path in _complete(folder):
        try:
            return open_saved(path)
        except DAMAGED as error:
            told(f"the checkpoint {path.name} is damaged ({error}); the one before it is used")
    return None


def open_saved(path: Path, check: bool = True) -> Saved:
    """The checkpoint in `path`; another rank may have done the `check` already.

    Raises:
        ValueError, and others: it's damaged.
    """
    state = load_object(path / "state.json")
    if state != _signed(state) or state["step"] != int(path.name[5:]):
        raise ValueError("state.json has other bytes than were written")
    for name, file in state["files"].items() if check else ():
        if sha256_file(path / name) != file["sha256"]:
            raise ValueError(f"{name} has other bytes than were written")
    return Saved(path, state["step"], state["seconds"], state["files"], state.get("notes", {}))


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest sound checkpoint, in memory; None if there is none."""
    saved = newest_saved(folder)
    return None if saved is None else saved.whole()


def drop_checkpoint(folder: Path, step: int) -> None:
    """Delete the checkpoint of `step`, if there is one."""
    remove(folder / f"step-{step:08d}")


def drop_newer(folder: Path, step: int) -> None:
    """Delete the checkpoints of later steps, newest first: after a kill in between, a run takes those steps again."""
    for path in _complete(folder):
        if int(path.name[5:]) > step:
            remove(path)


def drop_shares(folder: Path) -> None:
    """Delete what ranks of a killed attempt had written of a checkpoint."""
    for path in folder.glob("share-*"):
        remove(path)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors in the format of safetensors, hashing on the way; returns the SHA-256 of the file.

    Unlike the library's function it lets go of the interpreter, so that training goes on beside it, and it reads
    nothing twice. The layout: length of the header, header as JSON, then the bytes of the tensors.
    """
    header, end = dict[str, Any](), 0
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in flat.items():
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in (len(text).to_bytes(8, "little") + text, *map(_bytes, flat.values())):
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def _complete(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted((path for path in folder.glob("step-*") if path.name[5:].isdigit()), reverse=True)


def _staying(complete: list[Path], keep: int) -> set[Path]:
    """The newest `keep`, what these need, and what that needs; all, while one of them is damaged and cannot say."""
    staying = set(complete[:keep])
    for _ in range(2):
        try:
            needs = {step for path in staying for step in load_object(path / "state.json")["notes"].get("needs", ())}
        except DAMAGED:
            return set(complete)
        staying |= {path for path in complete if int(path.name[5:]) in needs}
    return staying


def _write(folder: Path, checkpoint: Checkpoint, rank: int, size: int) -> dict[str, Any]:
    """A rank's two files; of each its SHA-256, and the place of its tensors in the whole ones."""
    written = {}
    for kind, values in zip(KINDS, (checkpoint.weights, checkpoint.optimizer), strict=True):
        name = f"{kind}.safetensors" if size == 1 else f"{kind}-{rank}-of-{size}.safetensors"
        tensors = {key: value.values if isinstance(value, Part) else value for key, value in values.items()}
        places = {key: place_of(value) for key, value in values.items()}
        written[name] = {"sha256": write_safetensors(folder / name, tensors), "tensors": places}
    return written


def _fetch(share: Path, into: Path) -> dict[str, Any]:
    """Move another rank's share, once it is there."""
    begin = time.monotonic()
    while not share.is_dir():
        if time.monotonic() - begin > PATIENCE_S:
            raise UserError(f"{share} was not written within {PATIENCE_S:g} s; do all ranks see the same folder?")
        time.sleep(0.005)
    files: dict[str, Any] = json.loads((share / "share.json").read_text(encoding="utf-8"))
    for name in files:
        (share / name).rename(into / name)
    remove(share)
    return files


def _bytes(tensor: Tensor) -> Any:
    return tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b""


def _signed(state: Mapping[str, Any]) -> dict[str, Any]:
    """`state` with a SHA-256 over the rest of it."""
    rest = {name: value for name, value in state.items() if name != "sha256"}
    return {**rest, "sha256": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}
