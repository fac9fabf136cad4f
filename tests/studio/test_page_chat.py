"""The chat box goes on, whatever it is asked and however long."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.studio.conftest import RunningStudio, keep

pytestmark = pytest.mark.slow

QUESTIONS = ["Who are you?", "What is 3 plus 4?", "Where does Ada live?", "hello", "And what is 5 plus 5?"]


def opened(open_page: type, studio: RunningStudio, **options: Any) -> Any:
    watched = open_page(studio.url, view="chat", **options)
    expect(watched.page.get_by_label("Your message")).to_be_enabled(timeout=60_000)
    return watched


def ask(page: Page, question: str) -> None:
    said = page.locator('.said[data-role="assistant"]')
    before, box = said.count(), page.get_by_label("Your message")
    box.fill(question)
    box.press("Enter")
    expect(said).to_have_count(before + 1)  # the last answer's button is still there until then
    expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)


def answers(page: Page) -> list[str]:
    return page.locator('.said[data-role="assistant"]').all_inner_texts()


def test_a_hundred_questions_in_one_conversation_are_all_answered(
    open_page: type, studio: RunningStudio, tmp_path: Any
) -> None:
    watched = opened(open_page, studio)
    page: Page = watched.page
    for number in range(100):
        ask(page, QUESTIONS[number % len(QUESTIONS)])
    said = answers(page)
    assert len(said) == 100 and not [text for text in said if "not answered" in text]
    assert page.locator(".left-note").count() == 1
    out = page.locator('.said[data-role="user"][data-out="true"]').count()
    assert 90 < out < 100
    expect(page.locator(".left-note")).to_contain_text(f"no longer sees the {out} questions above, nor their answers")
    expect(page.get_by_role("meter", name="Context used")).to_have_attribute("aria-valuemax", "64")
    assert not watched.wrongs, "\n".join(watched.wrongs)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_old_turns_leave_and_a_failed_turn_is_forgotten(
    open_page: type, studio: RunningStudio, tmp_path: Any, width: int, scheme: str
) -> None:
    watched = opened(open_page, studio, width=width, scheme=scheme)
    page: Page = watched.page
    sent: list[Any] = []
    page.on(
        "request", lambda request: "completions" in request.url and sent.append(json.loads(request.post_data or ""))
    )
    for question in QUESTIONS:  # how many fit depends on how long the small model's answers are
        ask(page, question)
        if page.locator(".left-note").count():
            break
    expect(page.locator(".left-note")).to_be_visible()
    ask(page, "x" * 3000)
    expect(page.locator(".said-foot").last).to_contain_text("not answered: the last message is too long")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ask(page, "hello")
    contents = [said["content"] for said in sent[-1]["messages"]]
    assert contents[-1] == "hello" and "x" * 3000 not in contents and QUESTIONS[0] not in contents
    roles = [said["role"] for said in sent[-1]["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    keep(page, f"chat-full-{width}-{scheme}", tmp_path)
    assert not [wrong for wrong in watched.wrongs if "400" not in wrong]


def stream(text: list[str], **more: Any) -> str:
    use = {"length": 64, "prompt_tokens": 20, "turns_left": 0, "messages_left": 0}
    chunks: list[dict[str, Any]] = [{"context": use, "choices": [{"index": 0, "delta": {"role": "assistant"}}]}]
    chunks += [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in text]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], **more})
    chunks.append({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 44, "total_tokens": 64}})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def test_an_answer_that_was_cut_says_so_and_can_be_continued(open_page: type, studio: RunningStudio) -> None:
    page: Page = opened(open_page, studio).page
    sent: list[Any] = []

    def answer(route: Route) -> None:
        sent.append(json.loads(route.request.post_data or ""))
        begun = len(sent) == 1
        route.fulfill(body=stream(["One ", "two"] if begun else [" three"]), content_type="text/event-stream")

    page.route("**/v1/chat/completions", answer)
    ask(page, "Count.")
    foot = page.locator(".said-foot")
    expect(foot).to_contain_text("cut: the context of 64 tokens is full")
    expect(page.get_by_role("meter", name="Context used")).to_have_attribute("aria-valuetext", "64 of 64 tokens")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator('.said[data-role="assistant"] .markdown')).to_have_text("One two three")
    assert [said["content"] for said in sent[1]["messages"]] == ["Count.", "One two"]
    assert sent[0]["truncation"] == "auto"


def test_the_token_that_was_drawn_is_in_the_list_at_the_share_it_had(open_page: type, studio: RunningStudio) -> None:
    page: Page = opened(open_page, studio).page
    page.get_by_label("show how sure it was").check()
    for temperature, mode in (("0", "raw_logprobs"), ("1.5", "processed_logprobs")):
        page.get_by_label("Temperature").fill(temperature)
        with page.expect_request("**/v1/chat/completions") as caught:
            ask(page, "What is 3 plus 4?")
        assert json.loads(caught.value.post_data or "")["logprobs_mode"] == mode
        tokens = page.locator('.said[data-role="assistant"]').last.locator(".sure-token")
        for i in range(min(6, tokens.count())):
            tokens.nth(i).click()
            others = page.locator(".others").last
            expect(others.locator('.other[data-taken="true"]')).to_have_count(1)
            shares = [float(re.sub("[^0-9.]", "", text)) for text in others.locator(".number").all_inner_texts()]
            assert sum(shares) == pytest.approx(100, abs=3.5)
        words = "temperature 0 always writes the largest" if mode == "raw_logprobs" else "at temperature 1.5"
        expect(page.locator(".others .caption").last).to_contain_text(words)


def test_an_answer_from_documents_shows_the_passage_that_holds_it(open_page: type, studio: RunningStudio) -> None:
    watched = opened(open_page, studio)
    page: Page = watched.page
    cited = {"document": "bread.md", "section": "", "start": 9, "end": 80, "score": 2.5, "support": 0.75}
    text = "A loaf of <b>rye</b> needs ninety minutes."

    def answer(route: Route) -> None:
        delta = {"content": "Ninety minutes.", "citations": [{**cited, "text": text}]}
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}
        route.fulfill(body=f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")

    page.route("**/v1/chat/completions", answer)
    ask(page, "How long?")
    passage = page.locator('.said[data-role="assistant"] .sources')
    expect(passage).to_contain_text("bread.md (75 % of the answer's words)")
    expect(passage.locator(".excerpt")).to_be_hidden()
    passage.locator("summary").click()
    expect(passage.locator(".excerpt")).to_have_text(text)
    assert not watched.wrongs, "\n".join(watched.wrongs)
