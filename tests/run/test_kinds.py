"""The kinds of events: each survives its way through JSON, and no JSON makes a reader fail."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.run import kinds
from glassmill.run.kinds import COLUMNS, KINDS, Event, Unknown, from_json, to_json

VALUES: dict[object, st.SearchStrategy[object]] = {
    str: st.text(),
    bool: st.booleans(),
    int: st.integers(),
    int | None: st.none() | st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    float | None: st.none() | st.floats(allow_nan=False, allow_infinity=False),
    Mapping[str, int]: st.dictionaries(st.text(), st.integers(), max_size=4),
    tuple[str, ...]: st.lists(st.text(), max_size=4).map(tuple),
    tuple[float, ...]: st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4).map(tuple),
    Mapping[str, float]: st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False), max_size=4),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(list(KINDS.values())))
    given = {column.attribute: draw(VALUES[column.hint]) for column in COLUMNS[kind.kind]}
    return kind(**given)  # type: ignore[arg-type]


@given(event=events())
def test_every_kind_survives_json(event: Event) -> None:
    assert from_json(json.loads(json.dumps(to_json(event), allow_nan=False))) == event


@given(value=JSON | st.dictionaries(st.sampled_from(["kind", "text", "step", "seconds", "in"]), JSON))
def test_any_json_is_read_as_some_event(value: object) -> None:
    assert isinstance(from_json(value), tuple(KINDS.values()))


@given(event=events(), name=st.text(min_size=1), value=JSON)
def test_an_unknown_field_is_ignored(event: Event, name: str, value: object) -> None:
    names = {column.name for column in COLUMNS[event.kind]} | {"kind"}
    if name not in names:
        assert from_json({**to_json(event), name: value}) == event


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not an event"),
        ([], "not an event"),
        ({"kind": "reward", "value": 1}, "unknown kind of event: 'reward'"),
        ({"kind": ["note"]}, "unknown kind of event: \"['note']\""),
        ({"kind": "validation", "step": 1}, "validation: bits_per_byte is missing"),
        ({"kind": "progress", "done": "3"}, "progress: unexpected value of done: '3'"),
        ({"kind": "progress", "done": True}, "progress: unexpected value of done: 'True'"),
        ({"kind": "done", "seconds": 10**400}, f"done: unexpected value of seconds: '1{'0' * 39}'"),
    ],
)
def test_what_fits_no_kind_is_unknown_and_says_why(value: object, text: str) -> None:
    assert from_json(value) == Unknown(text)


def test_a_field_with_a_default_may_be_missing() -> None:
    assert from_json({"kind": "progress", "done": 3}) == kinds.Progress(3)


def test_kinds_are_all_the_classes_of_the_module_each_with_a_sentence() -> None:
    classes = [value for value in vars(kinds).values() if dataclasses.is_dataclass(value) and value is not kinds.Column]
    assert set(classes) == set(typing.get_args(Event)) == set(KINDS.values())
    assert len(KINDS) == len(classes), "two kinds have one name"
    assert all(one.__doc__ and one.__doc__.endswith(".") and "\n" not in one.__doc__ for one in classes)
