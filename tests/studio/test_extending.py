"""`docs/EXTENDING.md` is true: its blocks, applied to a copy of the package, add a stage that every part knows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.line import SMALL, quiet_environment
from tests.studio.conftest import go

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "glassmill"
STAGES = "stages=miniweb,corpus,wordcount"

Python = Callable[..., subprocess.CompletedProcess[str]]


def steps() -> Iterator[tuple[str, str, str]]:
    """Every step of the document: the file, `python` or `diff`, the block."""
    text = (ROOT / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
    yield from re.findall(r"^### \d\. .*?`([\w/.]+)`.*?^```(python|diff)\n(.*?)^```", text, re.M | re.S)


def apply(package: Path) -> list[str]:
    """Follows the document in `package`; the files that it touched."""
    for name, language, block in steps():
        path = package / name
        if language == "python":
            assert not path.exists(), f"{name} is new"
            path.write_text(block, encoding="utf-8")
            continue
        text = path.read_text(encoding="utf-8")
        for hunk in block.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(before) == 1, f"{name}: the context of a block is there once"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
    return [name for name, _, _ in steps()]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the document's stage in it."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(PACKAGE, root / "src" / "glassmill", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "recipes", root / "recipes")
    apply(root / "src" / "glassmill")
    return root


@pytest.fixture(scope="module")
def python(extended: Path) -> Python:
    """`python WORDS` with the copy as the package."""
    environment = {**quiet_environment(), "PYTHONPATH": str(extended / "src")}

    def call(*words: str, cwd: Path = extended) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=cwd)
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    return call


@pytest.fixture(scope="module")
def runs(python: Python, extended: Path) -> Path:
    """A small line with the stage in it, run by the command."""
    python("-m", "glassmill", "run", "demo", *SMALL, STAGES, "--runs", "runs")
    return extended / "runs"


def test_the_document_touches_at_most_four_source_files(extended: Path) -> None:
    copy = extended / "src" / "glassmill"
    files = {path.relative_to(root) for root in (PACKAGE, copy) for path in root.rglob("*") if path.is_file()}
    files = {path for path in files if "__pycache__" not in path.parts}
    touched = {path.as_posix() for path in files if _bytes(PACKAGE / path) != _bytes(copy / path)}
    assert touched == {name for name, _, _ in steps()}
    assert len(touched) == 4


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def test_the_line_has_the_stage_with_a_finished_run_folder_and_skips_it_the_second_time(
    runs: Path, python: Python
) -> None:
    (folder,) = (runs / "wordcount").iterdir()
    assert {"DONE", "manifest.json", "words.json"} <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "words.json").read_text())["the"] > 100
    stamp = (folder / "DONE").stat().st_mtime_ns
    again = json.loads(python("-m", "glassmill", "wordcount", "demo", *SMALL, STAGES, "--json").stdout)
    assert (folder / "DONE").stat().st_mtime_ns == stamp
    stats = json.loads((folder / "stats.json").read_text())
    assert (again["words"], again["distinct_words"]) == (stats["words"], stats["distinct_words"])
    assert again["runs"]["wordcount"] == f"wordcount/{folder.name}"
    (file,) = (runs / "lines").glob("demo-*.json")
    line = json.loads(file.read_text())
    assert [(entry["stage"], entry["status"]) for entry in line["stages"]][-1] == ("wordcount", "skipped")


def test_the_command_line_and_the_plan_know_the_stage(python: Python) -> None:
    assert re.search(r"wordcount +Count the words of the documents", python("-m", "glassmill", "--help").stdout)
    planned = json.loads(python("-m", "glassmill", "plan", "demo", *SMALL, STAGES, "--json").stdout)
    assert planned["minutes"].keys() == {"corpus", "wordcount", "total"}


def test_the_tests_of_the_registry_hold_for_the_new_row(python: Python) -> None:
    options = ("-q", "-n", "0", "-p", "no:cacheprovider")
    done = python("-m", "pytest", *options, str(ROOT / "tests" / "test_stages.py"), cwd=ROOT)
    assert "passed" in done.stdout


@pytest.fixture(scope="module")
def studio_url(runs: Path, extended: Path) -> Iterator[str]:
    """The copy's studio over its runs."""
    environment = {**quiet_environment(), "PYTHONPATH": str(extended / "src")}
    command = [sys.executable, "-m", "glassmill", "studio", "--runs", str(runs), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as studio:
        assert studio.stderr is not None
        yield studio.stderr.readline().split()[0].rstrip("/")
        studio.terminate()


def test_the_server_tells_the_page_of_the_stage_in_its_place(studio_url: str) -> None:
    rows = httpx.get(f"{studio_url}/api/stages", timeout=20).json()["stages"]
    names = [row["name"] for row in rows]
    assert names[names.index("corpus") + 1] == "wordcount"
    row = rows[names.index("wordcount")]
    assert (row["title"], row["doing"], row["shows"], row["model"]) == ("Words", "counting words", "card", None)


def test_the_page_shows_a_card_for_the_stage(studio_url: str, open_page: type) -> None:
    watched = open_page(studio_url, view="wordcount")
    room = watched.page.locator("#wordcount")
    expect(room.get_by_role("heading", name="Words")).to_be_visible(timeout=15_000)
    expect(room.get_by_text("Count the words of the documents.")).to_be_visible()
    expect(room.locator(".figure-name")).to_have_text(["Words", "Distinct words"], timeout=15_000)
    expect(room.get_by_text("Output: the most frequent words, with their counts")).to_be_visible()
    go(watched.page, "Words")
    go(watched.page, "Overview")
    expect(watched.page.locator("nav.stages").get_by_role("link", name="Words: done")).to_be_visible()
    assert not watched.wrongs, watched.wrongs
