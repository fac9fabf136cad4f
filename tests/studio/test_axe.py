"""axe-core finds nothing serious on any view, in light and in dark, with every door open."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.studio.conftest import RunningStudio

pytestmark = pytest.mark.slow

AXE = Path(os.environ.get("GLASSMILL_AXE") or Path(sys.prefix) / "axe/node_modules/axe-core/axe.min.js")
"""`scripts/check` puts it there; the package doesn't have it."""
FAULTS = """async (rules) => {
    for (const door of document.querySelectorAll("main details")) door.open = true;
    const options = { resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
    const { violations } = await axe.run(document, options);
    return violations
        .filter((one) => ["serious", "critical"].includes(one.impact))
        .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`));
}"""


def faults(page: Page, view: str) -> list[str]:
    """Of all rules in light; in dark only colours differ."""
    page.emulate_media(color_scheme="light")
    found: list[str] = page.evaluate(FAULTS, None)
    page.emulate_media(color_scheme="dark")
    found += page.evaluate(FAULTS, ["color-contrast"])
    return [f"{view}: {fault}" for fault in found]


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("no axe-core on this machine; scripts/check fetches it")
    return AXE.read_text(encoding="utf-8")


def test_no_view_has_a_serious_fault(open_page: type, studio: RunningStudio, axe: str) -> None:
    page: Page = open_page(studio.url, view="chat?ask=Who%20are%20you%3F").page
    expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
    page.get_by_label("show how sure it was").check()
    page.evaluate(axe)
    found = faults(page, "chat")
    views: list[Any] = [link.get_attribute("href") for link in page.locator("#views a").all()]
    for view in views:
        page.evaluate("(hash) => { location.hash = hash; }", view)
        page.wait_for_timeout(250)
        expect(page.locator("main .busy")).to_have_count(0, timeout=60_000)
        found += faults(page, view)
    assert not found, "\n".join(found)
