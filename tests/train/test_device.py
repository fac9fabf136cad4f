"""One place decides device, type, threads and rank; what it decided is in the plan, and a rerun must agree with it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from glassmill.errors import UserError
from glassmill.evals import eval
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer
from glassmill.recipe import Recipe, TrainSettings
from glassmill.run import kinds
from glassmill.run.device import LARGE_BYTES, Place, best_dtype, inference_dtype, place_from, resolve
from glassmill.train import train
from glassmill.train.gradients import AutogradGradients, make_gradients
from glassmill.train.plan import set_up
from glassmill.train.tensor_parallel import check_shape
from glassmill.tune import sft
from tests.train.test_train import train_town, weights_hash

Town = tuple[Path, Path]


@pytest.fixture(params=[True, False])
def has_bfloat16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A CPU with or without the instructions."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param, raising=False)
    return bool(request.param)


def test_float32_unless_the_device_multiplies_bfloat16_faster(has_bfloat16: bool) -> None:
    assert best_dtype("cpu", 128) == ("bfloat16" if has_bfloat16 else "float32")
    assert best_dtype("cpu", 96) == best_dtype("mps", 768) == "float32"
    assert best_dtype("cuda", 160) == "bfloat16"


def test_inference_halves_large_weights_only(has_bfloat16: bool) -> None:
    assert inference_dtype("cpu", LARGE_BYTES) == ("bfloat16" if has_bfloat16 else "float32")
    assert inference_dtype("cpu", LARGE_BYTES - 1) == "float32"
    assert inference_dtype("cuda", LARGE_BYTES) is None


def test_scores_on_a_processor_that_computes_large_models_in_another_type_are_another_run(has_bfloat16: bool) -> None:
    expected = "bfloat16" if has_bfloat16 else "float32"
    assert eval.resolved(Recipe())["dtype_of_large_models"] == expected


def test_the_automatic_step_is_the_fused_one_in_one_process_on_a_cpu(has_bfloat16: bool) -> None:
    narrow, wide = (set_up(TrainSettings(device="cpu"), width) for width in (96, 768))
    assert narrow.step == wide.step == "fused"
    assert (narrow.device.dtype, wide.device.dtype) == ("float32", "bfloat16" if has_bfloat16 else "float32")
    assert set_up(TrainSettings(device="cpu", step="autograd"), 160).step == "autograd"


def test_without_the_native_core_gradients_come_from_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassmill.native.trains", lambda: False)
    assert set_up(TrainSettings(device="cpu"), 160).step == "autograd"
    with pytest.raises(UserError, match=r"^step = fused is .*, not one without the native core; set step=auto$"):
        set_up(TrainSettings(device="cpu", step="fused"), 160)
    model = Transformer(ModelConfig(48, 24, 2, 2, 1, 12, 40, 16))
    assert isinstance(make_gradients(model, 4, 16, 64, torch.float32), AutogradGradients)


def test_ranks_are_those_that_torchrun_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve().place == place_from({}) == Place(0, 0, 1)
    for name, value in (("RANK", "5"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    assert resolve("cpu").place == Place(5, 1, 8)
    assert set_up(TrainSettings(device="cpu"), 160).step == "autograd"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"^device = cuda: torch .* finds none on this machine; set device=auto or cpu$"
    ):
        resolve("cuda")


def test_the_fused_step_is_refused_under_torchrun_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"^step = fused is for one process on a CPU, not 2 on cpu; set step=auto$"):
        set_up(TrainSettings(device="cpu", step="fused"), 160)


@pytest.mark.parametrize(
    ("changes", "processes", "message"),
    [
        (
            {"tensor_parallel": 2},
            1,
            "tensor_parallel = 2 does not divide the number of processes, 1: start the command with torchrun, or set "
            "tensor_parallel=1",
        ),
        (
            {"tensor_parallel": 4},
            6,
            "tensor_parallel = 4 does not divide the number of processes, 6: start as many as it divides, or set "
            "tensor_parallel=1",
        ),
        (
            {"tensor_parallel": 2, "parallel": "ddp"},
            4,
            "tensor_parallel = 2 cuts the layers, and parallel = ddp keeps them whole; set parallel=fsdp, or "
            "tensor_parallel=1",
        ),
    ],
)
def test_processes_that_cannot_compute_a_layer_together_are_told_so(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], processes: int, message: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        set_up(TrainSettings(device="cpu", **changes), 160)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_heads": 3, "num_kv_heads": 3}, "num_heads = 3"),
        ({"num_kv_heads": 1}, "num_kv_heads = 1"),
        ({"d_ff": 33}, "d_ff = 33"),
    ],
)
def test_a_model_whose_layers_cannot_be_divided_is_told_which_number(changes: dict[str, int], named: str) -> None:
    config = dataclasses.replace(ModelConfig(64, 32, 1, 4, 4, 8, 32, 16), **changes)
    with pytest.raises(UserError, match=f"^tensor_parallel = 2 does not divide {named} of this model; set a divisor"):
        check_shape(config, 2)


def test_deciding_nothing_imports_no_torch() -> None:
    code = "import sys; import glassmill.run.device; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_plan_says_on_what_a_run_is_computed_and_the_identity_only_in_which_type(
    town: Town, tmp_path: Path
) -> None:
    recipe = Recipe(model={"d_model": 32}, train={"threads": 1})
    train_town(town, tmp_path / "train", steps=2, reports=1)
    plan = json.loads((tmp_path / "train" / "plan.json").read_text())
    facts = set_up(recipe.train, 32).facts()
    assert facts == {name: plan[name] for name in facts}
    assert facts.keys() == {"device", "processor", "dtype", "threads", "torch", "world_size", "step", "parallel"}
    assert (facts["device"], facts["dtype"], facts["threads"], facts["step"]) == ("cpu", "float32", 1, "fused")
    assert facts["torch"] == torch.__version__
    assert train.resolved(recipe) == {"dtype": "float32"}


def test_sft_resolves_for_the_width_of_the_model_it_starts_from(tmp_path: Path, has_bfloat16: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps(ModelConfig(512, 768, 1, 1, 1, 64, 64, 64).to_hf()))
    recipe = Recipe(model={"d_model": 160}, sft={"base": str(tmp_path), "device": "cpu"})
    assert sft.resolved(recipe)["dtype"] == ("bfloat16" if has_bfloat16 else "float32")
    assert sft.resolved(Recipe(model={"d_model": 96}, sft={"device": "cpu"}))["dtype"] == "float32"
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json.* architecture"):
        sft.resolved(recipe)


@pytest.mark.parametrize(
    ("name", "then"), [("threads", 2), ("torch", "1.0"), ("processor", "NEON"), ("step", "autograd")]
)
def test_a_run_that_was_started_elsewhere_is_continued_and_says_what_may_differ(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, then: object
) -> None:
    folder = tmp_path / "train"
    step = train.fit.__globals__["Trainer"].step

    def interrupted(self: Any, number: int, *rest: Any) -> Any:
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number, *rest)

    monkeypatch.setattr(train.fit.__globals__["Trainer"], "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_town(town, folder, steps=4, reports=1)
    monkeypatch.undo()
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, name: then}))
    events = train_town(town, folder, steps=4, reports=1)
    (warned,) = [event.text for event in events if isinstance(event, kinds.Warned)]
    assert warned.startswith(
        f"the first 3 steps were computed with {name} = {then}, from here on with {name} = {plan[name]}: the same "
    )
    moved = json.loads((folder / "plan.json").read_text())
    assert moved[name] == plan[name] and [(was[name], was["until"]) for was in moved["earlier"]] == [(then, 3)]


def test_a_plan_of_an_older_version_is_not_continued(town: Town, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    old = {"steps": 2, "threads": 1, "dtype": "float32", "step_seconds": 0.0}
    (tmp_path / "train" / "plan.json").write_text(json.dumps(old))
    with pytest.raises(UserError, match="another version of glassmill"):
        train_town(town, tmp_path / "train", steps=2, reports=1)


def test_autograd_by_name_trains_another_model_than_the_fused_step_to_the_same_loss(town: Town, tmp_path: Path) -> None:
    for step in ("fused", "autograd"):
        train_town(town, tmp_path / step, steps=10, reports=1, step=step)
    stats = [json.loads((tmp_path / step / "stats.json").read_text()) for step in ("fused", "autograd")]
    assert stats[0]["val_bpb"] == pytest.approx(stats[1]["val_bpb"], rel=1e-3)
    assert weights_hash(tmp_path / "fused") != weights_hash(tmp_path / "autograd")
