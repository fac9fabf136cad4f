"""Shared by all tests: where real data lies, and an announcement when it does not; a server of S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import glassmill  # noqa: F401  (sets how torch's threads wait, before a test imports torch)
from glassmill.run.stores import client
from tests.flaky import (  # noqa: F401  (hooks of pytest)
    pytest_runtest_logreport,
    pytest_sessionfinish,
    pytest_terminal_summary,
)
from tests.s3 import environment, s3_server

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


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The URL of an S3 server with the bucket `web`."""
    with s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """The server is where this process looks for stores; call it with the URL of another, as of a proxy before it."""

    def use(url: str) -> None:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        client._store.cache_clear()

    use(s3_url)
    yield use
    client._store.cache_clear()
