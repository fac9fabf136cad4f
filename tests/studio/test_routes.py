"""The studio's server, asked over HTTP as the page asks it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from starlette.types import Message

from glassmill.corpus.document import kind_of_cause
from glassmill.corpus.rules import RULES
from glassmill.errors import ApiError
from glassmill.studio.documents import PAGE_ROWS
from glassmill.studio.routes import answer
from tests.studio.conftest import RunningStudio
from tests.studio.replay import RUN_OF, Replay

RUN = f"/api/runs/{RUN_OF['corpus']}"
WAYS_OUT = [
    "/api/runs/corpus/..%2F..%2Fsecret/documents",
    "/api/runs/..%2F..%2F/secret/documents",
    "/api/runs/corpus/%2e%2e/documents",
    f"{RUN}/files/..%2F..%2F..%2Fsecret.json",
    f"{RUN}/files/%2e%2e%2frecipe.toml",
    f"{RUN}/files/recipe.toml",
    f"{RUN}/files/events.jsonl",
    "/static/..%2Fapp.py",
    "/static/%2e%2e/app.py",
    "/static/../../../../../../etc/passwd",
    "/api/events?line=..%2F..%2Fsecret",
    "/api/events?line=%2Fetc%2Fpasswd",
]


@pytest.fixture
def client(studio: RunningStudio) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=studio.url, timeout=20) as client:
        yield client


def stream(client: httpx.Client, position: str | None = None) -> tuple[str, dict[str, Any]]:
    """The first message of the event stream and its position."""
    headers = {"Last-Event-ID": position} if position else {}
    with client.stream("GET", "/api/events?line=demo", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        identity = ""
        for line in response.iter_lines():
            if line.startswith("id: "):
                identity = line[4:]
            if line.startswith("data: "):
                return identity, json.loads(line[6:])
    raise AssertionError("the stream ended without a message")


def test_opening_the_page_imports_no_torch() -> None:
    program = (
        "import sys; from pathlib import Path; from glassmill.studio.app import create_app; "
        "create_app(Path('runs'), None); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_every_answer_carries_the_strict_headers(client: httpx.Client) -> None:
    for path in ("/", "/static/js/main.js", "/api/lines", "/api/nothing", "/v1/models"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy


@pytest.mark.parametrize("path", WAYS_OUT)
def test_no_address_leads_out_of_the_runs_folder(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404, 422)
    assert "error" in answer.json()


@pytest.mark.parametrize("which", ["kept", "dropped"])
def test_paging_shows_every_document_once(client: httpx.Client, which: str) -> None:
    seen: list[str] = []
    page = 0
    while rows := client.get(f"{RUN}/documents", params={"which": which, "page": page}).json()["rows"]:
        assert len(rows) <= PAGE_ROWS
        seen += [row["url"] for row in rows]
        page += 1
    assert len(seen) == len(set(seen)) == client.get(f"{RUN}/documents", params={"which": which}).json()["total"]


def test_documents_can_be_asked_for_by_step_rule_and_words(client: httpx.Client) -> None:
    stats = client.get(f"{RUN}/files/stats.json").json()
    dropped = {row["step"]: row["dropped"] for row in stats["funnel"]}
    by_step = client.get(f"{RUN}/documents", params={"step": "url"}).json()
    by_rule = client.get(f"{RUN}/documents", params={"step": "url", "rule": "url/soft_words"}).json()
    assert by_step["total"] == sum(dropped["url"].values()) > by_rule["total"] == dropped["url"]["url/soft_words"] > 0
    assert by_rule["rows"][0].keys() >= {"url", "rule", "value", "bound", "text"}
    by_words = client.get(f"{RUN}/documents", params={"words": "LOREM IPSUM"}).json()
    assert by_words["total"] == dropped["c4"]["c4/lorem_ipsum"] > 0
    nothing = client.get(f"{RUN}/documents", params={"words": ".*"}).json()
    assert nothing == {"rows": [], "total": 0, "page": 0, "page_rows": PAGE_ROWS}


def test_the_quarantine_is_shown_with_its_causes(client: httpx.Client) -> None:
    answer = client.get(f"{RUN}/documents", params={"which": "quarantine"}).json()
    causes = client.get(f"{RUN}/files/stats.json").json()["causes"]
    assert answer["total"] == sum(causes.values()) > 0
    assert all(kind_of_cause(row["cause"]) in causes for row in answer["rows"])


def test_the_words_of_every_rule_step_and_score_are_served(client: httpx.Client) -> None:
    words = client.get("/api/words").json()
    assert [rule["name"] for rule in words["rules"]] == list(RULES)
    assert {row["step"] for row in client.get(f"{RUN}/files/stats.json").json()["funnel"]} <= {
        step["name"] for step in words["steps"]
    }
    assert all(part["title"] and part["says"] for kind in words.values() for part in kind)


def test_every_number_of_a_report_has_a_sentence(client: httpx.Client) -> None:
    report = client.get(f"/api/runs/{RUN_OF['eval']}/files/report.json").json()
    scores = {score["name"] for score in client.get("/api/words").json()["scores"]}
    numbers = {name for name, value in report.items() if isinstance(value, float)}
    assert len(numbers) > 10 and numbers <= scores


@pytest.mark.parametrize("text", ["", "The mill.", "naïve 水車 👩‍🔬\r\n\t", "<|im_end|><script>", "a" * 3000])
def test_the_tokens_of_a_text_are_its_bytes_in_order(client: httpx.Client, text: str) -> None:
    body = {"text": text, "run": RUN_OF["tokenizer"]}
    answer = client.post("/api/tokenizer/explain", json=body).json()
    assert b"".join(bytes.fromhex(token["bytes"]) for token in answer["tokens"]) == text.encode()
    assert answer["bytes"] == len(text.encode())


def test_a_token_tells_what_it_was_made_of(client: httpx.Client) -> None:
    body = {"text": "the the", "run": RUN_OF["tokenizer"]}
    tokens = client.post("/api/tokenizer/explain", json=body).json()["tokens"]
    assert any(token["left"] + token["right"] == token["text"] for token in tokens if "left" in token)


def test_a_token_has_a_tree_of_merges_down_to_its_bytes(client: httpx.Client) -> None:
    run = RUN_OF["tokenizer"]
    tokens = client.post("/api/tokenizer/explain", json={"text": "the the", "run": run}).json()["tokens"]
    token = max(tokens, key=lambda one: one["end"] - one["start"])
    tree = client.post("/api/tokenizer/tree", json={"id": token["id"], "run": run}).json()
    assert token["branch"] == "letters" and tree["text"] == token["text"]
    assert "".join(part["text"] for part in tree["parts"]) == tree["text"]
    assert client.post("/api/tokenizer/tree", json={"id": 10**6, "run": run}).status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"text": 7}, {"text": "x" * 20_001}, {"text": "x", "run": "../.."}, {"text": "x", "other": 1}]
)
def test_bad_questions_to_the_tokenizer_get_a_clear_error(client: httpx.Client, body: dict[str, object]) -> None:
    answer = client.post("/api/tokenizer/explain", json=body)
    assert answer.status_code in (400, 404, 422)
    assert answer.json()["error"]["message"]


def test_the_stream_tells_all_first_and_then_only_what_is_new(client: httpx.Client, finished: Replay) -> None:
    position, first = stream(client)
    kinds = {event["kind"] for event in first["events"]}
    assert kinds >= {"start", "funnel", "example", "merge", "metric", "sample", "score", "done"}
    assert [entry["status"] for entry in first["line"]["stages"]] == ["done"] * 7
    finished.write({"t": time.time(), "stage": "eval", "kind": "note", "text": "one more"})
    _, second = stream(client, position)
    assert [event["text"] for event in second["events"]] == ["one more"]


@pytest.mark.parametrize(
    "position", ["nonsense", f"{RUN_OF['corpus']}=-1", "=", f"{RUN_OF['corpus']}=99999999999", "a=1,,b"]
)
def test_a_position_that_makes_no_sense_starts_afresh(client: httpx.Client, position: str) -> None:
    _, message = stream(client, position)
    assert RUN_OF["corpus"] in message["forget"]


def test_with_a_key_only_the_pages_own_files_are_open(finished: Replay) -> None:
    server = RunningStudio(finished.runs, api_key="secret")
    try:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            assert client.get("/").status_code == client.get("/static/js/main.js").status_code == 200
            for path in ("/api/studio", "/api/lines", "/api/events?line=demo", f"{RUN}/documents", "/api/chat"):
                assert client.get(path).status_code == 401
                with client.stream("GET", path, headers={"Authorization": "Bearer secret"}) as response:
                    assert response.status_code == 200
    finally:
        server.stop()


def test_a_model_without_runs_has_a_tokenizer_and_a_chat_but_no_lines(finished: Replay) -> None:
    server = RunningStudio(None, finished.folder("sft") / "model")
    try:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            about = {"runs": False, "line": None, "model": True, "key_needed": False}
            assert client.get("/api/studio").json() == about
            assert client.get("/api/lines").status_code == 404
            assert client.post("/api/tokenizer/explain", json={"text": "hello"}).json()["tokens"]
            assert client.get("/api/chat").json()["state"] in ("loading", "ready")
    finally:
        server.stop()


def test_a_model_out_of_a_line_is_shown_with_that_line(finished: Replay) -> None:
    server = RunningStudio(finished.runs, finished.folder("sft") / "model")
    try:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            assert client.get("/api/studio").json()["line"] == "demo"
            assert client.get("/api/lines").json()["lines"][0]["report"] == RUN_OF["eval"]
    finally:
        server.stop()


def test_a_model_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    server = RunningStudio(None, tmp_path)
    try:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            for _ in range(200):
                answer = client.get("/api/chat").json()
                if answer["state"] != "loading":
                    break
            assert answer["state"] == "failed" and answer["text"]
    finally:
        server.stop()


def test_nothing_is_looked_up_for_a_reader_who_has_gone_on() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def asked() -> None:
        busy, request = threading.Event(), Request({"type": "http"}, gone)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(busy.wait)
            waiting = asyncio.create_task(answer(request, pool, lambda: pytest.fail("looked up")))
            await asyncio.sleep(0.01)
            busy.set()
            with pytest.raises(ApiError) as left:
                await waiting
        assert left.value.status == 499

    with ThreadPoolExecutor(1) as apart:  # in this thread a browser's loop may run
        apart.submit(asyncio.run, asked()).result()
