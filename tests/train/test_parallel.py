"""Two processes under torchrun, wrapped in DDP or FSDP2, have the gradients of one process on the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 5e-6
"""Of a gradient, relative to its largest entry, and of the loss: ten times what the order of float32 sums was seen to
change."""
CASES = [
    f"{wrapper}, {shape}{adapter}"
    for wrapper in ("ddp", "fsdp", "fsdp from meta")
    for shape in ("tied", "own head")
    for adapter in ("", ", adapter")
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo"),
]


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, dict[str, object]]]:
    """What the two processes printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
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
    result: dict[str, dict[str, dict[str, object]]] = json.loads(ended.stdout.strip().splitlines()[-1])
    assert result["ranks"] == 2 and sorted(result["cases"]) == sorted(CASES)
    return result


@pytest.mark.parametrize("case", CASES)
def test_uneven_rows_on_two_ranks_give_the_gradients_of_one_process(
    case: str, found: dict[str, dict[str, dict[str, float]]]
) -> None:
    assert found["cases"][case]["gradients"] < TOLERANCE
    assert found["cases"][case]["loss"] < TOLERANCE


@pytest.mark.parametrize("case", CASES)
def test_an_adapter_gets_gradients_and_what_it_freezes_gets_none(
    case: str, found: dict[str, dict[str, dict[str, object]]]
) -> None:
    assert found["cases"][case]["trained"] == (["lora_A", "lora_B"] if "adapter" in case else ["weight"])


@pytest.mark.parametrize("case", CASES)
def test_the_fused_step_refuses_wrapped_models_in_one_line(
    case: str, found: dict[str, dict[str, dict[str, object]]]
) -> None:
    wrapper = "DistributedDataParallel" if case.startswith("ddp") else "FSDPTransformer"
    assert found["cases"][case]["refusal"] == (
        f"step = fused cannot be used: the model is wrapped ({wrapper}); set step=auto"
    )


def test_gradients_are_exchanged_once_a_batch(found: dict[str, dict[str, int]]) -> None:
    blocks_and_the_rest = 2 + 1
    assert found["exchanges"] == {"ddp": 1, "fsdp": blocks_and_the_rest}
