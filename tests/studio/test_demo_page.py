"""`glassmill demo` as people meet it: the page opens at once, moves, and ends in a conversation with what it made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.line import SMALL, quiet_environment
from tests.studio.conftest import go, keep

PATIENCE_MS = 30_000  # on a busy machine; alone it opens in two seconds and moves every one or two
WHOLE = "GLASSMILL_WHOLE_DEMO" in os.environ  # five minutes instead of seconds; the README's picture is made so


@pytest.mark.slow
def test_the_demo_opens_its_page_moves_and_answers(open_page: type, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "glassmill", "demo", "--port", "0", "--runs", str(tmp_path / "runs")]
    log = tmp_path / "log"
    environment = quiet_environment() | {"BROWSER": "true"}
    with log.open("w") as told:
        demo = subprocess.Popen(
            [*command, *(() if WHOLE else SMALL)], stdout=subprocess.DEVNULL, stderr=told, env=environment
        )
    try:
        while (found := re.search(r"Watch it: (http://\S+)/\n", log.read_text())) is None:
            assert demo.poll() is None, log.read_text()
            time.sleep(0.05)
        watched = open_page(found[1])
        page: Page = watched.page
        expect(page.get_by_role("heading").first).to_be_visible(timeout=PATIENCE_MS)
        while not page.get_by_text("The run is done.").is_visible():
            before = page.locator("body").inner_text()
            page.wait_for_function(
                "before => document.body.innerText !== before", arg=before, timeout=PATIENCE_MS, polling=1000
            )
        keep(page, "demo", tmp_path)
        go(page, "Chat")
        box = page.get_by_label("Your message")
        expect(box).to_be_enabled(timeout=PATIENCE_MS)
        box.fill("What is 12 * 34?")
        box.press("Enter")
        expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
        assert page.locator('.said[data-role="assistant"]').inner_text().strip()
        assert not watched.wrongs, "\n".join(watched.wrongs)
    finally:
        demo.terminate()
        demo.wait(timeout=60)
