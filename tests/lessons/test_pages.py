"""Every block of every lesson runs, and prints what the page has; all pages share one run of the demo."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from glassmill.commands.lessons import Lesson, all_lessons
from tests.lessons.blocks import alike, blocks, run_page
from tests.line import glassmill

LESSONS = all_lessons()
SETTINGS = "train.minutes=none train.steps=20 sft.minutes=none sft.steps=8 eval.limit=5"
SHORT = {
    "glassmill run demo": f"glassmill run demo {SETTINGS}",
    "glassmill rl demo": f"glassmill rl demo {SETTINGS} rl.minutes=none rl.steps=1 rl.prompts=2 rl.max_tokens=8",
}
"""Trainings of a few steps: what a page says of trained models is not compared."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learner's folder, in which the demo has run."""
    folder = tmp_path_factory.mktemp("learn")
    done = glassmill("run", "demo", *SETTINGS.split(), cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.page.stem)
def test_every_block_of_a_lesson_runs_and_prints_what_the_page_has(lesson: Lesson, folder: Path) -> None:
    page = lesson.page.read_text(encoding="utf-8")
    begin = f"glassmill lessons {lesson.number} --exercise"
    assert begin in page
    solved = f"{begin} && cp {lesson.solution} ."  # a learner fills the stub
    if page.index(f"from {lesson.stub.stem} import") < page.index(begin):  # the page uses it before it asks for it
        shutil.copy(lesson.solution, folder)
        solved = f"rm {lesson.stub.name} && {solved}"
    wrongs = run_page(page, folder, {**SHORT, begin: solved})
    assert not wrongs, "\n\n".join(wrongs)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.page.stem)
def test_a_lesson_has_its_parts_and_says_what_its_blocks_print(lesson: Lesson) -> None:
    page = lesson.page.read_text(encoding="utf-8")
    parts = ["What happens, and why", "See it", "Break it", "Exercise"]
    assert re.findall(r"^## (.+)$", page, re.M) == parts
    found = list(blocks(page))
    assert sum(block.kind == "python" for block in found) >= 2
    assert all(block.printed and block.printed.strip() for block in found), "each block says what it prints"
    assert "Glassmill's own:" in page
    for name in re.findall(r"`((?:corpus|tokens|model|train|tune|infer|evals)/[\w/]+\.py)`", page):
        assert (lesson.page.parents[2] / "src" / "glassmill" / name).is_file(), name


def test_printed_texts_are_compared_without_regard_to_widths() -> None:
    assert alike("a  b\n...\nd", "a b\n x y\nc\n d  ")
    assert not alike("a b", "a c")
    assert not alike("step 1", "step 2")
