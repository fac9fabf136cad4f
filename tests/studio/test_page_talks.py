"""Conversations with a past: edited questions, answers tried again, kept under their names; and the notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.studio.conftest import RunningStudio, keep
from tests.studio.test_page_chat import answers, ask, opened

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)> </script> \u202e"


def sent_by(page: Page, path: str) -> list[Any]:
    """The bodies of the page's requests, as they are sent."""
    sent: list[Any] = []
    page.on("request", lambda request: path in request.url and sent.append(json.loads(request.post_data or "")))
    return sent


def last_question(page: Page) -> Any:
    return page.locator('.said[data-role="user"]').last


def test_an_edited_question_and_an_answer_tried_again_leave_the_old_ones_reachable(
    open_page: type, studio: RunningStudio, tmp_path: Path
) -> None:
    watched = opened(open_page, studio)
    page: Page = watched.page
    sent = sent_by(page, "completions")
    ask(page, "Who are you?")
    first = answers(page)
    ask(page, "hello")
    page.get_by_role("button", name="Edit").first.click()
    box = page.get_by_label("Edited question")
    expect(box).to_be_focused()
    box.press("Escape")
    expect(page.locator(".said")).to_have_count(4)
    page.get_by_role("button", name="Edit").first.click()
    box.fill("What is 3 plus 4?")
    box.press("Enter")
    expect(page.get_by_role("button", name="Try again")).to_be_visible(timeout=60_000)
    assert [said["content"] for said in sent[-1]["messages"]] == ["What is 3 plus 4?"]
    expect(page.locator(".said")).to_have_count(2)
    expect(page.locator(".versions")).to_have_text("‹ 2/2 ›")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".versions")).to_have_text(["‹ 2/2 ›", "‹ 2/2 ›"], timeout=60_000)
    page.reload()
    expect(page.locator(".versions")).to_have_text(["‹ 2/2 ›", "‹ 2/2 ›"])
    keep(page, "chat-versions", tmp_path)
    page.get_by_role("button", name="Earlier version").first.click()
    expect(page.locator(".said")).to_have_count(4)
    expect(last_question(page)).to_have_text("hello")
    assert answers(page)[0].splitlines()[0] == first[0].splitlines()[0]
    expect(page.get_by_role("button", name="Earlier version")).to_be_disabled()
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_an_answer_goes_on_from_another_token(open_page: type, studio: RunningStudio) -> None:
    page: Page = opened(open_page, studio).page
    sent = sent_by(page, "completions")
    ask(page, "What is 3 plus 4?")
    page.get_by_label("show how sure it was").check()
    page.locator(".sure-token").nth(1).click()
    other = page.locator(".others button").first
    word = other.inner_text().replace("␣", " ")
    start = page.locator(".sure-token").first.inner_text()
    other.click()
    expect(page.locator(".versions")).to_have_text("‹ 2/2 ›", timeout=60_000)
    assert sent[-1]["messages"][-1] == {"role": "assistant", "content": start + word}
    page.locator(".sure-token").nth(1).click()
    expect(page.locator('.other[data-taken="true"]')).to_contain_text(word.strip())


def test_settings_stand_behind_one_door_and_are_sent_as_the_api_names_them(
    open_page: type, studio: RunningStudio
) -> None:
    page: Page = opened(open_page, studio).page
    sent = sent_by(page, "completions")
    ask(page, "hello")
    assert not {"top_k", "top_p", "min_p", "seed", "max_tokens"} & set(sent[0])
    expect(page.get_by_label("Seed")).to_be_hidden()
    page.get_by_text("More settings").click()
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Temperature").fill("1")
    for label, value in (("Top-k", "5"), ("Top-p", "0.9"), ("Min-p", "0.05"), ("Seed", "7"), ("Max tokens", "2")):
        page.get_by_label(label).fill(value)
    expect(page.locator(".door .caption")).to_contain_text("The model stops after so many tokens")
    page.reload()
    expect(page.get_by_label("Your message")).to_be_enabled(timeout=60_000)
    ask(page, "Who are you?")
    wanted = {"top_k": 5, "top_p": 0.9, "min_p": 0.05, "seed": 7, "max_tokens": 2, "temperature": 1}
    assert {name: sent[-1][name] for name in wanted} == wanted
    assert sent[-1]["messages"][0] == {"role": "system", "content": "Be brief."}
    page.get_by_text("More settings").click()
    page.get_by_label("Top-p").fill("7")
    ask(page, "hello")
    assert "top_p" not in sent[-1]  # out of its bounds


def test_stop_ends_an_answer_at_once_and_keeps_what_was_written(open_page: type, studio: RunningStudio) -> None:
    page: Page = opened(open_page, studio).page
    page.route("**/v1/chat/completions", lambda route: None)  # an answer that never comes
    page.get_by_label("Your message").fill("hello")
    page.get_by_label("Your message").press("Enter")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".said-foot")).to_contain_text("stopped")
    page.unroute("**/v1/chat/completions")
    ask(page, "Who are you?")
    expect(page.locator(".said")).to_have_count(4)


