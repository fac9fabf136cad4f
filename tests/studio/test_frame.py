"""The frame around the views: addresses that can be shared, the keyboard, the palette, a conversation that stays."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.studio.conftest import RunningStudio, go
from tests.studio.replay import RUN_OF, copy_recorded

PLACES = {
    "": ("home", None),
    "#/documents": ("documents", None),
    "#/run/demo/documents?open=language": ("documents", "demo"),
    "#/run/a%20b/chat": ("chat", "a b"),
    "#/run/%E0%A4%A/chat": ("chat", "%E0%A4%A"),
    "#/run/demo": ("home", "demo"),
    "#chat": ("chat", None),
    "#/run": ("home", None),
    "#//": ("home", None),
}


def test_an_address_names_view_and_run(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    read = """async (hash) => {
        history.replaceState(null, "", location.pathname + hash);
        const { view, run } = (await import("/static/js/state/address.js")).here();
        return [view, run];
    }"""
    assert {hash: tuple(page.evaluate(read, hash)) for hash in PLACES} == PLACES


def test_an_address_keeps_what_is_shown_through_back_forward_reload_and_another_browser(
    open_page: type, studio: RunningStudio
) -> None:
    page: Page = open_page(studio.url, view="run/demo/documents").page
    page.get_by_role("button", name="Language").click()
    page.get_by_role("button", name="another language").click()
    expect(page).to_have_url(re.compile(r"#/run/demo/documents\?open=language&rule="))
    there = page.url
    go(page, "Training")
    expect(page).to_have_title("Training · demo · glassmill")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.go_back()
    expect(page.locator('.chip[aria-pressed="true"]')).to_contain_text("another language")
    page.go_back()
    expect(page.get_by_role("button", name="all rules")).to_have_attribute("aria-pressed", "true")
    page.go_forward()
    page.reload()
    expect(page.locator('.chip[aria-pressed="true"]')).to_contain_text("another language")
    another: Page = open_page(there.split("/#/")[0], view=there.split("/#/")[1]).page
    expect(another.locator('.chip[aria-pressed="true"]')).to_contain_text("another language")


@pytest.mark.slow
def test_what_is_chosen_goes_along_to_the_other_views(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view=f"run/demo/training?of={RUN_OF['train']}&step=0&open=x").page
    expect(page.locator("#train .samples h3")).to_contain_text("at step 0")
    go(page, "Report")
    assert "step=0" in page.url and "open=" not in page.url
    go(page, "Training")
    expect(page.locator("#train .samples h3")).to_contain_text("at step 0")


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("run/demo/nonsense", "The run demo has no such view"),
        ("run/no-such-run/home", "There is no run no-such-run here"),
    ],
)
def test_an_address_that_leads_nowhere_says_so(open_page: type, studio: RunningStudio, view: str, says: str) -> None:
    page: Page = open_page(studio.url, view=view).page
    expect(page.get_by_text(says)).to_be_visible()


@pytest.mark.slow
def test_an_old_address_still_opens_its_run(open_page: type, every_rule: RunningStudio) -> None:
    page: Page = open_page(every_rule.url).page
    page.goto(f"{every_rule.url}/?line=rules")
    expect(page).to_have_url(f"{every_rule.url}/#/run/rules/home")
    expect(page).to_have_title("Overview · rules · glassmill")
    page.get_by_label("Run shown").select_option("demo")
    expect(page).to_have_title("Overview · demo · glassmill")


@pytest.mark.slow
def test_a_recipe_in_an_address_stands_for_its_newest_variant(open_page: type, tmp_path: Path) -> None:
    copy_recorded(tmp_path)
    lines = tmp_path / "lines"
    (lines / "mill-3f9a1c.json").write_bytes((lines / "demo.json").read_bytes())
    studio = RunningStudio(tmp_path)
    try:
        page: Page = open_page(studio.url, view="run/mill/training").page
        expect(page).to_have_title("Training · mill-3f9a1c · glassmill")
        page.goto(f"{studio.url}/#/run/rule/home")  # neither `rules` nor `rules-loose`
        expect(page.get_by_text("There is no run rule here.")).to_be_visible()
    finally:
        studio.stop()


def test_the_palette_finds_views_runs_pages_and_asks(open_page: type, every_rule: RunningStudio) -> None:
    watched = open_page(every_rule.url, view="run/demo/home")
    page: Page = watched.page
    expect(page).to_have_title("Overview · demo · glassmill")
    found = page.get_by_role("listbox", name="Found").get_by_role("option")

    def find(words: str) -> None:
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox", name="Find a view")).to_be_focused()
        page.keyboard.type(words)

    find("train")
    expect(found.first).to_have_text("Training view")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Training · demo · glassmill")
    find("rules-loose")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Overview · rules-loose · glassmill")
    find("demo")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Overview · demo · glassmill")
    find("<b>who</b>")
    expect(found).to_have_text(["Find pages with “<b>who</b>” documents", "Ask “<b>who</b>” chat"])
    page.keyboard.press("ArrowUp")
    expect(found.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not watched.wrongs, "\n".join(watched.wrongs)


@pytest.mark.slow
def test_a_conversation_outlives_the_view_and_a_reload(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    box = page.get_by_label("A question for the model")
    expect(box).to_be_enabled(timeout=30_000)
    box.fill("Who are you?")
    box.press("Enter")
    expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
    said = page.locator(".said").all_inner_texts()
    go(page, "Report")
    go(page, "Chat")
    assert page.locator(".said").all_inner_texts() == said
    page.reload()
    expect(page.locator(".said")).to_have_count(2)
    expect(page.locator(".said").first).to_have_text("Who are you?")
    page.get_by_role("button", name="New conversation").click()
    page.reload()
    expect(page.get_by_label("Your message")).to_be_enabled(timeout=30_000)
    expect(page.locator(".said")).to_have_count(0)


HEARD = """() => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const named = (e) => e.textContent.trim() || e.ariaLabel || e.labels?.length || e.title;
    return {
        landmarks: ["header", "nav", "main", "footer"].map((tag) => all(`${tag}:not(section ${tag})`).length),
        current: all("#views [aria-current=page]").length,
        headings: all("h1, h2, h3").map((h) => Number(h.tagName[1])),
        ids: all("[id]").map((e) => e.id),
        wanted: all("[aria-labelledby], label[for]").map((e) => e.getAttribute("aria-labelledby") ?? e.htmlFor),
        unnamed: all("button, input, textarea, select, a[href]").filter((e) => !named(e)).map((e) => e.outerHTML),
    };
}"""
"""What a screen reader builds on."""


@pytest.mark.slow
def test_every_view_has_landmarks_headings_in_order_and_names(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    expect(page.get_by_role("heading", name="160 web pages")).to_be_visible()
    for link in page.locator("#views a").all():
        link.click()
        page.wait_for_timeout(150)
        found = page.evaluate(HEARD)
        assert found["landmarks"] == [1, 1, 1, 1] and found["current"] == 1, link
        levels = found["headings"]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels)), levels
        assert len(set(found["ids"])) == len(found["ids"])
        assert set(found["wanted"]) <= set(found["ids"])
        assert found["unnamed"] == []
