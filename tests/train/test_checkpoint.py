"""A checkpoint is whole or not there, read back by any number of ranks, and never accepted with another bit."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from glassmill.run import kinds
from glassmill.train import train
from glassmill.train.boxes import rows_of
from glassmill.train.checkpoint import (
    Checkpoint,
    Saved,
    newest_checkpoint,
    newest_saved,
    save_checkpoint,
    write_safetensors,
)
from glassmill.train.parts import Box, Part
from glassmill.train.ranks import Ranks
from glassmill.train.saver import Saver
from tests.train.builders import interrupt
from tests.train.test_train import train_town, weights_hash

Town = tuple[Path, Path]
TENSORS = {
    "a": torch.arange(35.0).view(7, 5),
    "b": torch.arange(3.0),
    "c": torch.arange(2.0),
    "step": torch.tensor(4.0),
}


def share(rank: int, size: int) -> Checkpoint:
    """What a rank has of `TENSORS`: rows of the first three, some ranks none; the number only on rank 0."""
    cut = {}
    for name in "abc":
        first, count = rows_of(rank, size, len(TENSORS[name]))
        cut[name] = Part(TENSORS[name][first : first + count], first, len(TENSORS[name]))
    state: dict[str, Tensor | Part] = {**cut, **({"step": TENSORS["step"]} if rank == 0 else {})}
    return Checkpoint(4, cut, state, 1.5)


def save_in_ranks(folder: Path, size: int, attempt: str = "x") -> None:
    others = [
        threading.Thread(target=save_checkpoint, args=(folder, share(rank, size), rank, size, attempt))
        for rank in range(1, size)
    ]
    for thread in others:
        thread.start()
    save_checkpoint(folder, share(0, size), 0, size, attempt)
    for thread in others:
        thread.join()


@pytest.mark.parametrize("written", [1, 2, 4])
@pytest.mark.parametrize("read", [1, 3])
def test_any_number_of_ranks_reads_what_another_number_wrote(tmp_path: Path, written: int, read: int) -> None:
    save_in_ranks(tmp_path, written)
    saved = newest_saved(tmp_path)
    assert saved is not None and (saved.step, saved.seconds) == (4, 1.5)
    assert {*saved.names("optimizer")} == {*TENSORS} and [path.name for path in tmp_path.iterdir()] == ["step-00000004"]
    assert torch.equal(saved.read("optimizer", "step"), TENSORS["step"])
    assert torch.equal(saved.read("optimizer", "step", (slice(0, 2),)), TENSORS["step"])
    for name in "abc":
        places = [rows_of(rank, read, len(TENSORS[name])) for rank in range(read)]
        parts = [saved.read("weights", name, (slice(first, first + count),)) for first, count in places]
        assert torch.equal(torch.cat(parts), TENSORS[name])


def boxes(cut: int, size: int, shape: Sequence[int]) -> list[Box]:
    """A tensor cut into `cut` parts of its columns, and each into `size` of its rows."""
    width = shape[1] // cut
    rows = [slice(first, first + count) for first, count in (rows_of(one, size, shape[0]) for one in range(size))]
    return [(of, slice(part * width, (part + 1) * width)) for of in rows for part in range(cut)]


@pytest.mark.parametrize(("written", "read"), [((2, 2), (1, 1)), ((2, 2), (1, 3)), ((4, 1), (2, 2)), ((1, 3), (2, 2))])
def test_a_tensor_cut_in_both_directions_is_read_by_any_other_cut(
    tmp_path: Path, written: tuple[int, int], read: tuple[int, int]
) -> None:
    whole = torch.arange(28.0).view(7, 4)
    places = boxes(*written, whole.shape)
    shares = [Checkpoint(1, {"a": Part.at(whole[box], box, whole.shape)}, {}) for box in places]
    for rank in reversed(range(len(places))):
        save_checkpoint(tmp_path, shares[rank], rank, len(places), "x")
    saved = newest_saved(tmp_path)
    assert saved is not None and torch.equal(saved.read("weights", "a"), whole)
    assert all(torch.equal(saved.read("weights", "a", box), whole[box]) for box in boxes(*read, whole.shape))
    assert saved.read("weights", "a", (slice(7, 7), slice(0, 4))).shape == (0, 4)


def test_a_tensor_of_which_a_part_is_missing_is_not_read(tmp_path: Path) -> None:
    whole = torch.arange(28.0).view(7, 4)
    box = boxes(2, 1, whole.shape)[0]
    save_checkpoint(tmp_path, Checkpoint(1, {"a": Part.at(whole[box], box, whole.shape)}, {}))
    saved = newest_saved(tmp_path)
    assert saved is not None and torch.equal(saved.read("weights", "a", box), whole[box])
    with pytest.raises(KeyError):
        saved.read("weights", "a")


def test_the_share_of_a_killed_attempt_is_never_taken(tmp_path: Path) -> None:
    stale = Checkpoint(4, {"a": Part(torch.full((4, 5), -1.0), 4, 7)}, {})
    save_checkpoint(tmp_path, stale, 1, 2, "killed")
    save_in_ranks(tmp_path, 2, "new")
    saved = newest_saved(tmp_path)
    assert saved is not None and torch.equal(saved.read("weights", "a"), TENSORS["a"])


def test_our_files_are_those_of_safetensors(tmp_path: Path) -> None:
    tensors = {**TENSORS, "empty": torch.zeros(0, 3), "half": torch.arange(3).bfloat16(), "turned": TENSORS["a"].T}
    write_safetensors(tmp_path / "ours.safetensors", tensors)
    found = load_file(tmp_path / "ours.safetensors")
    assert found.keys() == tensors.keys()
    assert all(found[name].dtype == t.dtype and torch.equal(found[name], t) for name, t in tensors.items())


@pytest.mark.parametrize("size", [1, 2])
def test_no_flipped_bit_is_accepted(tmp_path: Path, size: int) -> None:
    save_in_ranks(tmp_path, size)
    folder = tmp_path / "step-00000004"
    for path in sorted(folder.iterdir()):
        sound = path.read_bytes()
        for place in {*range(0, len(sound), max(1, len(sound) // 25)), len(sound) - 1}:
            flipped = bytearray(sound)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            assert newest_saved(tmp_path) is None, (path.name, place)
        path.write_bytes(sound)
    assert newest_saved(tmp_path) is not None


def test_a_checkpoint_is_the_state_when_it_was_begun_whatever_training_does_meanwhile(tmp_path: Path) -> None:
    weights, gate = {"w": torch.zeros(1000)}, threading.Event()

    def slow(*arguments: Any) -> None:
        gate.wait()
        save_checkpoint(*arguments)

    saver = Saver(tmp_path, Ranks(), slow, 2)
    saver.begin(Checkpoint(1, weights, {}))
    assert saver.busy
    weights["w"].fill_(1.0)
    gate.set()
    saver.wait()
    found = newest_checkpoint(tmp_path)
    assert found is not None and torch.equal(found.weights["w"], torch.zeros(1000))


def test_a_training_that_ends_by_an_error_leaves_nothing_that_writes(tmp_path: Path) -> None:
    def slow(*arguments: Any) -> None:
        time.sleep(0.3)
        save_checkpoint(*arguments)

    with pytest.raises(RuntimeError, match="power cut"), Saver(tmp_path, Ranks(), slow, 2) as saver:
        saver.begin(Checkpoint(1, {"w": torch.ones(10)}, {}))
        assert saver.busy
        raise RuntimeError("power cut")
    found = newest_checkpoint(tmp_path)
    assert not saver.busy and found is not None and found.step == 1


def test_what_fails_beside_the_training_is_raised_in_it(tmp_path: Path) -> None:
    def failing(*arguments: Any) -> None:
        raise OSError(5, "the disk is gone")

    saver = Saver(tmp_path, Ranks(), failing, 2)
    saver.begin(Checkpoint(1, {}, {}))
    with pytest.raises(OSError, match="the disk is gone"):
        saver.wait()
    saver.wait()


def test_a_bit_that_flips_in_a_tensor_is_told_in_one_line_and_changes_no_bit_of_the_model(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"steps": 6, "reports": 1, "checkpoint_seconds": 0.0}
    train_town(town, tmp_path / "undisturbed", **few)
    step = train.fit.__globals__["Trainer"].step

    def cut_off(self: Any, number: int, *rest: Any) -> Any:
        if number == 5:
            interrupt()
        return step(self, number, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train.fit.__globals__["Trainer"], "step", cut_off)
        train_town(town, tmp_path / "run", **few, keep_checkpoints=3)
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-????????"))[-1]
    content = bytearray((newest / "weights.safetensors").read_bytes())
    content[-100] ^= 1
    (newest / "weights.safetensors").write_bytes(content)
    events = train_town(town, tmp_path / "run", **few)
    (warned,) = [event.text for event in events if isinstance(event, kinds.Warned)]
    assert warned == (
        f"the checkpoint {newest.name} is damaged (weights.safetensors has other bytes than were written); the one "
        "before it is used"
    )
    assert weights_hash(tmp_path / "run") == weights_hash(tmp_path / "undisturbed")


def test_a_finished_checkpoint_says_which_rows_are_where(tmp_path: Path) -> None:
    save_in_ranks(tmp_path, 2)
    files = json.loads((tmp_path / "step-00000004" / "state.json").read_text())["files"]
    assert files["weights-1-of-2.safetensors"]["tensors"] == {"a": [4, 7], "b": [2, 3], "c": [1, 2]}
    assert isinstance(newest_saved(tmp_path), Saved)
