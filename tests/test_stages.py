"""The registry's promises: its rows fit the recipe and the verbs, and one row decides what a line does with a stage."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import Recipe, make_recipe, stage_names
from glassmill.run.line import stage_identity
from glassmill.stages import NAMES, STAGES, Stage, last_model, stage_named

each_stage = pytest.mark.parametrize("stage", STAGES, ids=NAMES)


def test_the_recipe_has_a_section_for_every_stage_and_a_stage_for_every_section() -> None:
    assert stage_names() == NAMES
    assert make_recipe({}).stages == stage_names(asked_for=False)


def test_a_stage_that_is_asked_for_runs_only_where_it_is_named() -> None:
    recipe = make_recipe({"stages": ["train", "sft"]})
    assert "rl" not in make_recipe({}).stages
    assert recipe.with_stage("rl").stages == ("train", "sft", "rl")
    assert recipe.with_stage("eval") is recipe
    with pytest.raises(UserError, match="did you mean rl"):
        make_recipe({"stages": ["rll"]})


@each_stage
def test_a_stage_reads_only_from_stages_before_it(stage: Stage) -> None:
    before = NAMES[: NAMES.index(stage.name)]
    assert all(name in before for one in stage.inputs for name in one.stages)


@each_stage
def test_the_row_gives_make_exactly_the_arguments_that_it_takes(stage: Stage) -> None:
    verb = importlib.import_module(stage.verb)
    assert isinstance(verb.VERSION, int)
    if stage.facts:  # the same, where asking takes less time
        facts = importlib.import_module(stage.facts)
        assert (facts.VERSION, facts.resolved) == (verb.VERSION, verb.resolved)
    run, settings, *others = inspect.signature(verb.make).parameters.values()
    assert (run.name, settings.name) == ("run", "settings")
    assert ("seed" in {one.name for one in others}) == stage.seeded
    others = [one for one in others if one.name != "seed"]
    assert {one.name for one in others} == {one.argument for one in stage.inputs} | {
        f"{name}_settings" for name in stage.sections
    }
    can_do_without = {one.name for one in others if one.default is not inspect.Parameter.empty}
    assert can_do_without == {one.argument for one in stage.inputs if not one.required}


@each_stage
def test_the_further_sections_of_a_row_are_sections_of_the_recipe(stage: Stage) -> None:
    assert all(name in Recipe.model_fields and name not in NAMES for name in stage.sections)


def test_an_input_with_alternatives_takes_the_first_that_the_line_has() -> None:
    base, assistant, web = Path("train/a"), Path("sft/b"), Path("miniweb/c")
    scored = stage_named("eval")
    assert scored.given({"train": base, "sft": assistant, "miniweb": web}) == {"model": assistant, "web": web}
    assert scored.given({"train": base}) == {"model": base}


def test_the_last_stage_that_leaves_a_model_gives_the_line_its_model() -> None:
    assert last_model(["corpus", "sft", "train", "eval"]) == "sft"
    assert last_model(["train"]) == "train"
    assert last_model(["corpus"]) is None


@each_stage
def test_every_room_of_the_page_has_words(stage: Stage) -> None:
    words = stage.words()
    assert all(words[name] for name in ("title", "doing", "leaves", "room", "heading", "says"))


def test_importing_the_registry_loads_no_verb_and_no_library() -> None:
    heavy = ["torch", "pydantic", "numpy", "pyarrow", *(stage.verb for stage in STAGES)]
    code = f"import glassmill.stages, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_run_depends_on_the_content_of_the_users_own_files(tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    recipe = make_recipe({}, [f"eval.questions={questions}"])
    digests = []
    for text in ('{"question": "a"}\n', '{"question": "b"}\n', '{"question": "a"}\n'):
        questions.write_text(text)
        digests.append(stage_identity(stage_named("eval"), recipe, {}).digest)
    assert digests[0] == digests[2] != digests[1]


def test_the_report_takes_from_the_stats_what_the_row_says() -> None:
    stats = {"parameters": 7, "steps": 3, "tokens_seen": 96, "val_bpb": 2.0}
    assert stage_named("train").report(stats) == {"parameters": 7, "steps": 3, "tokens_seen": 96}
    assert stage_named("tokens").report(stats) == {}


def test_a_given_run_counts_as_the_stage_that_it_stands_for() -> None:
    recipe = make_recipe({}, ['stages=["sft"]', "sft.steps=1"])
    assert "needs a base model" in (stage_named("sft").check(recipe) or "")
    recipe = recipe.model_copy(update={"given": {"train": "runs/train/x"}})
    assert "sft.conversations is empty" in (stage_named("sft").check(recipe) or "")
    assert stage_named("sft").check(recipe.model_copy(update={"given": {"train": "x", "miniweb": "y"}})) is None
