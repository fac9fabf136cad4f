"""`glassmill doctor`: what it measures, and that it tells the truth about a missing core and about names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from glassmill import native
from glassmill.commands.doctor import Health, examine, health_table
from glassmill.run.executors import cores


@pytest.fixture(scope="module")
def health(tmp_path_factory: pytest.TempPathFactory) -> Health:
    return examine(tmp_path_factory.mktemp("doctor") / "runs")


def shown(health: Health) -> str:
    console = Console(width=400)
    with console.capture() as text:
        for table in health_table(health):
            console.print(table)
    return text.get()


def test_the_report_is_plain_json_with_the_measured_machine(health: Health) -> None:
    again = json.loads(json.dumps(health))
    assert again == health
    assert again["machine"]["cores"] == cores()
    assert again["training"]["gflops"] > 0


def test_it_says_whether_the_core_is_compiled_and_which_instructions_it_uses(health: Health) -> None:
    assert health["core"]["compiled"] == native.available()
    wide: Health = {**health, "core": {**health["core"], "compiled": True, "instruction_set": "AVX2"}}
    assert "compiled, with AVX2" in shown(wide)


def test_without_the_core_it_says_what_stays_equal_and_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "available", lambda: False)
    monkeypatch.setattr(native, "instruction_set", lambda: None)
    without = examine(tmp_path)
    assert without["core"] == {"compiled": False, "instruction_set": "", "decoder": "torch"}
    (problem,) = [problem for problem in without["problems"] if "core" in problem]
    assert "the same results, slower" in problem
    assert "resiliparse, which gives other text and so other documents and run names" in problem
    assert "problem" in shown(without)


def test_it_says_that_personal_names_are_not_masked(health: Health) -> None:
    assert "personal names are not" in shown(health)


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert any("is not writable" in problem for problem in examine(tmp_path)["problems"])