def test_conversations_are_listed_named_saved_and_deleted(
    open_page: type, studio: RunningStudio, tmp_path: Path
) -> None:
    watched = opened(open_page, studio)
    page: Page = watched.page
    ask(page, "Who are you?")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".said")).to_have_count(0)
    ask(page, HOSTILE)
    page.get_by_text("This conversation").click()
    page.get_by_label("Name").fill("<b>mine</b>")
    page.get_by_label("Name").press("Enter")
    chosen = page.get_by_label("Conversation", exact=True).locator("option")
    expect(chosen).to_have_text(["<b>mine</b>", "Who are you?"])
    for name in ("JSON", "Markdown"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save as {name}").click()
        saved.value.save_as(tmp_path / name)
    told = json.loads((tmp_path / "JSON").read_text(encoding="utf-8"))
    assert told["title"] == "<b>mine</b>" and told["messages"][0] == {"role": "user", "content": HOSTILE.strip()}
    assert (tmp_path / "Markdown").read_text(encoding="utf-8").startswith("# <b>mine</b>\n\n**You**\n\n<img")
    page.reload()
    expect(last_question(page)).to_contain_text("onerror")
    page.get_by_text("This conversation").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".said")).to_have_count(2)
    page.get_by_role("button", name="Delete for good").click()
    expect(last_question(page)).to_have_text("Who are you?")
    page.reload()
    expect(page.get_by_label("Your message")).to_be_enabled(timeout=60_000)
    expect(page.get_by_label("Conversation", exact=True)).to_have_count(1)  # the log; one alone needs no list
    assert "onerror" not in page.evaluate("JSON.stringify(localStorage)")
    assert not watched.wrongs, "\n".join(watched.wrongs)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([{"role": "user", "content": "old"}, {"role": "assistant", "content": "answer", "busy": True}], 2),
        ({"said": [{"role": "user", "content": "damaged", "up": 7}], "at": 99}, 1),
        ({"said": [None, {"content": 5}], "at": "x"}, 0),
        ({"said": "none"}, 0),
        (7, 0),
    ],
)
def test_what_an_older_page_kept_or_nobody_wrote_is_no_trouble(
    open_page: type, studio: RunningStudio, kept: Any, said: int
) -> None:
    watched = opened(open_page, studio)
    page: Page = watched.page
    page.evaluate("kept => localStorage.setItem('glassmill-talk:demo', JSON.stringify(kept))", kept)
    page.reload()
    expect(page.get_by_label("Your message")).to_be_enabled(timeout=60_000)
    expect(page.locator(".said")).to_have_count(said)
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_another_tab_does_not_change_which_conversation_is_open(open_page: type, studio: RunningStudio) -> None:
    page: Page = opened(open_page, studio).page
    ask(page, "Who are you?")
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="New conversation").click()
    expect(other.locator(".said")).to_have_count(0)
    ask(page, "hello")
    expect(page.locator(".said")).to_have_count(4)
    ask(other, "hello")
    expect(other.locator(".said")).to_have_count(2)


def test_a_browser_without_room_says_so_and_goes_on(open_page: type, studio: RunningStudio) -> None:
    page: Page = opened(open_page, studio).page
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    ask(page, "Who are you?")
    expect(page.get_by_role("alert")).to_contain_text("no room for this conversation")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".said")).to_have_count(0)
    ask(page, "hello")
    page.get_by_label("Conversation", exact=True).first.select_option("Who are you?")
    expect(last_question(page)).to_have_text("Who are you?")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_notebook_goes_on_forks_and_takes_back(
    open_page: type, studio: RunningStudio, tmp_path: Path, width: int, scheme: str
) -> None:
    watched = open_page(studio.url, view="notebook", width=width, scheme=scheme)
    page: Page = watched.page
    text = page.get_by_label("Text", exact=True)
    text.fill("The town has a mill.")
    page.get_by_text("More settings").click()
    page.get_by_label("Max tokens").fill("6")
    page.get_by_label("Temperature").fill("0")
    sent = sent_by(page, "completions")
    page.get_by_role("button", name="Continue").click()
    tokens = page.locator(".sure-token")
    expect(tokens.first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Continue")).to_be_enabled(timeout=60_000)
    assert sent[0]["prompt"] == "The town has a mill." and sent[0]["max_tokens"] == 6
    written = text.input_value()
    assert written.startswith("The town has a mill.") and len(written) > 20
    tokens.first.click()
    other = page.locator(".others button").first
    word = other.inner_text().replace("␣", " ")
    other.click()
    expect(text).not_to_have_value(written)
    expect(page.get_by_role("button", name="Continue")).to_be_visible(timeout=60_000)
    assert sent[1]["prompt"] == "The town has a mill." + word
    keep(page, f"notebook-{width}-{scheme}", tmp_path)
    page.get_by_role("button", name="Take back").click()
    expect(text).to_have_value(written)
    page.get_by_role("button", name="Take back").click()
    expect(text).to_have_value("The town has a mill.")
    page.get_by_role("button", name="Try again").is_disabled()
    page.reload()
    expect(text).to_have_value("The town has a mill.")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not watched.wrongs, "\n".join(watched.wrongs)


def test_the_notebook_stops_and_says_why_it_does_not_go_on(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view="notebook").page
    text = page.get_by_label("Text", exact=True)
    text.fill("x" * 3000)
    text.press("Control+Enter")
    expect(page.locator(".notebook > .caption")).to_contain_text("It did not go on:", timeout=60_000)

    def never(route: Route) -> None: ...

    page.route("**/v1/completions", never)
    text.press("Control+Enter")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".notebook > .caption")).to_have_text("Stopped.")
    expect(text).to_have_value("x" * 3000)
