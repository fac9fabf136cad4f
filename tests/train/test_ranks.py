"""Several real processes under torchrun train what one process trains, in any number, killed or not."""

from __future__ import annotations

import contextlib
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
from glassmill.infer.weights import WEIGHTS
from glassmill.run import kinds
from glassmill.run.events import read_events
from glassmill.train.checkpoint import newest_saved
from tests.train.test_train import train_town, weights_hash

Town = tuple[Path, Path]
ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 2e-3
"""Nats by which a loss after some dozen steps may differ: sums in another order, through Muon's polynomials."""
SHORT: dict[str, Any] = {"steps": 8, "reports": 1, "optimizer": "muon"}

pytestmark = [
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo"),
    pytest.mark.skipif(sys.platform == "win32", reason="torchrun's kills are POSIX"),
]


def launch(town: Town, *cases: tuple[Path, dict[str, Any]], ranks: int = 2, restarts: int = 0) -> subprocess.Popen[str]:
    """torchrun, training in each folder in turn; with one rank plain Python."""
    words = [str(word) for folder, changes in cases for word in (folder, json.dumps(changes))]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    torchrun += [f"--max-restarts={restarts}"]
    command = [sys.executable, *(torchrun if ranks > 1 else []), "-m", "tests.train.rank_worker", *map(str, town)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *words], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]


def losses(folder: Path) -> dict[int, float]:
    """The loss of every step, the last that was told."""
    events = [entry.event for entry in read_events(folder / "events.jsonl")]
    return {event.step: event.loss for event in events if isinstance(event, kinds.Metric)}


def norms(folder: Path) -> kinds.Norms:
    """Of the last step."""
    events = [entry.event for entry in read_events(folder / "events.jsonl")]
    return [event for event in events if isinstance(event, kinds.Norms)][-1]


def assert_same_losses(folder: Path, other: Path) -> None:
    one, two = losses(folder), losses(other)
    assert one.keys() == two.keys() and len(one) > 1
    assert max(abs(one[step] - two[step]) for step in one) < TOLERANCE


def plan_of(folder: Path) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    return plan


TP = {"parallel": "fsdp", "tensor_parallel": 2}
ADAMW = {"optimizer": "adamw", "peak_lr": 0.002, "grad_clip": 0.5}
REGULAR = {"dropout": 0.1, "average": 0.5, "document_attention": True}
WAYS = {
    "ddp": {"parallel": "ddp"},
    "fsdp": {"parallel": "fsdp"},
    "ddp, adamw": {"parallel": "ddp", **ADAMW},
    "fsdp, adamw": {"parallel": "fsdp", **ADAMW},
    "ddp, dropout and average": {"parallel": "ddp", **REGULAR},
    "fsdp, dropout and average": {"parallel": "fsdp", **REGULAR},
    "ddp, adapters": {"parallel": "ddp", "lora": 3, "step": "autograd"},
    "fsdp, adapters": {"parallel": "fsdp", "lora": 3, "step": "autograd"},
    "tp": TP,
    "tp, adamw": {**TP, **ADAMW},
    "tp, dropout and average": {**TP, **REGULAR, "activation_checkpointing": True},
    "tp, adapters": {**TP, "lora": 3, "step": "autograd"},
}
PLACES = [*((2, way) for way in WAYS), (4, "tp, dropout and average"), (4, "tp, adapters")]


@pytest.fixture(scope="module")
def trained(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of every way, each trained by one process, by two, and where these compute layers together, by four."""
    folder = tmp_path_factory.mktemp("ranks")
    for ranks in (1, 2, 4):
        ways = [way for way in WAYS if alone(way) == way] if ranks == 1 else [way for n, way in PLACES if n == ranks]
        finish(launch(town, *((folder / str(ranks) / way, SHORT | WAYS[way]) for way in ways), ranks=ranks))
    return folder


def alone(way: str) -> str:
    """The same training by one process, which doesn't look at `parallel`."""
    return "ddp" + "".join(way.partition(",")[1:])


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "way"), PLACES)
def test_several_processes_have_the_losses_of_one(trained: Path, ranks: int, way: str) -> None:
    several, one = trained / str(ranks) / way, trained / "1" / alone(way)
    assert_same_losses(several, one)
    assert norms(several).gradients == pytest.approx(norms(one).gradients, rel=0.02)
    assert norms(several).updates == pytest.approx(norms(one).updates, rel=0.02)
    plan, wrapper = plan_of(several), way.partition(",")[0]
    assert (plan["world_size"], plan["parallel"]) == (ranks, "fsdp + tp 2" if wrapper == "tp" else wrapper)


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "way"), PLACES)
def test_several_processes_publish_the_weights_of_one_but_for_rounding(trained: Path, ranks: int, way: str) -> None:
    from safetensors.torch import load_file

    places = (trained / str(ranks) / way, trained / "1" / alone(way))
    if "adapters" in way:
        several, one = (json.loads((place / "sums.json").read_text()) for place in places)
        assert several == pytest.approx(one, abs=2e-3)
        return
    several, one = (load_file(place / "model" / WEIGHTS) for place in places)
    assert several.keys() == one.keys()
    assert max(float((several[name] - one[name]).abs().max()) for name in several) < 2e-4


