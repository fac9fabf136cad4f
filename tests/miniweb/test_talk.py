"""Questions and conversations: what is held out for the evaluation stands in no conversation."""

from __future__ import annotations

import re
from typing import Any

import pytest

from glassmill.miniweb import asking, conversations, questions, visitors, wordings
from glassmill.miniweb.chance import stream
from glassmill.miniweb.prose import TYPED_SHARE, Narrator
from glassmill.miniweb.world import PERSON_ATTRIBUTES, World, canonical, make_world

COUNT = 1500


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7, 48, 12)


@pytest.fixture(scope="module")
def talk(world: World) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Questions and conversations of one town."""
    ghosts = questions.make_ghosts(world, 7)
    sums = questions.make_sums(7, conversations.num_sums(COUNT))
    asked = questions.make_questions(world, 7, ghosts, sums.evaluation)
    return asked, conversations.make_conversations(world, 7, COUNT, ghosts.sft, sums.sft)


@pytest.fixture(scope="module")
def asked(talk: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return talk[0]


@pytest.fixture(scope="module")
def talks(talk: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return talk[1]


@pytest.fixture(scope="module")
def said(talks: list[dict[str, Any]]) -> str:
    return "\n".join(str(message["content"]) for talk in talks for message in talk["messages"])


def user_turns(talks: list[dict[str, Any]]) -> set[str]:
    return {message["content"] for talk in talks for message in talk["messages"] if message["role"] == "user"}


def test_a_third_of_the_subjects_never_stands_in_conversations(world: World, said: str) -> None:
    held_out = [subject for subject in world.subjects if not subject.in_sft]
    assert len(held_out) * 3 >= len(world.subjects)
    for subject in held_out:
        # a stranger keeps some place that conversations mention; nothing else of them may be said
        rest = re.sub(rf"is kept by {subject.name}\.", "", said)
        values = {place.facts["place"] for place in world.events if place.in_sft}
        assert subject.name not in rest or subject.name in values


def test_held_out_people_are_never_asked_about(world: World, talks: list[dict[str, Any]]) -> None:
    questions_said = "\n".join(user_turns(talks))
    for subject in world.subjects:
        if not subject.in_sft:
            assert subject.name not in questions_said


def test_new_wordings_stand_in_no_conversation(asked: list[dict[str, Any]], talks: list[dict[str, Any]]) -> None:
    turns = user_turns(talks)
    assert not turns & {row["question"] for row in asked if row["wording"] == "new"}
    forms = [
        re.escape(form).replace(r"\{n\}", ".+").replace(r"\{one\}", ".+") for new in asking.NEW.values() for form in new
    ]
    pattern = re.compile("|".join(f"(?:{form})" for form in forms))
    assert not any(pattern.fullmatch(turn) for turn in turns)


def test_the_three_lists_of_questions_share_no_wording() -> None:
    for attribute, known in asking.KNOWN.items():
        assert len(known) >= 8
        assert len(asking.NEW[attribute]) >= 4
        lists = [set(known), set(asking.NEW[attribute]), set(asking.PAGES[attribute])]
        assert len(set.union(*lists)) == sum(map(len, lists))


def test_every_attribute_has_a_dozen_statements() -> None:
    for attribute, forms in wordings.STATEMENTS.items():
        assert len(set(forms)) == len(forms) >= 12, attribute


def test_unknown_names_are_nobodys_and_differ_between_sft_and_evaluation(
    world: World, asked: list[dict[str, Any]], said: str
) -> None:
    unknown = [row for row in asked if row["kind"] == "unknown"]
    people = {person.name for person in world.people}
    strangers = {row["subject"] for row in unknown if row["attribute"] in PERSON_ATTRIBUTES}
    assert len(strangers) > 50
    assert not strangers & people
    assert not any(name in said for name in strangers)
    assert all(row["answer"].startswith("I do not know that; I never read about ") for row in unknown)


def test_sums_are_right_and_those_of_the_evaluation_are_in_no_conversation(
    asked: list[dict[str, Any]], talks: list[dict[str, Any]]
) -> None:
    signs = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}

    def key(expression: str) -> tuple[str, int, int]:
        left, sign, right = re.fullmatch(r"(\d+)([-+*])(\d+)", expression).groups()  # type: ignore[union-attr]
        return sign, *sorted((int(left), int(right)))  # type: ignore[return-value]

    calls = [
        message["content"] for talk in talks for message in talk["messages"] if isinstance(message["content"], list)
    ]
    for call, result, text in calls:
        sign, *_ = key(call["expression"])
        left, right = map(int, call["expression"].split(sign))
        assert result["text"] == str(signs[sign](left, right))
        assert text["text"] == f"{result['text']}."
    sums = [row for row in asked if row["kind"] == "sum" and row["wording"] != "typed"]
    assert len(sums) == questions.NUM_SUMS
    assert not {key(row["subject"]) for row in sums} & {key(call[0]["expression"]) for call in calls}


def test_answers_are_the_canonical_sentences(world: World, asked: list[dict[str, Any]]) -> None:
    subjects = {subject.name: subject for subject in world.subjects}
    facts = [row for row in asked if row["kind"] == "fact"]
    assert {row["in_sft"] for row in facts} == {True, False}
    for row in facts:
        subject = subjects[row["subject"]]
        assert row["value"] == subject.facts[row["attribute"]]
        assert row["answer"] == canonical(subject, row["attribute"], row["value"])
        assert row["in_sft"] == subject.in_sft


def test_false_claims_are_about_people_whom_conversations_never_mention(
    world: World, asked: list[dict[str, Any]]
) -> None:
    claims = [row for row in asked if row["kind"] == "false_claim"]
    assert {row["subject"] for row in claims} == {subject.name for subject, _ in world.false_claims}
    subjects = {subject.name: subject for subject in world.people}
    for row in claims:
        assert not row["in_sft"]
        assert row["value"] != subjects[row["subject"]].facts[row["attribute"]]


def test_people_have_full_names_of_their_own_even_in_a_large_town() -> None:
    large = make_world(3, 400, 12)
    assert len({person.name for person in large.people}) == 400


def test_sentences_begin_with_a_capital_and_end_with_a_full_stop(world: World) -> None:
    narrator = Narrator(world, stream(1, "test"), stream(2, "test"))
    for subject in world.subjects:
        for told in narrator.tell(subject, 6) * 2:
            assert re.fullmatch(r"(“?[A-Z0-9]).*[.]", told.text), told.text
            assert "{" not in told.text


def test_what_visitors_type_in_the_evaluation_stands_in_no_conversation(
    asked: list[dict[str, Any]], talks: list[dict[str, Any]]
) -> None:
    typed = [row for row in asked if row["wording"] == "typed"]
    assert {row["kind"] for row in typed} == {"fact", "unknown", "sum"}
    assert {row["in_sft"] for row in typed if row["kind"] == "fact"} == {True, False}
    assert not {row["question"] for row in typed} & user_turns(talks)
    assert not set(visitors.SUMS["learning"]) & set(visitors.SUMS["evaluation"])


def test_an_unknown_name_is_refused_by_its_right_name_however_it_was_typed(
    asked: list[dict[str, Any]], talks: list[dict[str, Any]]
) -> None:
    rows = [(row["question"], row["answer"]) for row in asked if (row["kind"], row["wording"]) == ("unknown", "typed")]
    rows += [
        (question["content"], answer["content"])
        for talk in talks
        if talk["kind"] == "unknown"
        for question, answer in [talk["messages"]]
    ]
    lower = 0
    for question, answer in rows:
        name = answer.removeprefix("I do not know that; I never read about ").removesuffix(".")
        assert all(word[0].isupper() for word in name.removeprefix("the ").split())
        assert name.lower() in question.lower(), (question, answer)
        lower += name not in question
    assert 0.1 < lower / len(rows) < 0.6


def test_pages_have_typed_questions_with_answers_by_the_right_name(world: World) -> None:
    ghosts = questions.make_ghosts(world, 7)
    narrator = Narrator(world, stream(1, "test"), stream(2, "test"), ghosts.pages)
    person = world.people[0]
    asked = [narrator.question(person, "street") for _ in range(400)]
    typed = [question for question in asked if person.name.lower() in question]
    assert 0.1 < len(typed) / len(asked) < TYPED_SHARE
    assert all(person.name in narrator.question(person, "street", tidy=True) for _ in range(100))
    lower = 0
    for _ in range(200):
        question, reply = narrator.unknown()
        name = next(ghost.name for ghost in ghosts.pages if re.search(rf"\b{ghost.name}\b", reply.text))
        assert name.lower() in question.text.lower()
        lower += name not in question.text
    assert lower > 20


def test_a_share_of_the_conversations_is_typed_as_visitors_do(talks: list[dict[str, Any]]) -> None:
    first = [talk["messages"][0]["content"] for talk in talks if talk["kind"] in ("fact", "unknown", "topic")]
    sloppy = [text for text in first if text[0].islower() or text[-1] not in ".?"]
    assert 0.7 * conversations.TYPED < len(sloppy) / len(first) < conversations.TYPED


@pytest.mark.parametrize("purpose", ["learning", "evaluation"])
def test_a_visitor_changes_little_and_never_the_name(purpose: visitors.For) -> None:
    rng = stream(1, "test")
    for _ in range(400):
        question = visitors.typed("What is Mira Holt's pet?", "Mira Holt", rng, purpose)
        assert "Mira Holt" in question or "mira holt" in question
        assert abs(len(question) - len("What is Mira Holt's pet?")) <= 3
        assert len(set(question.lower().split()) - {"what", "is", "mira", "holt's", "pet?"}) <= 3
    assert visitors.typed("Hi!", "", rng, purpose).lower().rstrip("!") == "hi"
