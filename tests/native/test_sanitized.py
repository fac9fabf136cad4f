"""The native core under the compiler's sanitizers: its tests again, random damage, and the pool of threads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glassmill.native import _core

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
# The files whose tests run native code most. Those that measure memory and seconds would measure the sanitizers.
TESTS = (
    "native/test_encode.py", "native/test_split.py", "native/test_train.py", "tokens/test_bpe.py",
    "tokens/test_encoding.py", "corpus/test_content.py", "corpus/test_words.py", "corpus/test_dedup.py",
    "corpus/test_language.py", "tokens/test_suffixes.py",
)  # fmt: skip

Python = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.slow


def built(folder: Path, sanitizers: str, *targets: str) -> Path:
    """The folder of the programs and the module that CMake made."""
    options = [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Debug", "-DGLASSMILL_TESTS=ON"]
    configure = ["-S", ROOT, "-B", folder, *options, f"-DGLASSMILL_SANITIZE={sanitizers}"]
    build = ["--build", folder, "--parallel", str(os.cpu_count() or 1), "--target", *targets]
    for step in (configure, build):
        subprocess.run(["cmake", *step], env={**os.environ, "PATH": PATH}, check=True, timeout=500)
    return folder


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("sanitized"), "address,undefined", "_core", "fuzz")


def test_random_bytes_upset_no_sanitizer(sanitized: Path):
    done = subprocess.run([sanitized / "fuzz", "60", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 100


@pytest.mark.parametrize("sanitizers", ["", "thread"])
def test_the_pool_of_threads_survives_failures_nesting_and_forks(tmp_path: Path, sanitizers: str):
    program = built(tmp_path, sanitizers, "pool") / "pool"
    # Where the kernel moves memory around more than ThreadSanitizer knows of, it would not even start.
    steady = [shutil.which("setarch"), "--addr-no-randomize"] if sanitizers and shutil.which("setarch") else []
    done = subprocess.run([*steady, program], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("sanitizers", ["", "thread", "address,undefined"])
def test_rows_of_the_decoder_upset_no_sanitizer_and_are_what_each_is_alone(tmp_path: Path, sanitizers: str):
    program = built(tmp_path, sanitizers, "decoder") / "decoder"
    steady = [shutil.which("setarch"), "--addr-no-randomize"] if sanitizers and shutil.which("setarch") else []
    for instruction_set in _core.INSTRUCTION_SETS:
        environment = {**os.environ, "GLASSMILL_ISA": instruction_set}
        command = [*steady, program, "100", "1"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def python(sanitized: Path) -> Python:
    """Runs Python over a copy of the package whose core was compiled with the sanitizers."""
    if sys.platform != "linux":
        pytest.skip("the sanitizers' libraries are preloaded as Linux does it")
    source = sanitized / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("_core.*.so", "__pycache__"))
    (core,) = sanitized.glob("_core.*.so")
    shutil.copy(core, source / "glassmill" / "native")
    assert COMPILER, "the sanitizers' libraries are those of the compiler"
    needed = [subprocess.check_output([COMPILER, f"-print-file-name={name}"], text=True).strip()
              for name in ("libasan.so", "libubsan.so", "libstdc++.so")]  # fmt: skip
    environment = {
        **os.environ,
        "LD_PRELOAD": ":".join(needed),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter itself never frees everything
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(source),
    }

    def python(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=550)

    where = python("-c", "from glassmill.native import _core; print(_core.__file__)").stdout
    assert where.startswith(str(source)), "the sanitized core is the one that runs"
    return python


def test_the_tests_of_native_code_upset_no_sanitizer(python: Python) -> None:
    files = [ROOT / "tests" / name for name in TESTS]
    done = python("-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-k", "not gigabyte", *files)
    assert done.returncode == 0, done.stdout[-3000:]


def test_broken_pages_upset_no_sanitizer(python: Python) -> None:
    done = python(Path(__file__).with_name("fuzz_pages.py"), "60", "1")
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100