@pytest.mark.slow
def test_only_one_process_writes(trained: Path) -> None:
    events = [entry.event for entry in read_events(trained / "2" / "ddp" / "events.jsonl")]
    assert [type(event) for event in events].count(kinds.Start) == 1
    steps = [event.step for event in events if isinstance(event, kinds.Metric)]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_two_processes_go_back_where_one_does_and_keep_the_same_best_report(town: Town, tmp_path: Path) -> None:
    guarded: dict[str, Any] = {"steps": 70, "reports": 4, "on_spike": "rollback", "rollback_steps": 25, "bad": (60, 61)}
    spoiled: dict[str, Any] = {"steps": 40, "reports": 4, "keep_best": True, "on_spike": "continue", "bad": (22, 99)}
    finish(launch(town, (tmp_path / "one", guarded), ranks=1))
    cases = [(tmp_path / way, guarded | {"parallel": way}) for way in ("ddp", "fsdp")]
    finish(launch(town, *cases, *((path / "best", changes | spoiled) for path, changes in cases)))
    for name in ("one", "ddp", "fsdp"):
        events = [entry.event for entry in read_events(tmp_path / name / "events.jsonl")]
        (told,) = [event.text for event in events if isinstance(event, kinds.Warned)]
        assert "the loss at step 61 jumps" in told and "goes back to step 50 and skips the 11 batches" in told
        assert_same_losses(tmp_path / name, tmp_path / "one")
    for way in ("ddp", "fsdp"):
        events = [entry.event for entry in read_events(tmp_path / way / "best" / "events.jsonl")]
        bits = [event.bits_per_byte for event in events if isinstance(event, kinds.Validation)]
        assert len(bits) == 5 and bits[-1] == min(bits) == bits[1]  # that of step 20 again, of the model kept


