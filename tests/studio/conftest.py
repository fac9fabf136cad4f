"""A real server over a recorded line, and a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from glassmill.serve.server import address_of, bind
from glassmill.studio.app import create_app, studio_server
from tests.studio.replay import Replay, copy_recorded

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCREENSHOTS = os.environ.get("GLASSMILL_SCREENSHOTS")


class RunningStudio:
    """The studio on a free port of this machine, in a thread."""

    def __init__(self, runs: Path | None, model: Path | None = None, api_key: str | None = None) -> None:
        self.runs = runs
        self.listener = bind("127.0.0.1", 0)
        self.url = address_of(self.listener)
        self.app = create_app(runs, model, api_key)
        self.server = studio_server(self.app)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.listener.close()
        self.app.state.keeper.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """A whole line, done."""
    line = Replay(tmp_path_factory.mktemp("finished"))
    line.play()
    return line


@pytest.fixture(scope="session")
def studio(finished: Replay) -> Iterator[RunningStudio]:
    """The studio over the finished line."""
    running = RunningStudio(finished.runs)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def every_rule(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """The studio over all recorded lines: among them a page for every rule of the corpus."""
    runs = tmp_path_factory.mktemp("every-rule")
    copy_recorded(runs)
    running = RunningStudio(runs)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; tests that need it are left out, and say so, where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    # Its sockets lie in the folder for temporary files, and the path of a socket has at most 107 bytes.
    short = {**os.environ, "TMPDIR": "/tmp"} if Path("/tmp").is_dir() else dict(os.environ)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, env=short)
        yield chromium
        chromium.close()


class Watched:
    """A page, and everything that it must not do."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.wrongs: list[str] = []
        page.on("dialog", lambda dialog: (self.wrongs.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.wrongs.append(f"error {error}"))
        page.on("console", lambda message: message.type == "error" and self.wrongs.append(_said(message)))
        page.on("request", lambda request: request.url.startswith(url) or self.wrongs.append(f"request {request.url}"))

    def wrongs_but(self, route: str) -> list[str]:
        """All of them but the line of the console for a request of `route` that was refused (409)."""
        refused = re.compile(rf"console .* 409 .*/api/[^?]*/{route}(\?.*)?")
        return [wrong for wrong in self.wrongs if not refused.fullmatch(wrong)]


def _said(message: ConsoleMessage) -> str:
    return f"console {message.text} {message.location['url']}"


@pytest.fixture
def open_page(browser: Browser) -> Iterator[type]:
    contexts = []

    class Opened(Watched):
        def __init__(self, url: str, width: int = 1280, scheme: str = "light", view: str = "") -> None:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            contexts.append(context)
            super().__init__(context.new_page(), url)
            self.page.goto(f"{url}/#/{view}")
            self.page.locator("main").wait_for()  # loaded is not yet drawn

    yield Opened
    for context in contexts:
        context.close()


def go(page: Page, view: str) -> None:
    """To another view, by the side bar, which is folded on a phone."""
    menu = page.locator(".menu")
    if menu.is_visible():
        menu.click()
    page.get_by_role("navigation", name="Views").get_by_role("link", name=view).click()
    expect(page.locator("#views [aria-current]")).to_have_text(re.compile(view))


def keep(page: Page, name: str, folder: Path) -> None:
    """The screenshot of the whole page, for people: in `$GLASSMILL_SCREENSHOTS`, or with the test's files."""
    target = Path(SCREENSHOTS) if SCREENSHOTS else folder
    target.mkdir(parents=True, exist_ok=True)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=target / f"{name}.png", full_page=True)
