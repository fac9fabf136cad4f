"""What the reader of other people's JSON takes and refuses, each refusal in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.errors import UserError
from glassmill.foreign_json import field, load_json, load_object

REFUSED = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "cut": (b'{"a": [1', "not JSON"),
    "more after the end": (b"{} {}", "Extra data"),
    "NaN": (b'{"a": NaN}', "holds NaN"),
    "infinity": (b"[-Infinity]", "holds -Infinity"),
    "beyond a float": (b"[1e999]", "out of range"),
    "huge integer": (b"9" * 5000, "5,000 digits"),
    "half a surrogate pair": (b'["\\ud83d"]', "surrogate"),
    "two values": (b'{"n": 1, "n": 2}', "key 'n' two values: 1 and 2"),
    "two types": (b'{"n": 1, "n": true}', "two values"),
    "deep": (b"[" * 101 + b"]" * 101, "more than 100 deep"),
    "deep objects": (b'{"a":' * 101 + b"1" + b"}" * 101, "more than 100 deep"),
    "deeper than the stack": (b"[" * 1_000_000, "more than 100 deep"),
    "not UTF-8": (b'["\xff"]', "byte 2 is 0xff"),
    "web page": (b"<!DOCTYPE html><p>404", "web page"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    "too many values": (b"[" + b"0," * 6_000_000 + b"0]", "more than 6,000,000 values"),
}

TAKEN = {
    "mark": (b"\xef\xbb\xbf[1]", [1]),
    "UTF-16": ('["é"]'.encode("utf-16"), ["é"]),
    "UTF-16 without a mark": ('["e"]'.encode("utf-16-le"), ["e"]),
    "the same value twice": (b'{"n": 1, "n": 1}', {"n": 1}),
    "whole surrogate pair": (b'["\\ud83d\\ude00"]', ["😀"]),
    "31 digits": (b"[1000000000000000019884624838656]", [1000000000000000019884624838656]),
    "100 deep": (b"[" * 100 + b"]" * 100, json.loads("[" * 100 + "]" * 100)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_bounded_json_is_refused_in_one_line(case: str) -> None:
    data, reason = REFUSED[case]
    with pytest.raises(UserError) as refused:
        load_json(data, what="config.json")
    message = str(refused.value)
    assert message.startswith("config.json ") and reason in message
    assert "\n" not in message and len(message) < 300


@pytest.mark.parametrize("case", TAKEN)
def test_what_other_readers_take_is_taken(case: str) -> None:
    data, value = TAKEN[case]
    assert load_json(data) == value


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(1 << 40)
    for path, reason in ((pipe, "regular"), (tmp_path, "regular"), (large, "at most"), (tmp_path / "no", "no such")):
        with pytest.raises(UserError, match=reason):
            load_json(path)


def test_a_field_is_checked_for_type_and_bounds() -> None:
    value = {"n": 3, "flag": True, "name": "x\n\x1b[31m", "none": None, "f": 2}
    assert field(value, "n", int, what="c") == 3
    assert field(value, "f", float, what="c") == 2.0
    assert field(value, "none", int, what="c", default=7) == 7
    for name, kind, options, reason in (
        ("flag", int, {}, "flag = true is not a whole number"),
        ("name", int, {}, r"name = 'x\\n\\x1b\[31m' is not a whole number"),
        ("none", int, {}, "none is null"),
        ("gone", int, {}, "c lacks 'gone'"),
        ("n", bool, {}, "n = 3 is not true or false"),
        ("n", int, {"low": 4}, "n = 3 is less than 4"),
        ("n", int, {"high": 2}, "n = 3 is more than 2"),
    ):
        with pytest.raises(UserError, match=reason):
            field(value, name, kind, what="c", **options)
    with pytest.raises(UserError, match="holds a list; it should be an object"):
        load_object(b"[]")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert load_json(json.dumps(value).encode()) == value


@given(values, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=5))
def test_changed_bytes_are_read_or_refused_but_never_crash(value: object, changes: list[tuple[int, int]]) -> None:
    data = bytearray(json.dumps(value, ensure_ascii=False).encode())
    for place, byte in changes:
        data[place % len(data)] = byte
    try:
        load_json(bytes(data))
    except UserError as error:
        assert "\n" not in str(error)
