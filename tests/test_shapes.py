"""Shapes and values that cannot exist are found when the recipe is read: one line, before any stage and in `plan`."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import find_recipe, load_recipe
from tests.line import glassmill

IMPOSSIBLE = [
    (["model.head_dim=31"], "model.head_dim = 31.*multiple of 2"),
    (["model.num_heads=4", "model.num_kv_heads=3"], "num_kv_heads = 3 does not divide .*num_heads = 4; set .*=2"),
    (["model.num_kv_heads=8"], "num_kv_heads = 8 does not divide .*num_heads = 5; set .*=5"),
    (["model.depth=12", "model.num_kv_heads=4"], "num_kv_heads = 4 does not divide .*num_heads = 6; set .*=3"),
    (["model.d_model=33"], "model.d_model = 33.*multiple of 2"),
    (["model.d_model=0"], "model.d_model = 0"),
    (["model.num_layers=0"], "model.num_layers = 0"),
    (["model.num_layers=1e3", "model.d_ff=0.5"], "model.d_ff = 0.5.*integer"),
    (["model.d_model=100000000000000000000000"], "model.d_model = 1.*(less than or equal|below 2)"),
    (["model.num_layers=1000000"], "model.num_layers.*less than or equal"),
    (["model.context_length=0"], "model.context_length = 0"),
    (["model.context_length=-256"], "model.context_length = -256"),
    (["model.rope_theta=inf"], "model.rope_theta = inf.*finite"),
    (["tokenizer.vocab_size=255"], "tokenizer.vocab_size = 255"),
    (["tokenizer.vocab_size=1000000"], "tokenizer.vocab_size = 1000000"),
    (["train.batch_tokens=1000"], "train.batch_tokens = 1000 is not a multiple .* = 256; set .*=1024"),
    (["train.batch_tokens=100"], "train.batch_tokens = 100 is not a multiple .* = 256; set .*=256"),
    (["train.peak_lr=nan"], "train.peak_lr = nan.*finite"),
    (["train.peak_lr=inf"], "train.peak_lr = inf.*finite"),
    (["train.minutes=inf"], "train.minutes = inf.*finite"),
    (["sft.pages=1"], "sft.pages = 1"),
    (["sft.length=4"], "sft.length = 4"),
]


@pytest.mark.parametrize(("overrides", "message"), IMPOSSIBLE, ids=str)
def test_what_cannot_exist_is_one_line_when_the_recipe_is_read(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_recipe(find_recipe("demo"), overrides)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.num_heads=4", "model.num_kv_heads=1"],
        ["model.depth=12"],
        ["model.depth=1"],
        ["model.context_length=512", "train.batch_tokens=512"],
        ["model.head_dim=8", "model.d_model=16"],
    ],
    ids=str,
)
def test_unusual_shapes_that_can_exist_are_read(overrides: list[str]) -> None:
    load_recipe(find_recipe("demo"), overrides)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_command_line_says_it_before_any_stage(tmp_path: Path, command: str) -> None:
    runs = ["--runs", str(tmp_path / "runs")] if command == "run" else []
    done = glassmill(command, "demo", "model.head_dim=31", *runs)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "model.head_dim = 31" in done.stderr
    assert not (tmp_path / "runs").exists()