def wait_for(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Until there is a checkpoint of at least so many steps."""
    while not any(int(path.name[5:]) >= step for path in (folder / "checkpoints").glob("step-????????")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)


LONG: dict[str, Any] = {"steps": 60, "reports": 1, "checkpoint_seconds": 0.0}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp", "fsdp, dropout and average"])
def test_two_processes_then_one_then_two_read_the_samples_of_one(town: Town, tmp_path: Path, way: str) -> None:
    changes = LONG | WAYS[way]
    case = (tmp_path / "moved", changes)
    for ranks, step in ((2, 12), (1, 30)):
        process = launch(town, case, ranks=ranks)
        wait_for(case[0], step, process)
        kill_all(process)
    finish(launch(town, case))
    finish(launch(town, (tmp_path / "one", changes | {"parallel": "auto"}), ranks=1))
    assert_same_losses(tmp_path / "moved", tmp_path / "one")
    plan = plan_of(tmp_path / "moved")
    worlds = [facts["world_size"] for facts in plan["earlier"]] + [plan["world_size"]]
    assert worlds == [2, 1, 2]
    warned = [e.event.text for e in read_events(case[0] / "events.jsonl") if isinstance(e.event, kinds.Warned)]
    assert len(warned) == 2 and "were computed with" in warned[0] and "world_size = 2" in warned[0]


@pytest.mark.slow
def test_layers_cut_over_two_then_whole_then_cut_over_two_of_four_read_the_samples_of_one(
    town: Town, tmp_path: Path
) -> None:
    changes = LONG | REGULAR
    ways: list[tuple[int, dict[str, Any]]] = [(2, TP), (1, {}), (4, TP), (2, {"parallel": "fsdp"})]
    for number, (ranks, way) in enumerate(ways):
        process = launch(town, (tmp_path / "moved", changes | way), ranks=ranks)
        if number + 1 < len(ways):
            wait_for(tmp_path / "moved", 14 * (number + 1), process)
            kill_all(process)
    finish(process)
    finish(launch(town, (tmp_path / "one", changes), ranks=1))
    assert_same_losses(tmp_path / "moved", tmp_path / "one")
    plan = plan_of(tmp_path / "moved")
    shared = [(facts["world_size"], facts["parallel"]) for facts in (*plan["earlier"], plan)]
    assert shared == [(2, "fsdp + tp 2"), (1, "none"), (4, "fsdp + tp 2"), (2, "fsdp")]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_killed_process_of_two_is_replaced_and_training_goes_on_to_the_same_bits(
    town: Town, tmp_path: Path, way: str
) -> None:
    changes = LONG | {"parallel": way}
    finish(launch(town, (tmp_path / "undisturbed", changes)))
    folder = tmp_path / "killed"
    process = launch(town, (folder, changes), restarts=2)
    wait_for(folder, 10, process)
    os.kill(children(process.pid)[1], signal.SIGKILL)
    at = time.time()
    finish(process)
    assert weights_hash(folder) == weights_hash(tmp_path / "undisturbed")
    entries = list(read_events(folder / "events.jsonl"))
    again = max(n for n, entry in enumerate(entries) if isinstance(entry.event, kinds.Start))
    first = next(entry for entry in entries[again:] if isinstance(entry.event, kinds.Metric))
    print(f"{way}: training again {first.time_s - at:.1f} s after the kill")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_saves_and_ends_all(town: Town, tmp_path: Path, rank: int) -> None:
    folder = tmp_path / "stopped"
    case = (folder, LONG | {"parallel": "fsdp", "checkpoint_seconds": 3600.0, "steps": 4000})
    process = launch(town, case)
    while len(losses(folder) if (folder / "events.jsonl").exists() else {}) < 5:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    os.kill(children(process.pid)[rank], signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    saved = newest_saved(folder / "checkpoints")
    assert saved is not None and saved.step == max(losses(folder))


def kill_all(process: subprocess.Popen[str]) -> None:
    """kill -9 of all at once: torchrun's workers have sessions of their own."""
    for pid in (process.pid, *children(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def children(pid: int) -> list[int]:
    """The workers of torchrun, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == pid:
            found |= {int(v[5:]): int(path.name) for v in variables if v.startswith(b"RANK=")}
    return [found[rank] for rank in sorted(found)]


def test_a_command_that_was_not_started_by_torchrun_says_so(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"^WORLD_SIZE = 2, but .*; start the command with torchrun$"):
        train_town(town, tmp_path / "train")


KILLS = int(os.environ.get("GLASSMILL_KILLS", "4"))
"""Of each kind; `GLASSMILL_KILLS=50` is the bench: a hundred in all."""


def is_saving(folder: Path) -> bool:
    """Whether a checkpoint is half written."""
    return any((folder / "checkpoints").glob("*.partial")) or any((folder / "checkpoints").glob("share-*"))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("ranks", [1, 2])
def test_random_kills_of_one_or_all_processes_also_in_saves_change_no_bit(
    town: Town, tmp_path: Path, ranks: int
) -> None:
    chance, killed, in_saves, rounds = random.Random(ranks), 0, 0, 0
    changes = LONG | {"steps": 40, "parallel": "fsdp", **REGULAR}
    finish(launch(town, (tmp_path / "undisturbed", changes), ranks=ranks))
    expected = weights_hash(tmp_path / "undisturbed")
    while killed < KILLS:
        folder = tmp_path / f"killed-{rounds}"
        process = launch(town, (folder, changes), ranks=ranks, restarts=1)
        until = newest_step(folder) + chance.randrange(1, 12)
        while newest_step(folder) < until and process.poll() is None:
            time.sleep(0.002)
        if chance.random() < 0.7:  # as a save begins, else anywhere
            while not is_saving(folder) and process.poll() is None:
                time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.01))
        in_saves += is_saving(folder)
        killed += process.poll() is None
        workers = children(process.pid)
        if workers and chance.random() < 0.5:
            os.kill(chance.choice(workers), signal.SIGKILL)  # torchrun replaces it
            if chance.random() < 0.5:
                process.wait(timeout=300)
        kill_all(process)
        if (folder / "DONE").exists() or newest_step(folder) > 28:
            finish(launch(town, (folder, changes), ranks=ranks))
            assert weights_hash(folder) == expected, (rounds, killed)
            rounds += 1
    folder = tmp_path / f"killed-{rounds}"
    finish(launch(town, (folder, changes), ranks=ranks))
    assert weights_hash(folder) == expected
    print(f"{ranks} process(es): {killed} kills, {in_saves} of them in a save, {rounds + 1} runs, one hash")


def newest_step(folder: Path) -> int:
    return max((int(path.name[5:]) for path in (folder / "checkpoints").glob("step-????????")), default=0)
