"""Event files: what is written can be read while it is being written, whatever else stands in the file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.run import kinds
from glassmill.run.events import CHUNK_BYTES, MAX_LINE_BYTES, Entry, EventLog, parse_json, read_chunk, read_events

LINES = st.one_of(
    st.text(max_size=40).map(lambda text: json.dumps({"t": 1.5, "stage": "x", "kind": "note", "text": text}).encode()),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b" ")),
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                 lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                     ["kind", "t", "stage", "text", "step"]), inner, max_size=4)).map(lambda v: json.dumps(v).encode()),
)  # fmt: skip


def read_all(path: Path, num_bytes: int = CHUNK_BYTES) -> list[Entry]:
    entries: list[Entry] = []
    offset = 0
    while True:
        some, after = read_chunk(path, offset, num_bytes)
        if after == offset:
            return entries
        entries += some
        offset = after


@given(lines=st.lists(LINES, max_size=12), cut=st.integers(0, 600), num_bytes=st.integers(300, 700))
def test_every_complete_line_gives_one_entry_wherever_the_file_is_cut(
    lines: list[bytes], cut: int, num_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = b"".join(line + b"\n" for line in lines)
    path = tmp_path_factory.mktemp("cut") / "events.jsonl"
    path.write_bytes(content[:cut])
    before, offset = read_chunk(path, 0)
    assert offset == content[:cut].rfind(b"\n") + 1
    path.write_bytes(content)
    after, end = read_chunk(path, offset)
    assert end == len(content)
    assert len(before) + len(after) == sum(1 for line in lines if line.strip())
    for entry in read_all(path, num_bytes):
        json.dumps(entry.to_json(), allow_nan=False)


@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=8), num_bytes=st.integers(1000, 3000))
def test_chunks_of_any_size_give_the_same_events(
    texts: list[str], num_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("chunks") / "events.jsonl"
    log = EventLog(path, "corpus")
    for text in texts:
        log.emit(kinds.Note(text))
    log.close()
    assert [entry.event for entry in read_all(path, num_bytes)] == [kinds.Note(text) for text in texts]


def test_a_damaged_line_is_reported_and_its_neighbours_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind": "alive"}\n{"kind": "b", "te\xff\n[1]\n{"kind": "note", "text": "c"}\n')
    first, damaged, no_object, last = [entry.event for entry in read_events(path)]
    assert (first, last) == (kinds.Alive(), kinds.Note("c"))
    assert damaged == no_object == kinds.Unknown("events.jsonl: skipped an unreadable line near byte 0")


def test_lines_that_are_too_long_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    long = json.dumps({"kind": "note", "text": "x" * MAX_LINE_BYTES}).encode()
    path.write_bytes(long + b"\n" + b"x" * (CHUNK_BYTES + 10) + b'\n{"kind": "note", "text": "after"}\n')
    events = [entry.event for entry in read_events(path)]
    assert events[-1] == kinds.Note("after")
    assert {type(event) for event in events[:-1]} == {kinds.Unknown}


def test_a_missing_file_has_no_events(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "events.jsonl")) == []


def test_a_loss_that_is_not_finite_is_valid_json_and_comes_back_as_such(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, "train")
    log.emit(kinds.Validation(3, math.nan))
    log.emit(kinds.Validation(4, math.inf))
    log.close()
    assert [json.loads(line)["bits_per_byte"] for line in path.read_text().splitlines()] == [None, None]
    for entry in read_events(path):
        assert isinstance(entry.event, kinds.Validation) and math.isnan(entry.event.bits_per_byte)


def test_listeners_hear_what_is_written(tmp_path: Path) -> None:
    heard: list[Entry] = []
    log = EventLog(tmp_path / "events.jsonl", "train", (heard.append,))
    log.emit(kinds.Progress(1, 2, "pages"))
    log.close()
    assert list(read_events(tmp_path / "events.jsonl")) == heard
    assert (heard[0].stage, heard[0].event) == ("train", kinds.Progress(1, 2, "pages"))


def test_numbers_that_json_cannot_pass_on_become_null() -> None:
    assert parse_json(b'{"loss": NaN, "lr": 1e999, "step": -Infinity}') == {"loss": None, "lr": None, "step": None}
