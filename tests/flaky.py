"""Failed, then passed: what CI makes of a test whose second try passes.

`pytest --reruns 1` repeats a failed test at once, in the same process and under the same load. If it passes then, the
run is red all the same, because a test that fails now and then hides real failures. Only a test that is listed in
`flaky.txt` may pass at its second try, and only for `DAYS` days after the date of its line:

    2026-11-28  tests/studio/test_page.py::test_the_page_is_drawn  Chromium starts slowly while Ray is installed

The hooks below run in the process that collects the results (the controller of pytest-xdist).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("flaky.txt")
DAYS = 30

_failed: set[str] = set()
_passed_later: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome == "rerun":  # type: ignore[comparison-overlap]
        _failed.add(report.nodeid)
    elif report.nodeid in _failed and (report.skipped or (report.when == "call" and report.passed)):
        _passed_later.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if unlisted() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name in _passed_later:
        verdict = "not in tests/flaky.txt, so this run is red" if name in unlisted() else "allowed by tests/flaky.txt"
        terminalreporter.write_line(f"failed, then passed: {name} ({verdict})", red=name in unlisted())


def unlisted() -> list[str]:
    """The tests that passed at their second try, or were left out then, and have no valid line in the list. A date
    after tomorrow (elsewhere it may be tomorrow already) is none: it would make the line last longer."""
    allowed = {name for name, day in listed().items() if -1 <= (date.today() - day).days <= DAYS}
    return [name for name in _passed_later if name not in allowed]


def listed() -> dict[str, date]:
    """Test -> date of its line."""
    lines = [line.split(None, 2) for line in LIST.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {line[1]: date.fromisoformat(line[0]) for line in lines if not line[0].startswith("#")}
