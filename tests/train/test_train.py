"""The verb: a model that learned, opens elsewhere, keeps its time box, and does not mind being killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from glassmill.errors import UserError
from glassmill.infer.folder import load_folder
from glassmill.run import kinds
from glassmill.train import train
from glassmill.train.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from tests.tokens.builders import run_stage
from tests.train.builders import MODEL, TRAIN

Town = tuple[Path, Path]


def train_town(town: Town, folder: Path, **changes: Any) -> list[kinds.Event]:
    settings = TRAIN.model_copy(update=changes)
    return run_stage(train, folder, settings, tokens=town[0], tokenizer=town[1], model_settings=MODEL)


def weights_hash(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(town: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[kinds.Event]]:
    """A finished run and its events."""
    folder = tmp_path_factory.mktemp("undisturbed") / "train"
    return folder, train_town(town, folder)


def test_training_lowers_the_loss_and_reports_on_the_way(undisturbed: tuple[Path, list[kinds.Event]]) -> None:
    folder, events = undisturbed
    assert {kinds.Plan, kinds.Metric, kinds.Validation, kinds.Sample} <= {type(event) for event in events}
    bits = [event.bits_per_byte for event in events if isinstance(event, kinds.Validation)]
    assert len(bits) == 2 and bits[-1] < 0.7 * 3.5
    written = [event.step for event in events if isinstance(event, kinds.Sample)]
    assert sorted(set(written)) == [0, 1, 2, 4, 8, 16, 32, 40] and len(written) % 8 == 0
    stats = json.loads((folder / "stats.json").read_text())
    assert stats["tokens_seen"] == 40 * 256 and stats["val_bpb"] == bits[-1]


def test_transformers_opens_the_model_folder_and_gives_the_same_logits(
    undisturbed: tuple[Path, list[kinds.Event]],
) -> None:
    transformers = pytest.importorskip("transformers")
    folder = undisturbed[0] / "model"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ours = load_folder(folder)
    ids = torch.tensor([[int(i) for i in ours.tokenizer.encode("Ada is the miller of the town.")]])
    with torch.no_grad():
        assert (theirs(ids).logits - ours.model(ids)).abs().max() < 1e-5
    assert theirs.config.eos_token_id == ours.tokenizer.eos_id


def test_a_stopped_run_saves_and_continues_to_the_same_bits(
    town: Town, undisturbed: tuple[Path, list[kinds.Event]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = train.fit.__globals__["Trainer"].step
    steps_done: list[int] = []

    def interrupted(self: Any, number: int, *rest: Any) -> Any:
        steps_done.append(number)
        if number == 13:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number, *rest)

    monkeypatch.setattr(train.fit.__globals__["Trainer"], "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_town(town, tmp_path / "train")
    monkeypatch.undo()
    resumed = newest_checkpoint(tmp_path / "train" / "checkpoints")
    assert resumed is not None and resumed.step == steps_done[-1] + 1 == 14
    train_town(town, tmp_path / "train")
    assert weights_hash(tmp_path / "train") == weights_hash(undisturbed[0])


CHILD = """
import sys
from pathlib import Path
from glassmill.train import train
from tests.tokens.builders import run_stage
from tests.train.builders import MODEL, TRAIN
settings = TRAIN.model_copy(update={"checkpoint_seconds": 0.0})
folder, tokens, tokenizer = map(Path, sys.argv[1:])
run_stage(train, folder, settings, tokens=tokens, tokenizer=tokenizer, model_settings=MODEL)
"""


def kill_while_training(town: Town, folder: Path, delay_s: float) -> bool:
    """Start or continue the run in a process, kill -9 it `delay_s` after it began to save; was it still at work?"""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), *map(str, town)], env=environment)
    before = newest_name(folder)
    while child.poll() is None and newest_name(folder) == before:
        time.sleep(0.002)
    time.sleep(delay_s)
    alive = child.poll() is None
    child.kill()
    child.wait()
    return alive


def newest_name(folder: Path) -> str:
    return max((path.name for path in (folder / "checkpoints").glob("step-*") if path.name[5:].isdigit()), default="")


def kill_and_compare(town: Town, folder: Path, expected: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    killed = 0
    for _ in range(kills):
        if (folder / "DONE").exists():
            break
        killed += kill_while_training(town, folder, chance.uniform(0, 0.05))
    train_town(town, folder)
    assert weights_hash(folder) == expected
    assert killed >= min(kills, 2)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
@pytest.mark.slow
def test_kill_9_at_random_moments_changes_no_bit(
    town: Town, undisturbed: tuple[Path, list[kinds.Event]], tmp_path: Path
) -> None:
    kill_and_compare(town, tmp_path / "train", weights_hash(undisturbed[0]), kills=3, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_many_more_kills_change_no_bit(
    town: Town, undisturbed: tuple[Path, list[kinds.Event]], tmp_path: Path, seed: int
) -> None:
    kill_and_compare(town, tmp_path / "train", weights_hash(undisturbed[0]), kills=6, seed=seed)


def test_a_time_box_is_measured_once_and_the_plan_kept(town: Town, tmp_path: Path) -> None:
    train_town(town, tmp_path / "boxed", steps=None, minutes=0.03, measure_seconds=0.3, reports=1)
    written = (tmp_path / "boxed" / "plan.json").read_bytes()
    plan = json.loads(written)
    assert plan["planned"] >= plan["steps"] >= 1 and plan["threads"] == 1 and plan["dtype"] == "float32"
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "plan.json").write_bytes(written)
    train_town(town, tmp_path / "again", steps=None, minutes=60.0, reports=1)
    assert weights_hash(tmp_path / "again") == weights_hash(tmp_path / "boxed")


def test_a_training_without_a_length_is_refused(town: Town, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither minutes nor steps are set"):
        train_town(town, tmp_path / "train", minutes=None, steps=None)


def test_of_a_time_box_and_a_number_of_steps_the_smaller_holds(town: Town, tmp_path: Path) -> None:
    train_town(town, tmp_path / "steps", steps=3, minutes=5.0, measure_seconds=0.1, reports=1)
    assert json.loads((tmp_path / "steps" / "plan.json").read_text())["steps"] == 3
    train_town(town, tmp_path / "box", steps=10**9, minutes=0.02, measure_seconds=0.1, reports=1)
    assert json.loads((tmp_path / "box" / "plan.json").read_text())["steps"] < 10**6


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        tensors = {"w": torch.full((3,), float(step))}
        save_checkpoint(tmp_path, Checkpoint(step, tensors, tensors))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    (tmp_path / "step-00000003" / "weights.safetensors").write_bytes(b"torn")
    found = newest_checkpoint(tmp_path)
    assert found is not None and found.step == 2 and torch.equal(found.weights["w"], torch.full((3,), 2.0))
