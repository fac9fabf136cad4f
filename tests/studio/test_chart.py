"""Charts: values by pointer and keys, a range seen larger, logarithmic axes, and no place that is no number."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.studio.conftest import RunningStudio

pytestmark = pytest.mark.slow


def test_a_chart_says_its_values_by_pointer_and_keys_and_zooms(open_page: type, studio: RunningStudio) -> None:
    watched = open_page(studio.url, view="run/demo/training")
    page: Page = watched.page
    room = page.locator("#train")
    chart, reading = room.get_by_role("slider", name="Loss against step"), room.locator(".chart-reading")
    chart.focus()
    page.keyboard.press("End")
    expect(reading).to_contain_text("step 60: measured")
    expect(reading).to_contain_text("held-out bits per byte")
    page.keyboard.press("Home")
    first = reading.inner_text()
    expect(chart).to_have_attribute("aria-valuetext", first)
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 100)
    page.mouse.up()
    room.get_by_role("button", name="The whole curve").click()
    expect(room.get_by_role("button", name="The whole curve")).to_have_count(0)
    chart.focus()
    page.keyboard.press("End")
    page.keyboard.press("+")
    page.keyboard.press("Home")
    expect(reading).not_to_have_text(first)  # keys stay in what is seen
    page.keyboard.press("-")
    page.keyboard.press("Home")
    expect(reading).to_have_text(first)
    for name in ("log step", "log values"):
        room.get_by_label(name).check()
    assert "NaN" not in chart.inner_html()
    room.get_by_label("Beside it").select_option("gradient norm")
    expect(page).to_have_url(re.compile("beside=grad_norm"))
    chart.focus()
    page.keyboard.press("End")
    expect(reading).to_contain_text("gradient norm")
    assert not watched.wrongs, "\n".join(watched.wrongs)


TICKS = """async () => {
    const { html, render } = await import("/static/js/lib/preact.js");
    const { Chart } = await import("/static/js/lib/chart.js");
    const host = document.body.appendChild(document.createElement("div"));
    const none = [null, null, null];
    const wide = [[1, 10, 1e6], [1e-9, 5, 1e9]];
    const few = [[[0], [1]], [[0, 1], [2, 2]], [[], []], [[0, 5], [-1, 1]], [[0, 3], [1, 2]]];
    const shapes = [...few, [[1, 2, 3], none], wide];
    const series = [{ label: "a", colour: "--glass" }];
    const out = [];
    for (const data of shapes) {
        render(html`<${Chart} data=${data} xLabel="step" yLabel="y" describe="d" series=${series} />`, host);
        for (let log = 0; log < 4; log++) {
            await new Promise((done) => setTimeout(done, 30));
            out.push(host.innerHTML);
            host.querySelectorAll("input")[log % 2].click(); // none, x, x and y, y, none
        }
    }
    host.remove();
    return out;
}"""


def test_a_chart_of_anything_has_finite_places(open_page: type, studio: RunningStudio) -> None:
    found = open_page(studio.url).page.evaluate(TICKS)
    assert len(set(found)) > 20  # both axes were changed
    for drawn in found:
        assert "NaN" not in drawn and "Infinity" not in drawn and "<svg" in drawn
