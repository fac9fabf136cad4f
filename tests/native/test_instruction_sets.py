"""Every instruction set gives the same results, and GLASSMILL_ISA chooses among those of this processor."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassmill import native
from glassmill.native import _core

ROOT = Path(__file__).resolve().parents[2]


def python(instruction_set: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GLASSMILL_ISA": instruction_set, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)


@functools.cache
def results(instruction_set: str) -> dict[str, str]:
    done = python(instruction_set, str(Path(__file__).with_name("results.py")))
    assert done.returncode == 0, done.stderr[-2000:]
    used, *hashes = done.stdout.splitlines()
    assert used == instruction_set
    return dict(line.rsplit(" ", 1) for line in hashes)


@pytest.mark.parametrize("instruction_set", _core.INSTRUCTION_SETS[1:])
@pytest.mark.slow
def test_every_instruction_set_gives_the_results_of_the_plainest(instruction_set: str):
    assert len(results("scalar")) == 8
    assert results(instruction_set) == results("scalar")


def test_the_best_instruction_set_is_used_unless_another_is_named():
    print_it = "from glassmill import native; print(native.instruction_set())"
    assert python("", "-c", print_it).stdout.strip() == _core.INSTRUCTION_SETS[-1]
    assert native.instruction_set() in _core.INSTRUCTION_SETS


def test_an_instruction_set_that_this_processor_lacks_is_an_error():
    done = python("mmx", "-c", "import glassmill.native")
    assert "GLASSMILL_ISA=mmx is not available here; available: scalar" in done.stderr
    assert "RuntimeError" in done.stderr


SHARED = {  # headers with static functions alone
    "dedup/least": [],
    "gguf/read": [],
    "gguf/write": [],
    "html/leaves": [],
    "model/products": ["lanes.hpp", "matrix.hpp", "products.hpp"],
    "train/step": ["heads_body.hpp", "lanes.hpp"],
}


@pytest.mark.parametrize("kernel", SHARED)
def test_kernels_leave_no_copy_of_a_library_function_made_for_one_processor(kernel: str):
    """The linker keeps one copy of an inline function: it could be the AVX-512 one, and run on any processor."""
    room, name = kernel.split("/")
    folder = Path(native.__file__).parent / room
    headers = ["blocks.hpp" if room == "gguf" else f"{name}.hpp", f"{name}_body.hpp"]
    own = {f'"{room}/{header}"' for header in headers + SHARED[kernel]}
    for source in (*folder.glob(f"*/{name}.cpp"), *(folder / header for header in headers)):
        included = [line.split()[1] for line in source.read_text().splitlines() if line.startswith("#include")]
        assert set(included) <= {"<cstddef>", "<cstdint>", "<string.h>", "<bit>", *own}, source
