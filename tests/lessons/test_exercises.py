"""The exercises: every test passes with the solution and fails with the stub; the command that gives and tests them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glassmill.cli import app
from glassmill.commands import lessons as work
from glassmill.errors import UserError
from tests.line import glassmill

LESSONS = work.all_lessons()
FOLDER = LESSONS[0].page.parent
GIVEN = {"__init__", "hashed", "blocks"}
"""Functions that a stub has in full."""

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.page.stem)


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a learner who has done everything."""
    folder = tmp_path_factory.mktemp("solved")
    for lesson in LESSONS:
        (folder / lesson.stub.name).write_text(lesson.solution.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def stub_of(source: str) -> str:
    """A solution without the bodies of its functions."""
    lines, cuts = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name not in GIVEN:
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            cuts.append((body[0].lineno, node.end_lineno, body[0].col_offset))
    for first, last, indent in sorted(cuts, reverse=True):
        lines[first - 1 : last] = [" " * indent + "..."]
    return "\n".join(lines) + "\n"


def test_there_are_eight_lessons_and_each_has_all_its_files() -> None:
    assert [lesson.number for lesson in LESSONS] == list(range(1, 9))
    wanted = {path for lesson in LESSONS for path in (lesson.page, lesson.stub, lesson.tests, lesson.solution)}
    there = {path for kind in ("md", "py") for path in FOLDER.rglob(f"*.{kind}")}
    assert there - wanted == {FOLDER / "README.md", FOLDER / "exercises" / "expect.py"}
    assert wanted <= there


@each_lesson
def test_the_stub_is_the_solution_without_its_bodies(lesson: work.Lesson) -> None:
    assert lesson.stub.read_text(encoding="utf-8") == stub_of(lesson.solution.read_text(encoding="utf-8"))


@each_lesson
def test_every_test_passes_with_the_solution_and_fails_with_the_stub(lesson: work.Lesson, solved: Path) -> None:
    with_solution = work.check(lesson, solved)["tests"]
    with_stub = work.check(lesson, lesson.stub.parent)["tests"]
    assert len(with_solution) >= 5
    assert not [one for one in with_solution if one["wrong"] is not None]
    assert not [one["test"] for one in with_stub if one["wrong"] is None]


@pytest.mark.parametrize(
    ("number", "one", "other"),
    [
        (3, "(len(lines) - len(set(lines))) / len(lines)", "1 - len(set(lines)) / len(lines)"),
        (7, "(reward - mean) / spread", "reward / spread - mean / spread"),
    ],
)
def test_a_solution_that_rounds_otherwise_is_as_right(tmp_path: Path, number: int, one: str, other: str) -> None:
    lesson = LESSONS[number - 1]
    source = lesson.solution.read_text(encoding="utf-8")
    assert one in source
    (tmp_path / lesson.stub.name).write_text(source.replace(one, other), encoding="utf-8")
    assert not [tried for tried in work.check(lesson, tmp_path)["tests"] if tried["wrong"] is not None]


@pytest.mark.parametrize("name", ["README.md", *(lesson.page.name for lesson in LESSONS)])
def test_a_page_leads_only_to_views_that_the_studio_has(name: str) -> None:
    views = (FOLDER.parents[1] / "src/glassmill/studio/static/js/views.js").read_text(encoding="utf-8")
    known = set(re.findall(r'\{ id: "(\w+)"', views))
    named = set(re.findall(r"`#/(?:run/[\w-]+/)?(\w+)", (FOLDER / name).read_text(encoding="utf-8")))
    assert named <= known
    assert named or name == "README.md"


def commands(*words: str, folder: Path) -> tuple[str, str, str]:
    done = glassmill("lessons", *words, cwd=folder)
    return str(done.returncode), done.stdout, done.stderr


def test_the_command_lists_shows_begins_and_checks(tmp_path: Path) -> None:
    listed, shown = CliRunner().invoke(app, ["lessons"]), CliRunner().invoke(app, ["lessons", "5"])
    assert listed.exit_code == 0 and all(lesson.title in listed.output for lesson in LESSONS)
    assert shown.exit_code == 0 and shown.output == LESSONS[4].page.read_text(encoding="utf-8")
    code, said, _ = commands("5", "--exercise", "--check", folder=tmp_path)
    assert said.startswith("wrote bpe.py; fill it, then: glassmill lessons 5 --check\n")
    assert code == "1" and "0 of 7 tests pass" in said
    assert "join((7, 7, 7), (7, 7), 300) gives None; it must give (300, 7)" in said
    code, _, wrong = commands("5", "--exercise", folder=tmp_path)
    assert code == "2" and "bpe.py is there already, and stays; `glassmill lessons 5 --check` tests it" in wrong


def test_a_mistake_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no bpe\.py in this folder; `glassmill lessons 5 --exercise` writes one"):
        work.check(LESSONS[4], tmp_path)
    with pytest.raises(UserError, match="no lesson 9: give a number from 1 to 8"):
        work.find_lesson(9)
    (tmp_path / "bpe.py").write_text("def join(:\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"^bpe\.py cannot be imported: bpe\.py, line 1: invalid syntax"):
        work.check(LESSONS[4], tmp_path)
    (tmp_path / "bpe.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot be imported: ImportError: cannot import name 'count_pairs'"):
        work.check(LESSONS[4], tmp_path)


def test_an_error_in_a_learners_file_is_shown_with_its_line(tmp_path: Path) -> None:
    source = (
        LESSONS[4].solution.read_text(encoding="utf-8").replace("joined, place = [], 0", "joined, place = [], 1 / 0")
    )
    (tmp_path / "bpe.py").write_text(source, encoding="utf-8")
    wrongs = {one["test"]: one["wrong"] for one in work.check(LESSONS[4], tmp_path)["tests"]}
    line = 1 + source[: source.index("1 / 0")].count("\n")
    assert wrongs["test_joining_goes_from_left_to_right"] == f"bpe.py, line {line}: ZeroDivisionError: division by zero"
    assert wrongs["test_pairs_are_counted_as_often_as_their_words_occur"] is None
