"""`glassmill lessons`: the lessons of `docs/lessons`, their exercises, and the tests that decide them.

A lesson is a page `N-NAME.md`, a stub `exercises/NAME.py` that learners fill in a folder of their own, the tests beside
it, and a solution kept apart. The tests run in this process, over the learner's file: it is their own code.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypedDict

from rich.markdown import Markdown
from rich.table import Table

from glassmill.errors import UserError
from glassmill.printable import printable


@dataclass(frozen=True, slots=True)
class Lesson:
    """A page, and what belongs to it."""

    number: int
    title: str
    page: Path

    @property
    def stub(self) -> Path:
        """The file to fill."""
        return self.page.parent / "exercises" / f"{self.page.stem.partition('-')[2]}.py"

    @property
    def tests(self) -> Path:
        """The tests over it."""
        return self.stub.with_name(f"test_{self.stub.name}")

    @property
    def solution(self) -> Path:
        """A file that passes them."""
        return self.page.parent / "solutions" / self.stub.name


class Tried(TypedDict):
    """A test and what was wrong; None if it passed."""

    test: str
    wrong: str | None


class Checked(TypedDict):
    """What the tests said about a learner's file."""

    file: str
    solution: str
    tests: list[Tried]


def all_lessons() -> list[Lesson]:
    """The lessons, in order."""
    package = Path(__file__).parents[1]
    places = (package / "lessons", package.parents[1] / "docs" / "lessons")  # in a wheel; in a source tree
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise UserError("the lessons are not installed here; they are in docs/lessons of glassmill's sources")
    pages = sorted(folder.glob("[1-9]-*.md"))
    return [Lesson(int(page.name[0]), _title(page), page) for page in pages]


def find_lesson(number: int) -> Lesson:
    """The lesson of that number.

    Raises:
        UserError: there is none.
    """
    lessons = all_lessons()
    for lesson in lessons:
        if lesson.number == number:
            return lesson
    raise UserError(f"no lesson {number}: give a number from 1 to {len(lessons)}")


def begin(lesson: Lesson, folder: Path) -> Path:
    """Writes the stub into `folder`, where no file of its name may be.

    Raises:
        UserError: there is one.
    """
    path = folder / lesson.stub.name
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(lesson.stub.read_text(encoding="utf-8"))
    except FileExistsError:
        raise UserError(
            f"{path} is there already, and stays; `glassmill lessons {lesson.number} --check` tests it"
        ) from None
    return path


def check(lesson: Lesson, folder: Path) -> Checked:
    """Runs the lesson's tests over the file in `folder`.

    Raises:
        UserError: there is no such file, or it cannot be imported; the message has the line.
    """
    path = folder / lesson.stub.name
    if not path.is_file():
        raise UserError(f"no {path.name} in this folder; `glassmill lessons {lesson.number} --exercise` writes one")
    with importable(folder.resolve(), lesson.tests.parent):
        try:
            tests = import_module(lesson.tests.stem)
        except Exception as error:  # whatever a learner's file raises
            raise UserError(f"{path.name} cannot be imported: {_said(error, path)}") from None
        functions = [value for name, value in vars(tests).items() if name.startswith("test_")]
        tried = [_tried(function, path) for function in functions]
    return {"file": path.name, "solution": str(lesson.solution), "tests": tried}


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """Within, modules are first looked for in these folders, and are read anew."""
    paths, no_bytecode = list(sys.path), sys.dont_write_bytecode
    names = {path.stem for folder in folders for path in folder.glob("*.py")}
    kept = {name: sys.modules.pop(name) for name in names & set(sys.modules)}
    sys.path[:0], sys.dont_write_bytecode = map(str, folders), True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = paths, no_bytecode
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(kept)


def lesson_table(lessons: Sequence[Lesson]) -> list[Table | str]:
    """The lessons for people."""
    table = Table("lesson", "about", "exercise", box=None, header_style="dim")
    for one in lessons:
        table.add_row(str(one.number), one.title, one.stub.name)
    first = "`glassmill lessons 1` shows a page, `--exercise` writes its stub into this folder, `--check` tests it."
    return [table, first, f"The pages: {lessons[0].page.parent}"]


def lesson_page(lesson: Lesson) -> Markdown:
    """The page for a terminal."""
    return Markdown(lesson.page.read_text(encoding="utf-8"), hyperlinks=False)


def checked_lines(result: Checked) -> list[str]:
    """What the tests said, for people."""
    lines = []
    for one in result["tests"]:
        name = one["test"].removeprefix("test_").replace("_", " ")
        lines.append(f"{'ok     ' if one['wrong'] is None else 'not yet'}  {name}")
        if one["wrong"] is not None:
            lines += [f"         {printable(line)}" for line in one["wrong"].splitlines()]
    passed, number = sum(one["wrong"] is None for one in result["tests"]), len(result["tests"])
    if passed == number:
        return [*lines, f"All {number} tests pass. To compare: {result['solution']}"]
    return [*lines, f"{passed} of {number} tests pass"]


def _title(page: Path) -> str:
    with page.open(encoding="utf-8") as file:
        return file.readline().strip().lstrip("# 0123456789.")


def _tried(function: Callable[[], None], path: Path) -> Tried:
    try:
        function()
    except Exception as error:  # whatever a learner's code raises
        return {"test": function.__name__, "wrong": _said(error, path)}
    return {"test": function.__name__, "wrong": None}


def _said(error: Exception, path: Path) -> str:
    """What went wrong, and the last line of the learner's file, or else of the test, that led to it."""
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or path).name}, line {error.lineno}: {error.msg}"
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).name == path.name]
    if own:
        return f"{path.name}, line {own[-1].lineno}: {kind}{error}"
    if str(error) and not kind:
        return str(error).strip()
    tests = [frame for frame in frames if Path(frame.filename).name == f"test_{path.name}"]
    return f"{kind}{error}{' in ' if kind else ''}{tests[-1].line if tests else ''}".strip()
