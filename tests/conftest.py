"""Shared by all tests: where real data lies, and an announcement when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

import glassmill  # noqa: F401  (sets how torch's threads wait, before a test imports torch)
from tests.flaky import (  # noqa: F401  (hooks of pytest)
    pytest_runtest_logreport,
    pytest_sessionfinish,
    pytest_terminal_summary,
)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WHOLE_LINE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real input beside the checkout; tests over it are left out where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no real input beside the checkout")
    return SHARED_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that run the whole line come first: one that begins last would leave the other processes idle."""
    items.sort(key=lambda item: item.path.parent != WHOLE_LINE)


def pytest_report_header() -> str:
    found = "found" if SHARED_DATA.is_dir() else "NOT found: the tests over it are left out"
    return f"real input beside the checkout: {found}"
