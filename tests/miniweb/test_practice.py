"""What is practised in the town: nothing that the evaluation asks."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from glassmill.errors import UserError
from glassmill.infer.tools import calculate
from glassmill.miniweb import asking, conversations, make, practice, questions
from glassmill.miniweb.world import World, make_world
from glassmill.recipe import MiniwebSettings, Recipe
from glassmill.run.folder import Identity, open_run, settings_identity

SEED, PEOPLE, TALKS = 3, 24, 400


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(SEED, PEOPLE, 4)


@pytest.fixture(scope="module")
def tasks(world: World) -> list[dict[str, Any]]:
    return practice.make_practice(world, SEED, TALKS, 2000)


@pytest.fixture(scope="module")
def asked(world: World) -> list[dict[str, Any]]:
    """The evaluation's questions about the same town."""
    sums = questions.make_sums(SEED, conversations.num_sums(TALKS))
    return questions.make_questions(world, SEED, questions.make_ghosts(world, SEED), sums.evaluation)


def test_equal_seeds_give_equal_tasks_in_the_shares_that_are_written_down(
    world: World, tasks: list[dict[str, Any]]
) -> None:
    assert practice.make_practice(world, SEED, TALKS, 2000) == tasks
    assert practice.make_practice(world, SEED + 1, TALKS, 2000) != tasks
    assert Counter(row["kind"] for row in tasks) == {kind: 2000 * share for kind, share in practice.SHARES.items()}


def test_nobody_is_practised_whom_only_pages_mention(world: World, tasks: list[dict[str, Any]]) -> None:
    said = "\n".join(row["prompt"].lower() for row in tasks)
    assert any(not subject.in_sft for subject in world.subjects)
    assert not [one.name for one in world.subjects if not one.in_sft and one.name.lower() in said]


def test_no_name_that_the_evaluation_finds_unknown_is_practised(
    tasks: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    said = "\n".join(row["prompt"].lower() for row in tasks if row["kind"] == "unknown")
    strangers = {row["subject"].lower() for row in asked if row["kind"] == "unknown"}
    people = {row["subject"].lower() for row in asked if row["kind"] == "fact"}
    assert len(strangers - people) > 20
    assert not [name for name in strangers - people if name in said]


def test_no_question_and_no_new_wording_of_the_evaluation_is_practised(
    tasks: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    prompts = {row["prompt"] for row in tasks}
    assert not prompts & {row["question"] for row in asked if row["wording"] == "new"}
    forms = [form for new in asking.NEW.values() for form in new]
    slots = (re.escape(form).replace(r"\{n\}", ".+").replace(r"\{one\}", ".+") for form in forms)
    new = re.compile("|".join(f"(?:{form})" for form in slots), re.IGNORECASE)
    assert not [prompt for prompt in prompts if new.fullmatch(prompt)]
    for attribute, forms_of in asking.PRACTICE.items():
        others = {*asking.KNOWN[attribute], *asking.NEW[attribute], *asking.PAGES[attribute]}
        assert len(forms_of) >= 6 and not set(forms_of) & others


def test_sums_have_other_numbers_than_the_evaluation_and_results_that_the_calculator_gives(
    tasks: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    def numbers(text: str) -> tuple[str, ...]:
        return tuple(sorted(re.findall(r"\d+", text)))

    held_out = [asdict(row) for row in practice.held_out_questions(SEED)]
    single = {(*numbers(row["question"]), row["value"]) for row in asked if row["kind"] == "sum"}
    assert not single & {(*numbers(row["prompt"]), row["calculates"]) for row in tasks if row["kind"] == "sum"}
    double = {numbers(row["question"]) for row in held_out}
    practised = [row for row in tasks if row["kind"] == "two_step"]
    assert not double & {numbers(row["prompt"]) for row in practised}
    assert not {form for form, _ in asking.TWO_STEP["new"]} & {form for form, _ in asking.TWO_STEP["practice"]}
    for row in practised:
        assert calculate(row["solution"][0]["expression"]) == row["calculates"]
    for row in held_out:
        assert calculate(row["subject"]) == row["value"] and row["answer"] == f"{row['value']}."


def test_a_run_gives_its_town_back(tmp_path: Path, world: World) -> None:
    settings = MiniwebSettings(pages=60, people=PEOPLE, conversations=TALKS, false_claims=4)
    identity = Identity("miniweb", make.VERSION, settings_identity(settings=settings, seed=SEED), {})
    with open_run(tmp_path / "web", identity, Recipe()) as run:
        make.make(run, settings, SEED)
    found, seed, num_conversations = practice.read_world(tmp_path / "web")
    assert (found.people, found.places, found.events) == (world.people, world.places, world.events)
    assert (seed, num_conversations) == (SEED, TALKS)
    with pytest.raises(UserError, match=r"no finished MiniWeb run .*run its stage again"):
        practice.read_world(tmp_path / "missing")
