"""The page's own files: complete, small, and asking nobody else for anything."""

from __future__ import annotations

import hashlib
import re
import runpy
from pathlib import Path

import pytest

from glassmill.studio.app import STATIC

MODULES = sorted((STATIC / "js").rglob("*.js"))
SHEETS = sorted((STATIC / "css").glob("*.css"))


def test_vendored_files_are_those_whose_licences_are_given() -> None:
    text = (STATIC / "vendor" / "LICENSES.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", text, re.M))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (STATIC / "vendor").glob("*.[cj]s*")}
    assert found == listed


def test_all_scripts_together_are_below_300_kb() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*.js")) < 300_000


def test_the_page_has_no_inline_script_or_style() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


@pytest.mark.parametrize("path", [STATIC / "index.html", *MODULES, *SHEETS], ids=lambda path: path.name)
def test_no_file_of_ours_names_another_server(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href|url|import|from|fetch)[^\w\n]{1,3}(https?:)?//""", text)


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_what_moves_moves_in_few_steps(path: Path) -> None:
    """Sixty drawings a second of an otherwise still page took most of a core from the training that one watches."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"animation:(?!.*steps\()[^;]*infinite|backdrop-filter|transition:(?! none)", text)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_every_import_names_a_file_and_something_it_exports(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for names, source in re.findall(r'^(?:import|export) \{([^}]*)\} from "([^"]+)"', text, re.M):
        target = (path.parent / source).resolve()
        assert target.is_file(), f"{source} does not exist"
        exported = target.read_text(encoding="utf-8")
        for name in (name.split(" as ")[0].strip() for name in names.split(",")):
            assert re.search(rf"(export[^;]*|as )\b{name}\b", exported), f"{source} does not export {name}"


def test_modules_stay_rooms_and_not_houses() -> None:
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 300 for path in [*MODULES, *SHEETS])


ROOMS = ("lib", "state", "parts", "views")


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name in ROOMS], ids=lambda path: path.name)
def test_no_view_imports_a_view_and_no_room_imports_one_above(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    folders = [(path.parent / source).resolve().parent.name for source in re.findall(r'from "(\.[^"]+\.js)"', text)]
    room = ROOMS.index(path.parent.name)
    allowed = {"vendor", *ROOMS[:room]} | (set() if path.parent.name == "views" else {path.parent.name})
    assert set(folders) <= allowed


def test_the_types_of_events_are_those_of_the_python_classes() -> None:
    namespace = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "event_types.py"))
    assert (STATIC / "js/state/events.d.ts").read_text(encoding="utf-8") == namespace["event_types"]()
