"""A checkout whose C++ sources are newer than its compiled core warns of it, instead of failing somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassmill import native


@pytest.mark.skipif(not native.available(), reason="no native core here")
def test_a_core_older_than_its_sources_is_reported(tmp_path: Path) -> None:
    package = tmp_path / "glassmill" / "native"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    source = Path(native.__file__)
    (package / "__init__.py").write_text(source.read_text())
    for core in source.parent.glob("_core*.[sp][oy]*"):
        (package / core.name).write_bytes(core.read_bytes())

    def warned() -> bool:
        command = [sys.executable, "-c", "import glassmill.native"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return "make native" in done.stderr

    (package / "split.cpp").touch()
    os.utime(package / "split.cpp", (0, 0))
    assert not warned()
    os.utime(package / "split.cpp")
    assert warned()
