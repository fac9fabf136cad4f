"""The native core under AddressSanitizer and UndefinedBehaviorSanitizer: its tests again, and random damage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glassmill import native

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
BPE = ("cut_one", "split", "vocabulary", "encode", "count", "merge")
SOURCES = ("base/unicode", "base/text", *(f"bpe/{name}" for name in BPE))
# The files whose tests run native code most. Those that measure memory and seconds would measure the sanitizers.
TESTS = (
    "native/test_encode.py", "native/test_split.py", "native/test_train.py", "tokens/test_bpe.py",
    "tokens/test_encoding.py", "corpus/test_content.py", "corpus/test_words.py", "corpus/test_dedup.py",
    "corpus/test_language.py",
)  # fmt: skip

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.slow
def test_random_bytes_upset_no_sanitizer(tmp_path: Path):
    assert COMPILER, "the sanitizer run needs a C++ compiler"
    folder = Path(str(native.__file__)).parent
    program = tmp_path / "fuzz"
    flags = ["-std=c++20", f"-I{folder}", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    files = [str(folder / f"{name}.cpp") for name in SOURCES] + [str(Path(__file__).with_name("fuzz.cpp"))]
    subprocess.run([COMPILER, *flags, *files, "-o", str(program)], check=True)
    done = subprocess.run([program, "60", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 100


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Runs Python over a copy of the package whose core was compiled with the sanitizers."""
    if sys.platform != "linux":
        pytest.skip("the sanitizers' libraries are preloaded as Linux does it")
    folder = tmp_path_factory.mktemp("sanitized")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("_core.*.so", "__pycache__"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Debug", "-DGLASSMILL_SANITIZE=ON"]
    configure = ["-S", ROOT, "-B", folder / "build", *options]
    build = ["--build", folder / "build", "--parallel", str(os.cpu_count() or 1)]
    for step in (configure, build, ["--install", folder / "build", "--prefix", folder / "src"]):
        subprocess.run(["cmake", *step], env={**os.environ, "PATH": path}, check=True, timeout=500)
    needed = [subprocess.check_output([COMPILER, f"-print-file-name={name}"], text=True).strip()
              for name in ("libasan.so", "libubsan.so", "libstdc++.so")]  # fmt: skip
    environment = {
        **os.environ,
        "LD_PRELOAD": ":".join(needed),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter itself never frees everything
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(folder / "src"),
    }

    def python(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=550)

    where = python("-c", "from glassmill.native import _core; print(_core.__file__)").stdout
    assert where.startswith(str(folder)), "the sanitized core is the one that runs"
    return python


@pytest.mark.slow
def test_the_tests_of_native_code_upset_no_sanitizer(sanitized: Python) -> None:
    files = [ROOT / "tests" / name for name in TESTS]
    done = sanitized("-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-k", "not gigabyte", *files)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_broken_pages_upset_no_sanitizer(sanitized: Python) -> None:
    done = sanitized(Path(__file__).with_name("fuzz_pages.py"), "60", "1")
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100
