"""The page in a real browser, from the first event of a line to an answered question."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.studio.conftest import RunningStudio, keep
from tests.studio.simulated_run import SimulatedRun

POISON = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)><iframe src=javascript:alert(4)>"
    '"\'><a href="javascript:alert(5)">x</a>![i](http://leak.example/p.png)[l](javascript:alert(6))<style>*{display:none}</style>'
)


@pytest.mark.slow
def test_from_the_first_event_to_an_answered_question(open_page: type, tmp_path: Path) -> None:
    line = SimulatedRun(tmp_path / "runs", seconds=15.0)
    server = RunningStudio(line.runs)
    try:
        watched = open_page(server.url)
        page: Page = watched.page
        expect(page.get_by_text("No run yet")).to_be_visible(timeout=10_000)
        worker = threading.Thread(target=line.run, daemon=True)
        worker.start()
        expect(page.locator(".funnel-row")).to_have_count(9, timeout=15_000)
        seen = set()
        while worker.is_alive():
            before = page.locator("body").inner_text()
            page.wait_for_timeout(1000)
            assert page.locator("body").inner_text() != before or not worker.is_alive(), "something moves"
            seen |= set(re.findall(r"Now: ([^.]+)\.", before))
        assert len(seen) >= 2, f"the stages were told as they came: {seen}"
        expect(page.get_by_text("The line is done.")).to_be_visible(timeout=10_000)
        box = page.get_by_label("Your message")
        expect(box).to_be_enabled(timeout=30_000)
        box.fill("Who is the baker of Mill Lane?")
        box.press("Enter")
        expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
        assert page.locator('.said[data-role="assistant"]').inner_text().strip()
        page.get_by_role("button", name="Which pages name Mill Lane?").click()
        expect(page.locator(".sources mark").first).to_have_text("Mill Lane")
        keep(page, "studio", tmp_path)
        assert not watched.wrongs, "\n".join(watched.wrongs)
    finally:
        server.stop()


def test_an_answer_is_shown_as_it_was_meant(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    page.evaluate(
        """async () => {
            const { html, render } = await import("/static/js/lib/preact.js");
            const { Markdown } = await import("/static/js/lib/markdown.js");
            const place = document.createElement("section");
            document.querySelector("main").append(place);
            const texts = ["408.", "3. three\\n4. four"];
            render(html`${texts.map((text) => html`<${Markdown} text=${text} />`)}`, place);
        }"""
    )
    expect(page.locator(".markdown").first).to_have_text("408.")
    expect(page.locator(".markdown ol")).to_have_attribute("start", "3")


@pytest.mark.slow
def test_markup_in_pages_and_answers_stays_text(open_page: type, tmp_path: Path) -> None:
    line = SimulatedRun(tmp_path, seconds=0.0)
    line.poison = POISON
    line.run("sft")
    line.stage("eval", finish=False)
    line.emit("corpus", "funnel", step=POISON, **{"in": 1440, "out": 1400}, dropped={POISON: 40})
    line.emit("sft", "error", text=POISON)
    line.emit("train", "sample", step=1000, prompt=POISON, text=POISON)
    line.emit("train", "plan", steps=POISON, parameters=POISON)
    line.emit("eval", "score", name=POISON, value=0.5)
    line.tell("failed", error=POISON)
    server = RunningStudio(line.runs)
    try:
        watched = open_page(server.url)
        page: Page = watched.page
        rows = page.locator(".funnel-row")
        expect(rows).to_have_count(10, timeout=10_000)
        for i in range(10):
            rows.nth(i).click()
            page.wait_for_timeout(120)
        for details in page.locator("details summary").all():
            details.click()
        expect(page.locator(".answers")).to_contain_text("<script>")
        page.evaluate(
            """async (poison) => {
                const { html, render } = await import("/static/js/lib/preact.js");
                const { Markdown } = await import("/static/js/lib/markdown.js");
                const place = document.createElement("section");
                document.querySelector("main").append(place);
                render(html`<${Markdown} text=${poison + "\\n\\n**bold** [good](https://example.org)"} />`, place);
            }""",
            POISON,
        )
        expect(page.locator(".markdown strong")).to_have_text("bold")
        page.wait_for_timeout(500)
        assert page.locator("main :is(script, iframe, img, style, object, form:not(.ask))").count() == 0
        hrefs = page.locator(".markdown a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
        assert all(href is None or href.startswith("https://example.org") for href in hrefs)
        assert page.locator("main [onerror], main [onload], main [onclick]").count() == 0
        assert not watched.wrongs, "\n".join(watched.wrongs)
    finally:
        server.stop()


@pytest.mark.slow
def test_stop_ends_the_work_of_the_engine(open_page: type, tmp_path: Path) -> None:
    line = SimulatedRun(tmp_path, seconds=0.0)
    line.context_length = 8192  # room for an answer that takes long
    line.run()
    server = RunningStudio(line.runs)
    try:
        page: Page = open_page(server.url).page
        box = page.get_by_label("Your message")
        expect(box).to_be_enabled(timeout=30_000)
        box.fill("Tell me everything.")
        page.get_by_role("button", name="Send").click()
        page.get_by_role("button", name="Stop").click(timeout=20_000)
        expect(page.get_by_text("stopped")).to_be_visible()
        for _ in range(40):
            metrics = httpx.get(f"{server.url}/metrics", timeout=20).text
            if "glassmill_running 0" in metrics:
                break
            time.sleep(0.05)
        assert "glassmill_running 0" in metrics
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (390, "dark"), pytest.param(390, "light", marks=pytest.mark.slow)]
)
def test_the_page_fits_and_shows_every_room(
    open_page: type, studio: RunningStudio, tmp_path: Path, width: int, scheme: str
) -> None:
    watched = open_page(studio.url, width, scheme)
    page: Page = watched.page
    for title in (
        "From pages to documents",
        "From letters to tokens",
        "Learning to read",
        "Learning to answer",
        "The report card",
        "Talk to it",
    ):
        expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=10_000)
    expect(page.locator(".ids button").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    keep(page, f"studio-{width}-{scheme}", tmp_path)
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_a_dropped_page_shows_rule_value_and_bound(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    page.get_by_role("button", name="Prose").click()
    page.get_by_role("button", name="too few words").click()
    card = page.locator(".card").first
    expect(card).to_contain_text("words on the page: 12, at least 50 allowed")
    expect(card).to_contain_text("Home | News")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("2 of 2")
    page.get_by_role("button", name="Documents").click()
    expect(page.locator(".card").first).to_contain_text("http://town.example/")


def test_text_is_cut_into_tokens_while_it_is_typed(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    box = page.get_by_label("Your own text")
    box.fill("")
    box.press_sequentially("the mill ü")
    expect(page.locator(".mirror span")).not_to_have_count(0)
    expect(page.locator(".ids")).to_contain_text("ill")
    assert "".join(page.locator(".mirror span").all_inner_texts()) == "the mill ü"
    page.locator(".ids button").first.click()
    expect(page.locator(".token-facts")).to_contain_text("is token")


def test_how_sure_the_model_was_can_be_seen_token_by_token(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    expect(page.get_by_label("Your message")).to_be_enabled(timeout=30_000)
    page.get_by_label("show how sure it was").check()
    page.locator(".suggestions button").first.click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
    page.locator(".sure-token").first.click()
    expect(page.locator(".other")).to_have_count(5)


@pytest.mark.slow
def test_the_page_can_be_used_without_a_mouse(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    expect(page.locator(".funnel-row").first).to_be_visible(timeout=10_000)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className || document.activeElement.id"))
        if reached[-1] == "funnel-row":
            break
    assert reached[0] == "skip" and reached[-1] == "funnel-row"
    page.keyboard.press("Enter")
    expect(page.locator(".funnel-panel")).to_be_visible()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, textarea, select, a[href]')]"
        ".filter((e) => !(e.innerText || e.ariaLabel || e.labels?.length || e.title)).map((e) => e.outerHTML)"
    )
    assert unnamed == []


@pytest.mark.slow
def test_a_server_with_a_key_asks_for_it_and_then_opens(open_page: type, finished: SimulatedRun) -> None:
    server = RunningStudio(finished.runs, api_key="open-sesame")
    try:
        page: Page = open_page(server.url).page
        page.get_by_label("API key").fill("open-sesame")
        page.get_by_role("button", name="Open the studio").click()
        expect(page.get_by_role("heading", name="From pages to documents")).to_be_visible(timeout=10_000)
    finally:
        server.stop()


def test_a_served_model_shows_its_tokenizer_its_chat_and_a_program_that_works(
    open_page: type, finished: SimulatedRun
) -> None:
    server = RunningStudio(None, finished.folder("sft") / "model")
    try:
        watched = open_page(server.url)
        expect(watched.page.get_by_label("Your message")).to_be_enabled(timeout=30_000)
        expect(watched.page.locator(".ids button").first).to_be_visible()
        assert watched.page.get_by_role("heading", name="The report card").count() == 0
        watched.page.get_by_role("button", name="python").click()
        program = watched.page.locator("#api pre").inner_text()
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert said.returncode == 0 and said.stdout.strip(), said.stderr
        assert not watched.wrongs, "\n".join(watched.wrongs)
    finally:
        server.stop()
