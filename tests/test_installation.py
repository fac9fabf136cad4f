"""What an installation brings along: the compiled core wherever this machine could compile it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from glassmill import native

ROOT = Path(__file__).resolve().parents[1]
COMPILERS = ("c++", "g++", "clang++")


def test_the_native_core_is_there_where_a_compiler_is():
    """Otherwise its tests would collect nothing, silently."""
    if not any(map(shutil.which, COMPILERS)):
        pytest.skip("this machine has no C++ compiler")
    assert native.available(), "run `make native`, or see what `pip install -v .` says"


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["with a compiler", "without one"])
def test_a_wheel_holds_everything_and_the_core_where_it_could_be_compiled(tmp_path: Path, compiler: str):
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "GLASSMILL_NATIVE": ""}
    if compiler == "without one":
        environment |= {"CXX": str(tmp_path / "no-such-compiler")}
    call = [sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "src", "recipes", "docs/lessons"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    homes = {"src/": "", "recipes/": "glassmill/recipes/", "docs/lessons/": "glassmill/lessons/"}
    found = [(name, place) for name in tracked.stdout.split() for place in homes if name.startswith(place)]
    wanted = {homes[place] + name.removeprefix(place) for name, place in found}
    assert {name for name in wanted if not name.endswith((".cpp", ".hpp"))} <= names
    has_core = any(name.startswith("glassmill/native/_core.") and not name.endswith(".pyi") for name in names)
    assert has_core == (compiler == "with a compiler")
    assert ("no native core here" in done.stdout + done.stderr) == (compiler == "without one")
