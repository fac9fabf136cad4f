"""The views that look into the model: attention is a click from an answer, the coin flips, branches and goes back."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.studio.conftest import RunningStudio, keep

pytestmark = pytest.mark.slow

HOSTILE = "</script><img src=x onerror=alert(1)> <|im_end|> {{x}} \u202e"
NEXT_TOKENS = "**/internal/next-tokens"


def inside(open_page: type, studio: RunningStudio, view: str, **options: Any) -> Any:
    watched = open_page(studio.url, view=view, **options)
    expect(watched.page.get_by_label("Prompt")).to_be_enabled(timeout=60_000)
    return watched


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_attention_is_one_click_from_an_answer(
    open_page: type, studio: RunningStudio, tmp_path: Any, width: int, scheme: str
) -> None:
    watched = open_page(studio.url, view="chat", width=width, scheme=scheme)
    page: Page = watched.page
    box = page.get_by_label("Your message")
    expect(box).to_be_enabled(timeout=60_000)
    box.fill("What is 3 plus 4?")
    box.press("Enter")
    page.get_by_role("link", name="Look inside").click()
    expect(page.locator(".anatomy")).to_be_visible(timeout=60_000)  # torch is imported now
    expect(page.locator(".term.total")).to_be_visible()
    assert page.locator(".piece").first.inner_text() == "<|user|>"
    tinted = page.locator('.piece[style*="--seen"]').evaluate_all("all => all.map((one) => one.style.cssText)")
    assert any("100%" in style for style in tinted)
    page.locator(".anatomy-heads button").first.click()
    expect(page.locator(".looked-side")).to_contain_text(re.compile(r"Layer \d+, head 1 looks at"))
    assert re.search(r"layer=\d+&head=0", page.url)
    page.reload()
    expect(page.locator('.anatomy-heads [aria-pressed="true"]')).to_have_count(1)
    keep(page, f"inside-{width}-{scheme}", tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_the_parts_on_the_screen_add_up_and_arrow_keys_go_through_the_text(
    open_page: type, studio: RunningStudio
) -> None:
    watched = inside(open_page, studio, "inside?as=text&prompt=" + quote("The town has a mill."))
    page: Page = watched.page
    last = page.locator('.piece[aria-pressed="true"]')
    last.focus()
    for _ in range(2):
        before = page.locator(".looked > .caption").inner_text()
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".looked > .caption")).not_to_have_text(before)
    expect(page.locator('.piece[aria-pressed="true"]')).to_be_focused()
    for rival in ("mean", "rival"):
        page.get_by_label("beside").select_option(rival)
        expect(page.locator(".looked-side h3").last).to_contain_text("What speaks for")
        page.wait_for_timeout(400)
        numbers = [
            float(text.replace("−", "-").replace(",", "")) for text in page.locator(".term .number").all_inner_texts()
        ]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.06)
    assert not watched.wrongs, "\n".join(watched.wrongs)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_coin_is_flipped_forced_branched_and_taken_back(
    open_page: type, studio: RunningStudio, tmp_path: Any, width: int, scheme: str
) -> None:
    watched = inside(open_page, studio, "coin?as=text&prompt=" + quote("The town"), width=width, scheme=scheme)
    page: Page = watched.page
    bars = page.locator(".bar-row")
    expect(bars).to_have_count(16)
    start = page.locator(".piece").count()
    forced = [bars.nth(i).locator("code").inner_text() for i in (0, 3)]
    bars.nth(0).click()
    expect(page.locator(".piece")).to_have_count(start + 1)
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator(".piece")).to_have_count(start)
    bars.nth(3).click()
    expect(page.locator(".twig")).to_have_count(3)  # the prompt and two branches
    twigs = [text.replace(" ", "␣") for text in page.locator(".twig").all_inner_texts()[1:]]
    assert twigs == forced
    with page.expect_request(NEXT_TOKENS) as caught:
        page.get_by_role("button", name="Flip", exact=True).click()
    assert len(json.loads(caught.value.post_data or "")["tokens"]) == start + 2
    expect(page.locator(".strip")).to_be_visible()
    page.locator(".twig").nth(1).click()
    expect(page.locator(".piece")).to_have_count(start + 1)
    keep(page, f"coin-{width}-{scheme}", tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_temperature_and_cuts_change_the_bars_at_once_and_say_why(open_page: type, studio: RunningStudio) -> None:
    watched = inside(open_page, studio, "coin?as=text&prompt=" + quote("The town"))
    page: Page = watched.page
    best = page.locator(".bar-row").first
    expect(best).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    own, drawn = (best.locator(".number").nth(i) for i in (0, 1))
    assert own.inner_text() == drawn.inner_text()
    page.get_by_label("Temperature").fill("2")
    expect(page.get_by_role("status").last).to_contain_text("divides every logit by 2.0")
    assert float(drawn.inner_text().split()[0]) < float(own.inner_text().split()[0])
    page.get_by_label("Top-k").fill("3")
    expect(page.locator(".bar-row:not([data-cut])")).to_have_count(3)
    page.get_by_label("Temperature").fill("0")
    expect(drawn).to_have_text("100 %")
    assert not asked  # computed in the page
    assert not watched.wrongs, "\n".join(watched.wrongs)


@pytest.mark.parametrize("view", ["inside", "coin"])
def test_hostile_prompts_stay_text_and_long_ones_are_refused_in_words(
    open_page: type, studio: RunningStudio, view: str
) -> None:
    watched = inside(open_page, studio, f"{view}?as=text&prompt=" + quote(HOSTILE))
    page: Page = watched.page
    expect(page.locator(".piece").first).to_be_visible()
    text = "".join(page.locator(".piece").all_inner_texts())
    assert "onerror=alert(1)" in text and page.locator("main img").count() == 0
    assert not watched.wrongs, "\n".join(watched.wrongs)
    page.get_by_label("Prompt").fill("x" * 3000)
    page.get_by_label("Prompt").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("at most 64 are possible here")


def test_flips_end_in_words_where_the_context_is_full(open_page: type, studio: RunningStudio) -> None:
    page: Page = inside(open_page, studio, "coin?as=text&prompt=" + quote("The town " * 20)).page
    many, stop = (page.get_by_role("button", name=name) for name in ("Flip 10 times", "Stop"))
    said = page.locator(".coin-parts .trouble")
    expect(many).to_be_enabled(timeout=60_000)
    for _ in range(30):
        if said.count():
            break
        many.click()
        expect(stop).to_have_count(0, timeout=30_000)
    expect(said).to_contain_text("tokens; at most")
    expect(many).to_be_disabled()
    page.get_by_role("button", name="Back").click()
    expect(page.locator(".bar-row").first).to_be_visible()
