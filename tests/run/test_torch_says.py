"""What torch said in another process stands for what it would say; loading it is left out where nothing is to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from glassmill.run import torch_says
from glassmill.run.torch_says import FILE, Said

ASK = """
import json, sys
from glassmill.run.torch_says import load, said
answers = said()
asked = "torch" in sys.modules
print(json.dumps([answers, asked, load(), said() == answers]))
"""
IDENTITIES = """
import sys
import glassmill.pipeline, glassmill.commands.report, glassmill.commands.terminal
from glassmill.recipe import make_recipe
from glassmill.run.line import stage_identity
from glassmill.stages import STAGES
for stage in STAGES:
    stage_identity(stage, make_recipe({}), {})
print("torch" in sys.modules)
"""


def ask(cache: Path, **variables: str) -> tuple[Said, bool, bool, bool]:
    """The answers in a fresh process, whether torch was loaded for them, and then by `load`, and says the same."""
    answers, loaded, later, same = json.loads(run(ASK, cache, **variables))
    return Said(*answers)._replace(gpus=tuple(answers[4])), loaded, later, same


def run(code: str, cache: Path, **variables: str) -> str:
    environment = {**os.environ, "GLASSMILL_CACHE": str(cache), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    ).stdout.strip()


def test_torch_is_asked_once_and_again_where_something_differs(tmp_path: Path) -> None:
    first, loaded, *_ = ask(tmp_path, OMP_NUM_THREADS="1")
    assert loaded and (first.version, first.threads) == (torch.__version__, 1)
    assert ask(tmp_path, OMP_NUM_THREADS="1") == (first, False, True, True)
    assert run(IDENTITIES, tmp_path, OMP_NUM_THREADS="1") == "False", "to know that nothing is to do takes no torch"
    other, loaded, *_ = ask(tmp_path, OMP_NUM_THREADS="2")
    assert loaded and other == first._replace(threads=2)
    assert len(json.loads((tmp_path / FILE).read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", "{}"])
def test_a_damaged_file_costs_time_and_nothing_else(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GLASSMILL_CACHE", str(tmp_path))
    (tmp_path / FILE).write_text(content)
    torch_says._remembered.cache_clear()
    assert torch_says._remembered() is None
    asked = torch_says._asked_first()
    torch_says._remembered.cache_clear()
    assert torch_says._remembered() == asked
