"""The rule of CI: failed, then passed is red, unless the test is listed with a date of the last 30 days."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests import flaky

UNSTEADY = """
from pathlib import Path

def test_unsteady():
    first = not Path(__file__).with_name("tried").exists()
    Path(__file__).with_name("tried").touch()
    assert not first

def test_steady():
    pass
"""
HOOKS = "from flaky import pytest_runtest_logreport, pytest_sessionfinish, pytest_terminal_summary\n"


TODAY = date.today()
LISTED = f"{TODAY}  test_unsteady.py::test_unsteady  a reason"
NOT_LISTED = [
    f"{TODAY - timedelta(days=31)}  test_unsteady.py::test_unsteady  too old",
    f"{TODAY + timedelta(days=2)}  test_unsteady.py::test_unsteady  from the future",
    f"{TODAY}  test_unsteady.py::test_steady  another test",
]


@pytest.mark.parametrize(
    ("processes", "line", "code", "says"),
    [
        ("0", "", 1, "this run is red"),
        ("1", "", 1, "this run is red"),
        ("0", LISTED, 0, "allowed by tests/flaky.txt"),
        ("1", LISTED, 0, "allowed by tests/flaky.txt"),
        *(pytest.param("0", line, 1, "this run is red", marks=pytest.mark.slow) for line in NOT_LISTED),
    ],
)
def test_a_second_try_that_passes_is_red_unless_it_is_listed(
    tmp_path: Path, processes: str, line: str, code: int, says: str
) -> None:
    shutil.copy(flaky.__file__, tmp_path / "flaky.py")
    (tmp_path / "flaky.txt").write_text(f"# a comment\n{line}\n")
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_unsteady.py").write_text(UNSTEADY)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "--reruns", "1", "-n", processes, "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"failed, then passed: test_unsteady.py::test_unsteady ({'' if code == 0 else 'not in '}" in done.stdout
    assert says in done.stdout


def test_every_line_of_the_list_has_a_date_a_test_and_a_reason() -> None:
    flaky.listed()
    lines = [line for line in flaky.LIST.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert all(len(line.split(None, 2)) == 3 for line in lines)


def test_a_second_try_that_is_skipped_is_red_too(tmp_path: Path) -> None:
    shutil.copy(flaky.__file__, tmp_path / "flaky.py")
    (tmp_path / "flaky.txt").write_text("")
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_unsteady.py").write_text(
        "import pytest\n"
        + UNSTEADY.replace("    assert not first", "    if not first: pytest.skip()\n    assert False")
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "--reruns", "1", "-n", "0", "-p", "no:cacheprovider"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120).returncode == 1
