"""What others wrote stays text: markup in pages, answers and events, and the Markdown of a model's answer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from tests.studio.conftest import RunningStudio, go
from tests.studio.replay import Replay

TEXTS = {"url", "text", "detail", "prompt", "question", "name", "message", "unit"}
POISON = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)><iframe src=javascript:alert(4)>"
    '"\'><a href="javascript:alert(5)">x</a>![i](http://leak.example/p.png)[l](javascript:alert(6))<style>*{display:none}</style>'
)


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
        wrongs = watched.wrongs_but("window")  # the recorded run's ids are gone
        assert not wrongs, "\n".join(wrongs)
    finally:
        server.stop()
