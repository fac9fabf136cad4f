"""Processes under torchrun, wrapped in DDP or FSDP2 or computing layers together, have the gradients of one process on
the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 5e-6
"""Of a gradient, relative to its largest entry, and of the loss: ten times what the order of float32 sums was seen to
change."""
CASES = [
    (ranks, f"{wrapper}, {shape}{adapter}")
    for ranks, wrappers in ((2, ("ddp", "fsdp", "fsdp from meta", "tp", "tp from meta")), (4, ("tp", "tp from meta")))
    for wrapper in wrappers
    for shape in ("tied", "own head", "biases")
    for adapter in ("", ", adapter")
]
Found = dict[int, dict[str, Any]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo"),
]


@pytest.fixture(scope="module")
def found() -> Found:
    """What two processes printed, and what four did."""
    return {ranks: printed_by(ranks) for ranks in (2, 4)}


def printed_by(ranks: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, "-m", "tests.train.parallel_worker"],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    result: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    assert result["ranks"] == ranks and sorted(result["cases"]) == sorted(case for n, case in CASES if n == ranks)
    return result


@pytest.mark.parametrize(("ranks", "case"), CASES)
def test_uneven_rows_on_several_ranks_give_the_gradients_of_one_process(ranks: int, case: str, found: Found) -> None:
    assert found[ranks]["cases"][case]["gradients"] < TOLERANCE
    assert found[ranks]["cases"][case]["loss"] < TOLERANCE
    assert found[ranks]["cases"][case]["norm"] < TOLERANCE


@pytest.mark.parametrize(("ranks", "case"), CASES)
def test_an_adapter_gets_gradients_and_what_it_freezes_gets_none(ranks: int, case: str, found: Found) -> None:
    weights = ["bias", "weight"] if "biases" in case else ["weight"]
    assert found[ranks]["cases"][case]["trained"] == (["lora_A", "lora_B"] if "adapter" in case else weights)


@pytest.mark.parametrize(("ranks", "case"), CASES)
def test_the_fused_step_refuses_wrapped_models_in_one_line(ranks: int, case: str, found: Found) -> None:
    wrapper = "DistributedDataParallel" if case.startswith("ddp") else "FSDPTransformer"
    assert found[ranks]["cases"][case]["refusal"] == (
        f"step = fused cannot be used: the model is wrapped ({wrapper}); set step=auto"
    )


def test_gradients_are_exchanged_once_a_batch(found: Found) -> None:
    blocks_and_the_rest = 2 + 1
    assert found[2]["exchanges"] == {"ddp": 1, "fsdp": blocks_and_the_rest}
