"""The page in a real browser, from the first event of a line to an answered question."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file, save_file

from tests.studio.conftest import RunningStudio, go, keep
from tests.studio.replay import RUN_OF, Replay
from tests.studio.test_markup import POISON

VIEWS = {
    "Overview": ["160 web pages became a model"],
    "Documents": ["From pages to documents"],
    "Tokenizer": ["From letters to tokens"],
    "Windows": ["What a step read"],
    "Training": ["Learning to read", "Learning to answer"],
    "Report": ["The report card"],
    "Chat": ["Talk to it"],
    "Notebook": ["Notebook"],
    "Runs": ["Runs"],
    "API": ["Use it from your own program"],
}


def a_subject(line: Replay) -> str:
    """Somebody of whom the exam asks."""
    questions = (line.folder("miniweb") / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return str(next(row["subject"] for row in map(json.loads, questions) if row["kind"] == "fact"))


def endless(model: Path) -> None:
    """Gives a model room for an answer of half a minute, and takes from it the will to stop."""
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 65_536}))
    weights = load_file(model / "model.safetensors")
    for token in json.loads((model / "generation_config.json").read_text())["eos_token_id"]:
        weights["model.embed_tokens.weight"][token] = 0  # its logit is 0, and others are above
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    note = json.loads((model / "glassmill.json").read_text())
    (model / "glassmill.json").write_text(json.dumps({**note, "integrity": None}))


@pytest.mark.slow
def test_from_the_first_event_to_an_answered_question(open_page: type, tmp_path: Path) -> None:
    line = Replay(tmp_path / "runs")
    server = RunningStudio(line.runs)
    try:
        watched = open_page(server.url)
        page: Page = watched.page
        expect(page.get_by_text("No run yet")).to_be_visible(timeout=10_000)
        worker = threading.Thread(target=line.play, args=(15.0,), daemon=True)
        worker.start()
        expect(page.locator(".headline-value").first).to_be_visible(timeout=15_000)
        go(page, "Documents")
        expect(page.locator(".funnel-row")).to_have_count(11, timeout=15_000)
        go(page, "Overview")
        seen = set()
        while not page.get_by_text("The run is done.").is_visible():
            before = page.locator("body").inner_text()
            seen |= set(re.findall(r"Now: ([^.]+)\.", before))
            page.wait_for_function("before => document.body.innerText !== before", arg=before, timeout=10_000)
        assert len(seen) >= 2, f"the stages were told as they came: {seen}"
        keep(page, "studio", tmp_path)
        go(page, "Chat")
        box = page.get_by_label("Your message")
        expect(box).to_be_enabled(timeout=30_000)
        subject = a_subject(line)
        box.fill(f"Where does {subject} live?")
        box.press("Enter")
        expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
        assert page.locator('.said[data-role="assistant"]').inner_text().strip()
        page.get_by_role("button", name=f"Which pages name {subject}?").click()
        expect(page.locator(".sources mark").first).to_have_text(subject)
        assert not watched.wrongs, "\n".join(watched.wrongs)
    finally:
        server.stop()


def test_the_slider_of_samples_sets_the_selected_step_and_another_run_forgets_it(
    open_page: type, studio: RunningStudio
) -> None:
    page: Page = open_page(studio.url, view="training").page
    slider = page.locator("#train .slider input")
    slider.fill("0")
    first = slider.get_attribute("aria-valuetext") or ""
    expect(page.locator("#train .samples h3")).to_contain_text(first)
    run = RUN_OF["train"]
    chosen = "async (run) => (await import('/static/js/state/selection.js')).selected(run).step"
    assert f"step {page.evaluate(chosen, run)}" == first
    page.reload()
    expect(page.locator("#train .samples h3")).to_contain_text(first)
    page.evaluate("async () => (await import('/static/js/state/selection.js')).select({ run: 'sft/x', layer: 3 })")
    assert page.evaluate(chosen, run) is None
    expect(page.locator("#train .samples h3")).not_to_contain_text(first)


@pytest.mark.slow
def test_stop_ends_the_work_of_the_engine(open_page: type, tmp_path: Path) -> None:
    line = Replay(tmp_path)
    line.play()
    endless(line.folder("sft") / "model")
    server = RunningStudio(line.runs)
    try:
        page: Page = open_page(server.url, view="chat").page
        box = page.get_by_label("Your message")
        expect(box).to_be_enabled(timeout=30_000)
        box.fill("Tell me everything.")
        page.get_by_role("button", name="Send").click()
        page.get_by_role("button", name="Stop").click(timeout=20_000)
        expect(page.get_by_text("stopped")).to_be_visible()
        for _ in range(40):
            metrics = httpx.get(f"{server.url}/metrics", timeout=20).text
            if done := re.search(r"^glassmill_running\{.*\} 0$", metrics, re.M):
                break
            time.sleep(0.05)
        assert done, metrics
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (390, "dark"), pytest.param(390, "light", marks=pytest.mark.slow)]
)
def test_every_view_fits_and_shows_its_rooms(
    open_page: type, studio: RunningStudio, tmp_path: Path, width: int, scheme: str
) -> None:
    watched = open_page(studio.url, width, scheme)
    page: Page = watched.page
    for view, titles in VIEWS.items():
        go(page, view)
        for title in titles:
            expect(page.get_by_role("heading", name=title, level=2)).to_be_visible(timeout=10_000)
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        keep(page, f"{view.lower()}-{width}-{scheme}", tmp_path)
    wrongs = watched.wrongs_but("window")  # the recorded run's ids are gone
    assert not wrongs, "\n".join(wrongs)


def test_a_dropped_page_shows_its_rule_and_pages_turn(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view="documents").page
    page.get_by_role("button", name="Language").click()
    page.get_by_role("button", name="another language").click()
    card = page.locator(".card").first
    expect(card).to_contain_text("probability of a wanted language: 0; at least 0.65 required")
    expect(card.locator(".page-text")).not_to_be_empty()
    page.get_by_role("button", name="Documents").click()
    expect(page.locator(".card").first).to_contain_text("https://")
    first = page.locator(".card .url").first.inner_text()
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("2 of 10")
    expect(page.locator(".card .url").first).not_to_have_text(first)


@pytest.mark.slow
def test_a_page_is_found_by_its_url_with_its_way_and_the_rules_are_ranked(
    open_page: type, studio: RunningStudio
) -> None:
    watched = open_page(studio.url, view="documents")
    page: Page = watched.page
    expect(page.locator(".top-rules li").first).to_be_visible()
    ranked = page.locator(".top-rules li .number").all_inner_texts()
    assert len(ranked) >= 5 and ranked == sorted(ranked, key=int, reverse=True)
    page.locator(".top-rules a").first.click()
    expect(page.locator(".funnel-panel .card")).not_to_have_count(0)
    expect(page.locator(".funnel-panel")).to_be_in_viewport()
    url = page.locator(".funnel-panel .card .url").first.inner_text()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Find a view").fill(url)
    page.get_by_role("option", name="Find pages with").click()
    found = page.locator(".find .card")
    expect(found.filter(has_text=url)).to_have_count(1)
    expect(page.locator(".find .caption").first).to_contain_text("1 dropped, 0 kept")
    found.get_by_text("Its way through the filters").click()
    expect(found.locator('dd [data-passed="false"]')).to_have_count(1)
    page.get_by_label("Find a page by URL").fill("http://<b>nowhere</b>.example/")
    expect(page.locator(".find .caption").first).to_contain_text("0 dropped, 0 kept")
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_the_report_can_be_handed_on_as_markdown_and_as_one_file(
    open_page: type, studio: RunningStudio, tmp_path: Path
) -> None:
    watched = open_page(studio.url, view="report")
    page: Page = watched.page
    texts = {}
    for button, ending in (("Markdown", "md"), ("One HTML file", "html")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        assert download.value.suggested_filename == f"demo-report.{ending}"
        download.value.save_as(tmp_path / ending)
        texts[ending] = (tmp_path / ending).read_text(encoding="utf-8")
    assert "| Personal data | 114 | 0 | 114 |" in texts["md"] and "<td>114</td>" in texts["html"]
    assert all("Facts known" in text and "Weights" in text for text in texts.values())
    assert not re.search("<script|https?://|javascript:", texts["html"])
    said = page.evaluate(
        """async (poison) => {
            const { asHtml, asMarkdown } = await import("/static/js/parts/handed.js");
            const table = [{ title: poison, head: [poison], rows: [[poison]] }];
            return [asHtml(poison, table), asMarkdown(poison, table)];
        }""",
        POISON,
    )
    assert "<script" not in said[0] and "<img" not in said[0]
    assert not re.search(r"(?<!\\)<", said[1])
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_text_is_cut_into_tokens_while_it_is_typed(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view="tokenizer").page
    box = page.get_by_label("Your own text")
    box.fill("")
    box.press_sequentially("the mill ü")
    expect(page.locator(".mirror span")).not_to_have_count(0)
    expect(page.locator(".ids")).to_contain_text("ill")
    assert "".join(page.locator(".mirror span").all_inner_texts()) == "the mill ü"
    page.locator(".ids button").first.click()
    expect(page.locator(".token-facts")).to_contain_text("is token")


def test_how_sure_the_model_was_can_be_seen_token_by_token(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view="chat").page
    expect(page.get_by_label("Your message")).to_be_enabled(timeout=30_000)
    page.get_by_label("show how sure it was").check()
    page.locator(".suggestions button").first.click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
    page.locator(".sure-token").first.click()
    expect(page.locator(".other:not(.rest)")).to_have_count(5)


@pytest.mark.slow
def test_the_page_can_be_used_without_a_mouse(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view="documents").page
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
def test_a_server_with_a_key_asks_for_it_and_then_opens(open_page: type, finished: Replay) -> None:
    server = RunningStudio(finished.runs, api_key="open-sesame")
    try:
        page: Page = open_page(server.url).page
        page.get_by_label("API key").fill("open-sesame")
        page.get_by_role("button", name="Open the studio").click()
        expect(page.get_by_role("heading", name="160 web pages became a model")).to_be_visible(timeout=10_000)
    finally:
        server.stop()


def test_a_served_model_shows_its_tokenizer_its_chat_and_a_program_that_works(
    open_page: type, finished: Replay
) -> None:
    server = RunningStudio(None, finished.folder("sft") / "model")
    try:
        watched = open_page(server.url)
        expect(watched.page.get_by_label("Your message")).to_be_enabled(timeout=30_000)
        assert watched.page.locator("#views a").all_inner_texts() == [
            "Tokenizer",
            "Chat",
            "Notebook",
            "Inside",
            "Coin",
            "API",
        ]
        go(watched.page, "Tokenizer")
        expect(watched.page.locator(".ids button").first).to_be_visible()
        go(watched.page, "API")
        watched.page.get_by_role("button", name="python").click()
        program = watched.page.locator("#api pre").inner_text()
        program = program.replace("messages=", "temperature=0, messages=")  # sampled, one answer in sixty is empty
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert said.returncode == 0 and said.stdout.strip(), said.stderr
        assert not watched.wrongs, "\n".join(watched.wrongs)
    finally:
        server.stop()
