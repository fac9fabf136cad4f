"""`glassmill plan`: an estimate in whole words, before anything starts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from glassmill.commands.plan import Plan, _enough, _times, make_plan, plan_table
from glassmill.errors import UserError
from glassmill.model.config import ModelConfig
from glassmill.pipeline import run_line
from glassmill.recipe import Recipe, find_recipe, load_recipe, make_recipe
from glassmill.stages import NAMES, stage_named
from tests.tokens.builders import small_tokenizer


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(load_recipe(find_recipe("demo")))


def drawn(plan: Plan) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for table in plan_table(plan):
            console.print(table)
    return capture.get()


def test_it_shows_the_shape_of_the_model_and_what_every_stage_leaves(plan: Plan) -> None:
    text = drawn(plan)
    assert "4 layers, d_model 160, 5 heads of 32 (5 for keys and values), d_ff 448, context 256" in text
    for name in plan["minutes"]:
        assert name == "total" or stage_named(name).leaves in text


def test_a_short_time_is_not_zero_minutes(plan: Plan) -> None:
    assert plan["minutes"]["tokenizer"] < 0.1
    assert not re.search(r"(?<!\d)0\.0", drawn(plan)) and "under a minute" in drawn(plan)


def test_the_minutes_of_the_stages_add_up_and_a_time_box_is_kept() -> None:
    plan = make_plan(
        load_recipe(find_recipe("web"), [f"corpus.inputs={find_recipe('web').parent}", "train.minutes=10"])
    )
    minutes = {name: value for name, value in plan["minutes"].items() if name != "total"}
    assert minutes["train"] == pytest.approx(10, abs=0.01)
    assert plan["minutes"]["total"] == pytest.approx(sum(minutes.values()), abs=0.1)
    assert set(minutes) <= set(NAMES) and "sft" not in minutes


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        (0.0004, "under 1 % of the text"),
        (0.04, "about 4 % of the text"),
        (0.996, "once over the text"),
        (2.34, "2.3 times over the text"),
        (9.96, "10.0 times over the text"),
        (31.2, "about 31 times over the text"),
        (42_127.0, "about 42,000 times over the text"),
    ],
)
def test_how_often_the_text_is_read_is_said_in_numbers_that_mean_something(epochs: float, words: str) -> None:
    assert _times(epochs) == words


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.004, "under 0.1 tokens for each parameter, far too few"),
        (3.21, "3.2 tokens for each parameter, few"),
        (19.7, "20 tokens for each parameter, about right"),
        (8210.0, "8,200 tokens for each parameter, plenty"),
    ],
)
def test_whether_training_reads_enough_is_said_in_words(ratio: float, words: str) -> None:
    assert _enough(ratio).startswith(words)


def test_no_plan_shows_zeros_or_false_precision(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("The miller grinds rye. " * 40)
    plan = make_plan(load_recipe(find_recipe("web"), [f"corpus.inputs={tmp_path}", "train.minutes=600"]))
    text = drawn(plan)
    assert not re.search(r"\b0\.0\b|\d{5,} times", text)
    assert "times over the text" in text and "cannot fill a vocabulary" in text and "more than 30 times" in text


def test_memory_and_disk_are_compared_with_the_machines() -> None:
    huge = ["model.d_model=16384", "model.num_layers=96", "model.num_heads=128", "model.num_kv_heads=8"]
    plan = make_plan(load_recipe(find_recipe("demo"), [*huge, "model.head_dim=128", "model.d_ff=53248"]))
    assert plan["memory_bytes"] > 2**40 and plan["memory"]["train"] == plan["memory_bytes"]
    text = drawn(plan)
    assert "of memory, and" in text and "TB are needed" in text and "name another folder with --runs" in text


def test_the_checkpoints_that_a_training_goes_back_to_take_room_too() -> None:
    def disk(*overrides: str) -> int:
        return make_plan(load_recipe(find_recipe("demo"), overrides))["disk_bytes"]

    plain, best = disk(), disk("train.keep_best=true")
    assert best > plain and disk("train.on_spike=rollback") == best
    assert disk("train.keep_checkpoints=4") - plain == 2 * (best - plain)


def base_model(folder: Path) -> Path:
    """A folder with a shape and a tokenizer, and no weights: a plan needs none."""
    tokenizer = small_tokenizer(300)
    tokenizer.save(folder)
    config = ModelConfig(tokenizer.vocab_size, 48, 3, 3, 3, 16, 96, 128)
    (folder / "config.json").write_text(json.dumps(config.to_hf()))
    return folder


def sft_recipe(folder: Path, *overrides: str) -> Recipe:
    (folder / "chats.jsonl").write_text('{"question": "Who?", "answer": "Ada."}\n' * 20)
    table = {"name": "x", "stages": ["sft"], "sft": {"steps": 5, "conversations": [str(folder / "chats.jsonl")]}}
    return make_recipe(table, overrides)


def test_the_base_of_an_sft_is_read_for_its_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base_model(tmp_path / "models" / "small")
    plan = make_plan(sft_recipe(tmp_path, "sft.base=small"), tmp_path / "runs")
    assert (
        plan["base"] == "models/small" and plan["model"]["num_layers"] == 3 and plan["model"]["context_length"] == 128
    )
    assert set(plan["memory"]) == {"sft"} and plan["minutes"]["sft"] < 1
    assert "3 layers, d_model 48" in drawn(plan) and "of HTML" not in drawn(plan)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sft.base=absent"], "sft.base = 'absent'"),
        (["sft.base=models/small", "sft.length=256"], "sft.length = 256 is longer than the model's context of 128"),
        (["sft.base=models/small", "sft.length=48"], "sft.batch_tokens = 4096 is not a multiple of sft.length = 48"),
        (["sft.base=models/small", "sft.conversations=absent.jsonl"], "names no file"),
        (["sft.base=models/small", "sft.conversations=bad.jsonl"], "bad.jsonl, line 2 is not a conversation"),
        (["sft.base=models/small", "sft.conversations=silent.jsonl"], "20 conversations, and none teaches anything"),
        (["sft.base=models/small", 'stages=["sft","eval"]', "eval.questions=bad.jsonl"], "bad.jsonl, line 2: each row"),
        (["sft.base=models/small", 'stages=["sft","eval"]', "eval.questions=absent.csv"], "absent.csv"),
        (["sft.base=models/silent"], "no chat template"),
        (["sft.base=models/small", 'stages=["miniweb","corpus","tokenizer","tokens","sft"]'], "set sft.pages=0"),
    ],
)
def test_what_can_be_known_of_an_sft_is_found_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    base_model(tmp_path / "models" / "small")
    silent = base_model(tmp_path / "models" / "silent")
    settings = json.loads((silent / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (silent / "tokenizer_config.json").write_text(json.dumps(settings))
    (silent / "meta.json").unlink(missing_ok=True)
    (silent / "chat_template.jinja").unlink(missing_ok=True)
    (tmp_path / "bad.jsonl").write_text('{"question": "Who?", "answer": "Ada."}\n{"text": "x"}\n')
    (tmp_path / "silent.jsonl").write_text('{"question": "Who?", "answer": ""}\n' * 20)
    for start in (make_plan, lambda recipe, runs: run_line(recipe, runs)):
        with pytest.raises(UserError, match=message):
            start(sft_recipe(tmp_path, *overrides), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
