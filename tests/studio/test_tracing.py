"""From an answer to the pages that taught it: over HTTP, and as a person does it in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from glassmill.corpus.document import documents
from glassmill.studio import tracing
from tests.studio.conftest import RunningStudio, keep
from tests.studio.replay import RUN_OF, copy_recorded, encode_again

ASKED = f"/api/runs/{RUN_OF['sft']}/trace"
WAY = f"/api/runs/{RUN_OF['corpus']}/way"
SAID = "They say Flora Lang could eat cheese bread every day. <img src=x onerror=alert(1)> Quixotic."


@pytest.fixture(scope="module")
def traceable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """The studio over the recorded line, ids included."""
    runs = tmp_path_factory.mktemp("traceable")
    copy_recorded(runs)
    encode_again(runs)
    running = RunningStudio(runs)
    yield running
    running.stop()


@pytest.fixture
def client(traceable: RunningStudio) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=traceable.url, timeout=60) as client:
        yield client


def test_an_answer_leads_to_pages_and_a_page_to_its_way(client: httpx.Client) -> None:
    traced = client.post(ASKED, json={"text": SAID}).json()
    (best, *_) = traced["stretches"]
    assert best["text"] == "Flora Lang could eat cheese bread every day." and traced["corpus"] == RUN_OF["corpus"]
    page = best["pages"][0]
    way = client.get(WAY, params={"shard": page["shard"], "row": page["row"]}).json()
    assert way["url"] == page["url"] and way["end"] == "kept"
    assert {"language", "gopher_quality", "c4", "fineweb"} <= {step["step"] for step in way["steps"]}


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (ASKED, {"text": ""}, 400, "at least 1 character"),
        (ASKED, {"text": "x" * 20_001}, 400, "at most 20000 characters"),
        (ASKED, {"text": "x", "pages": 1000}, 400, "less than or equal to 50"),
        ("/api/runs/sft/demo-000000/trace", {"text": "x"}, 404, "no run named sft/'demo-000000'"),
        ("/api/runs/sft/..%2F..%2Fetc/trace", {"text": "x"}, 404, ""),
        (f"/api/runs/{RUN_OF['corpus']}/trace", {"text": "x"}, 409, "is a run of the stage corpus"),
    ],
)
def test_what_cannot_be_traced_is_told(
    client: httpx.Client, path: str, body: dict[str, Any], status: int, says: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status and says in json.dumps(answer.json(), ensure_ascii=False)


@pytest.mark.parametrize(
    "query",
    [{"shard": "../../x", "row": 0}, {"shard": "documents-00000.parquet", "row": 10**6}, {"shard": "", "row": 0}],
)
def test_a_way_is_asked_for_by_a_place_in_the_run(client: httpx.Client, query: dict[str, Any]) -> None:
    assert client.get(WAY, params=query).status_code == 409


def test_how_a_url_fared_is_told_for_any_page(client: httpx.Client, traceable: RunningStudio) -> None:
    path = f"/api/runs/{RUN_OF['corpus']}/why"
    assert traceable.runs is not None
    dropped = next(documents(traceable.runs / RUN_OF["corpus"], dropped=True))
    (way, *_) = client.get(path, params={"url": dropped.url}).json()["ways"]
    assert way["end"] == "dropped" and [check["rule"] for check in way["steps"][-1]["checks"]][-1] == dropped.rule
    assert client.get(path, params={"url": "http://nowhere.example/"}).status_code == 409
    assert client.get(path, params={"url": ""}).status_code == 400


def test_a_large_run_is_not_indexed_unasked(
    client: httpx.Client, traceable: RunningStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert traceable.runs is not None
    shutil.rmtree(traceable.runs / RUN_OF["tokens"] / "suffixes", ignore_errors=True)
    monkeypatch.setattr(tracing, "MOST_UNASKED_TOKENS", 1000)
    told = client.post(ASKED, json={"text": "x"})
    assert told.status_code == 409 and "have no index yet" in told.text and "--build" in told.text
    monkeypatch.undo()
    assert client.post(ASKED, json={"text": "x"}).status_code == 200


def test_opening_the_page_loads_no_tracer() -> None:
    program = (
        "import sys; from pathlib import Path; from glassmill.studio.app import create_app; "
        "create_app(Path('runs'), None); sys.exit(any(name.startswith('glassmill.trace') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def says(text: str) -> str:
    """An answer of the model, as the server streams it."""
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_person_follows_an_answer_to_a_page_and_its_filters(
    open_page: type, traceable: RunningStudio, tmp_path: Path, width: int, scheme: str
) -> None:
    runs = traceable.runs
    assert runs is not None
    watched = open_page(traceable.url, width=width, scheme=scheme, view="run/demo/chat")
    page: Page = watched.page
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=says(SAID), content_type="text/event-stream"))
    expect(page.get_by_label("Your message")).to_be_enabled(timeout=60_000)
    page.get_by_label("Your message").fill("What does Flora Lang like?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Trace these words").press("Enter")
    traced = page.get_by_role("region", name="Where these words come from")
    expect(traced).to_be_visible(timeout=60_000)
    assert traced.locator(".trace-text").inner_text() == SAID
    expect(traced.locator(".trace-text mark").first).to_have_text("Flora Lang could eat cheese bread every day.")
    shown = traced.locator(".trace-pages .url").first.inner_text()
    assert shown in {document.url for document in documents(runs / RUN_OF["corpus"])}
    traced.get_by_text("Its way through the filters").first.press("Enter")
    expect(traced.get_by_text("probability of the most likely language")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    keep(page, f"trace-{width}-{scheme}", tmp_path)
    page.evaluate(
        """() => {
            const words = document.querySelector('.said[data-role="assistant"] .markdown p').firstChild;
            getSelection().setBaseAndExtent(words, 9, words, 19);
        }"""
    )
    page.get_by_role("button", name="Trace the marked words").click()
    expect(traced.locator(".trace-text")).to_have_text("Flora Lang")
    expect(traced.locator(".trace-stretch")).to_have_count(1)
    assert not watched.wrongs, "\n".join(watched.wrongs)
