"""`glassmill plan`: an estimate in whole words, before anything starts."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from glassmill.commands.plan import Plan, make_plan, plan_table
from glassmill.recipe import find_recipe, load_recipe
from glassmill.stages import NAMES, stage_named


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
