"""The native core under AddressSanitizer and UndefinedBehaviorSanitizer, fed with random bytes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from glassmill import native

SOURCES = ("unicode", "cut_one", "split", "text", "vocabulary", "encode", "count", "merge")


@pytest.mark.slow
def test_random_bytes_upset_no_sanitizer(tmp_path: Path):
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    assert compiler, "the sanitizer run needs a C++ compiler"
    folder = Path(str(native.__file__)).parent
    program = tmp_path / "fuzz"
    flags = ["-std=c++20", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    files = [str(folder / f"{name}.cpp") for name in SOURCES] + [str(Path(__file__).with_name("fuzz.cpp"))]
    subprocess.run([compiler, *flags, *files, "-o", str(program)], check=True)
    done = subprocess.run([program, "60", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 100
