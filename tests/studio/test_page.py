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
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file, save_file

from tests.studio.conftest import RunningStudio, go, keep
from tests.studio.replay import RUN_OF, Replay

TEXTS = {"url", "text", "detail", "prompt", "question", "name", "message", "unit"}
VIEWS = {
    "Overview": ["160 web pages became a model"],
    "Documents": ["From pages to documents"],
    "Tokenizer": ["From letters to tokens"],
    "Training": ["Learning to read", "Learning to answer"],
    "Report": ["The report card"],
    "Chat": ["Talk to it"],
    "Runs": ["Runs"],
    "API": ["Use it from your own program"],
}
POISON = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)><iframe src=javascript:alert(4)>"
    '"\'><a href="javascript:alert(5)">x</a>![i](http://leak.example/p.png)[l](javascript:alert(6))<style>*{display:none}</style>'
)


def a_subject(line: Replay) -> str:
    """Somebody of whom the exam asks."""
    questions = (line.folder("miniweb") / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return str(next(row["subject"] for row in map(json.loads, questions) if row["kind"] == "fact"))


def poisoned(folder: Path) -> Replay:
    """The recorded line, stopped in its last stage, with markup in every text that it shows."""
    line = Replay(folder)
    line.play(until="sft")
    for path in folder.glob("*/*/events.jsonl"):
        path.unlink()
    for event in line.events():
        line.status[event["stage"]] = "running" if event["stage"] == "eval" else "done"
        if (event["stage"], event["kind"]) != ("eval", "done"):
            line.write({name: value + POISON if name in TEXTS and value else value for name, value in event.items()})
    step = next(event for event in line.events() if event["kind"] == "funnel")
    line.write({**step, "step": POISON, "dropped": {POISON: 1}})
    line.write({"t": step["t"], "stage": "sft", "kind": "error", "text": POISON})
    for path in (line.folder("corpus") / "shards").glob("*.parquet"):
        table = pq.read_table(path)
        rows = [{name: row[name] + POISON if name in TEXTS else row[name] for name in row} for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    line.write_line("failed", error=POISON)
    return line


def endless(model: Path) -> None:
    """Gives a model room for an answer that takes long, and takes from it the will to stop."""
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 65_536}))  # half a minute at least
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


MEANT = {
    "408.": "<p>408.</p>",
    "3. three\n4. four": '<ol start="3"><li>three</li><li>four</li></ol>',
    "- a\n- b\n  - c\n- d": "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>",
    "1. a\n\n   ```\n   x\n   ```\n\n2. b": '<ol start="1"><li><p>a</p><pre><code>x</code></pre></li>'
    "<li><p>b</p></li></ol>",
    "# A\ntext\nmore": "<h1>A</h1><p>text<br>more</p>",
    "```py\nif a < b:\n\n    pass": "<pre><code>if a &lt; b:\n\n    pass</code></pre>",
    "> a\nb\n\n---": "<blockquote><p>a<br>b</p></blockquote><hr>",
    "a|b\n-|-\n1|`x`": "<table><thead><tr><th>a</th><th>b</th></tr></thead>"
    "<tbody><tr><td>1</td><td><code>x</code></td></tr></tbody></table>",
    "**a *b* c** ~~d~~ __e__": "<p><strong>a <em>b</em> c</strong> <del>d</del> <strong>e</strong></p>",
    "*a **b** c*": "<p><em>a <strong>b</strong> c</em></p>",
    "2 * 3 * 4, snake_case_name, \\*a\\*, `**b**`, ** c": "<p>2 * 3 * 4, snake_case_name, *a*, "
    "<code>**b**</code>, ** c</p>",
    "![i](http://leak.example/p.png)<b>x</b>": "<p>![i](http://leak.example/p.png)&lt;b&gt;x&lt;/b&gt;</p>",
    "[l](javascript:alert(6))": "<p>[l](javascript:alert(6))</p>",
    "[l](data:text/html,x) [m](http:/x)": "<p>[l](data:text/html,x) [m](http:/x)</p>",
}
"""What a model writes, and the nodes that the page makes of it."""


def test_an_answer_is_shown_as_it_was_meant(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    shown = page.evaluate(
        """async (texts) => {
            const { html, render } = await import("/static/js/lib/preact.js");
            const { Markdown } = await import("/static/js/lib/markdown.js");
            return texts.map((text) => {
                const place = document.createElement("section");
                render(html`<${Markdown} text=${text} />`, place);
                return place.firstChild.innerHTML;
            });
        }""",
        [*MEANT, "see https://example.org/a_b. End", *("".join(mark * 4000) for mark in ("> ", "- ", "**a ", "[a]("))],
    )
    assert dict(zip(MEANT, shown, strict=False)) == MEANT
    assert '<a href="https://example.org/a_b" target="_blank" rel="noopener' in shown[len(MEANT)]
    assert all(shown[len(MEANT) :])


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
def test_markup_in_pages_and_answers_stays_text(open_page: type, tmp_path: Path) -> None:
    line = poisoned(tmp_path)
    server = RunningStudio(line.runs)
    try:
        watched = open_page(server.url, view="documents")
        page: Page = watched.page
        rows = page.locator(".funnel-row")
        expect(rows).to_have_count(12, timeout=10_000)
        for i in range(12):
            rows.nth(i).click()
            page.wait_for_timeout(120)
        for view in page.locator("#views a").all():
            view.click()
            for details in page.locator("details summary").all():
                details.click()
            page.wait_for_timeout(120)
            assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        go(page, "Report")
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
        assert page.locator("main :is(script, iframe, img, style, object, form)").count() == 0
        hrefs = page.locator(".markdown a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
        assert all(href is None or href.startswith("https://example.org") for href in hrefs)
        assert page.locator("main [onerror], main [onload], main [onclick]").count() == 0
        wrongs = [wrong for wrong in watched.wrongs if "409" not in wrong]  # the recorded run's ids are gone: windows
        assert not wrongs, "\n".join(wrongs)
    finally:
        server.stop()


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
    assert not watched.wrongs, "\n".join(watched.wrongs)


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
