"""Files of tasks: what is read, what is refused with file and line, and how names find files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glassmill.errors import UserError
from glassmill.evals.core_tasks import CORE, Setup
from glassmill.evals.task_files import find_tasks, read_task

PAIR = {"sentence_good": "The cats sleep.", "sentence_bad": "The cats sleeps.", "UID": "x"}
CHOICE = {"query": "2 + 2 =", "choices": ["4", "5", "6"], "gold": 0, "category": "sums"}
SCHEMA = {"context_options": ["Ann saw Bea so Ann", "Ann saw Bea so Bea"], "continuation": "waved.", "gold": 1}
LANGUAGE = {"context": " The sky is ", "continuation": "blue"}


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path, shots: int = 0) -> Any:
    return read_task(path, "t", "g", Setup("t", shots))


@pytest.mark.parametrize(
    ("row", "kind", "question", "answer"),
    [
        (PAIR, "pairs", "", "The cats sleep."),
        (CHOICE, "choice", "2 + 2 =", "4"),
        (SCHEMA, "schema", "Ann saw Bea so Bea", "waved."),
        (LANGUAGE, "language", "The sky is", "blue"),
    ],
)
def test_the_four_forms_are_told_by_their_keys(
    tmp_path: Path, row: dict[str, Any], kind: str, question: str, answer: str
) -> None:
    task = read(write(tmp_path / "t.jsonl", row, "", row))
    assert (task.kind, len(task.items)) == (kind, 2)
    assert [item.line for item in task.items] == [1, 3]
    assert (task.items[0].question, task.items[0].answer) == (question, answer)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([CHOICE, '{"query": "2 +'], "line 2 is not valid JSON"),
        ([CHOICE, [1, 2]], "line 2: [1, 2] is no object"),
        ([{"prompt": "def f():", "tests": ""}], "line 1 is of no known form (its keys: 'prompt', 'tests')"),
        ([{"context": "Q", "answer": "A", "aliases": []}], "line 1 is of no known form"),
        ([{}], "line 1 is of no known form (its keys: none)"),
        ([CHOICE, PAIR], 'line 2: "choices" is missing; it must be a list of texts'),
        ([PAIR, {**PAIR, "sentence_bad": ""}], """line 2: "sentence_bad" is ''; it must be a text"""),
        ([{**PAIR, "sentence_good": 5}], 'line 1: "sentence_good" is 5; it must be a text'),
        ([{**CHOICE, "query": None}], 'line 1: "query" is missing; it must be a text'),
        ([{**CHOICE, "choices": "4"}], "line 1: \"choices\" is '4'; it must be a list of texts"),
        ([{**CHOICE, "choices": ["4", 5]}], "it must be a list of texts"),
        ([{**CHOICE, "choices": ["4"]}], 'line 1: "choices" has 1 texts; there must be 2 to 64'),
        ([{**CHOICE, "choices": ["4"] * 65}], "has 65 texts"),
        ([{**CHOICE, "gold": 3}], 'line 1: "gold" is 3; it must be the index of the right one, 0 to 2'),
        ([{**CHOICE, "gold": -1}], '"gold" is -1'),
        ([{**CHOICE, "gold": True}], '"gold" is True'),
        ([{**CHOICE, "gold": "A"}], "\"gold\" is 'A'"),
        ([{**CHOICE, "gold": 1.0}], '"gold" is 1.0'),
        ([{**SCHEMA, "continuation": " "}], "\"continuation\" is ' '; it must be a text"),
        ([{**SCHEMA, "context_options": []}], '"context_options" has 0 texts'),
        ([{**LANGUAGE, "context": 1}], '"context" is 1; it must be a text'),
        ([{**CHOICE, "gold": "\x1b[2J" * 99}], '"gold" is \''),
        ([], "t.jsonl has no rows"),
        (["hello"], "line 1 is not valid JSON"),
        ([b"\xff\xfe".decode("latin-1")], "line 1 is not valid JSON"),
    ],
)
def test_a_damaged_row_is_named_in_one_line(tmp_path: Path, rows: list[object], message: str) -> None:
    path = write(tmp_path / "t.jsonl", *rows)
    with pytest.raises(UserError) as caught:
        read(path)
    text = str(caught.value)
    assert message in text and "t.jsonl" in text
    assert "\n" not in text and "\x1b" not in text and len(text) < 400


def test_too_few_rows_for_the_examples(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", CHOICE, CHOICE)
    assert len(read(path, shots=1).items) == 2
    with pytest.raises(UserError, match="has 2 rows, too few for 2 examples"):
        read(path, shots=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "tasks" / "blimp" / "transitive.jsonl", PAIR)
    write(tmp_path / "tasks" / "blimp" / "passive_1.jsonl", PAIR)
    write(tmp_path / "tasks" / "core" / "reasoning" / "copa.jsonl", CHOICE)
    write(tmp_path / "tasks" / "core" / "winograd_wsc.jsonl", SCHEMA)
    return tmp_path / "tasks"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("blimp", [("passive_1", "blimp"), ("transitive", "blimp")]),
        ("transitive", [("transitive", "transitive")]),
        ("copa", [("copa", "copa")]),
        ("winograd", [("winograd", "winograd")]),
        ("core", [("copa", "core"), ("winograd", "core")]),
        ("{folder}/blimp/passive_1.jsonl", [("passive_1", "passive_1")]),
        ("{folder}/blimp", [("passive_1", "blimp"), ("transitive", "blimp")]),
    ],
)
def test_names_find_files_below_the_folder(folder: Path, name: str, found: list[tuple[str, str]]) -> None:
    tasks, missing = find_tasks([name.format(folder=folder)], folder)
    assert [(task.name, task.group) for task in tasks] == found
    assert set(missing) == (set(CORE) - {"copa", "winograd"} if name == "core" else set())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("arc", "--tasks arc: neither a file or folder, nor the name of one below"),
        ("empty", "has no files of tasks"),
        ("copa", "two files have this name"),
    ],
)
def test_a_name_without_one_file_is_refused(folder: Path, name: str, message: str) -> None:
    (folder / "empty").mkdir()
    write(folder / "second" / "copa.jsonl", CHOICE)
    with pytest.raises(UserError, match=message):
        find_tasks([name], folder)


def test_no_folder_and_no_file_of_core(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--task-files .*: no such folder"):
        find_tasks(["core"], tmp_path / "tasks")
    with pytest.raises(UserError, match="none of its files"):
        find_tasks(["core"], tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[copa]\nshot = 2", r"\[copa\] 'shot': a task has shots, delimiter and baseline"),
        ('[copa]\nshots = "2"', r"\[copa\] shots = '2' is no int"),
        ("[copa]\nshots = true", "shots = True is no int"),
        ("[copa]\nshots = -1", "shots are 0 to 64"),
        ("[copa]\nbaseline = 1.0", "a baseline is at least 0 and below 1"),
        ("copa = 2", r"\[copa\] 'copa': a task has"),
        ("[copa\n", "is not valid TOML"),
    ],
)
def test_settings_beside_the_files_are_checked(folder: Path, text: str, message: str) -> None:
    (folder / "core" / "reasoning" / "tasks.toml").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        find_tasks(["copa"], folder)
    assert "tasks.toml" in str(caught.value)


def test_settings_beside_the_files_count(folder: Path) -> None:
    write(folder / "core" / "reasoning" / "copa.jsonl", CHOICE, CHOICE, CHOICE)
    (folder / "core" / "reasoning" / "tasks.toml").write_text('[copa]\nshots = 2\ndelimiter = "\\n"\n[other]\nx = 1\n')
    (task,), _ = find_tasks(["copa"], folder)
    assert task.setup == Setup("copa", 2, "\n", 0.5)
    (task,), _ = find_tasks(["copa"], folder, shots=1)
    assert task.setup.shots == 1
