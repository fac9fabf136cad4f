"""What a model learned from: the windows of a step, the answers of a round, and the pages as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from glassmill.recipe import Recipe
from glassmill.run import kinds
from glassmill.run.events import Entry, EventLog
from glassmill.run.folder import recipe_toml
from glassmill.studio.history import History
from tests.studio.conftest import RunningStudio, go, keep
from tests.studio.replay import RUN_OF, copy_recorded, encode_again

HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[31m" + "W" * 300
PRACTICE = "rl/demo-abc123"
WINDOW = f"/api/runs/{RUN_OF['sft']}/window"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded line with its ids; and two rounds of rl, as a line."""
    folder = tmp_path_factory.mktemp("learned")
    copy_recorded(folder)
    encode_again(folder)
    _practise(folder / PRACTICE)
    line = json.loads((folder / "lines" / "demo.json").read_text())
    stages = [{"stage": "rl", "status": "done", "run": PRACTICE}]
    (folder / "lines" / "practice.json").write_text(json.dumps({**line, "name": "practice", "stages": stages}))
    return folder


def _practise(folder: Path) -> None:
    (folder / "rollouts").mkdir(parents=True)
    (folder / "recipe.toml").write_text(recipe_toml(Recipe(name="demo")))
    log = EventLog(folder / "events.jsonl", "rl")
    log.emit(kinds.Start(PRACTICE, "abc123"))
    for number in range(2):
        log.emit(kinds.Score("reward", 0.25 + number / 2, number))
        log.emit(kinds.Rollouts(number, f"Who is it {number}?", ("Ada.", HOSTILE), (1.0, 0.0), (1.0, -1.0)))
    answers = [
        {"text": text, "calculations": [], "finished": True, "reward": reward, "advantage": 2 * reward - 1, "ids": [1]}
        for text, reward in (("Ada.", 1.0), (HOSTILE, 0.0))
    ]
    groups = [
        {"prompt": prompt, "kind": "job", "task": task, "learned": not task, "shown": bool(task), "answers": answers}
        for task, prompt in enumerate(("Who is it 1?", HOSTILE))
    ]
    (folder / "rollouts" / "round-00001.json").write_text(json.dumps(groups))
    log.emit(kinds.Done(1.0))
    log.close()


@pytest.fixture(scope="module")
def learned(runs: Path) -> Iterator[RunningStudio]:
    running = RunningStudio(runs)
    yield running
    running.stop()


@pytest.fixture
def client(learned: RunningStudio) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=learned.url, timeout=60) as client:
        yield client


# --- windows ----------------------------------------------------------------------------------------------------------


def test_a_window_comes_with_its_documents_and_losses(client: httpx.Client) -> None:
    window = client.get(WINDOW, params={"step": 9}).json()
    assert (window["train"], window["corpus"]) == (RUN_OF["train"], RUN_OF["corpus"])
    assert window["measured"] == [1, 2, 3, 5, 9, 17, 33] and len(window["then"]) == len(window["now"]) == 64
    assert 5 < sum(window["then"]) / 64 < 7
    way = {"shard": window["documents"][0]["shard"], "row": window["documents"][0]["row"]}
    found = client.get(f"/api/runs/{RUN_OF['corpus']}/way", params=way).json()
    assert found["url"] == window["documents"][0]["url"] and found["end"] == "kept"
    other = client.get(WINDOW, params={"step": 9, "row": 2}).json()
    assert other["then"] is None and other["mean"]["first"] <= 9 <= other["mean"]["last"]
    assert other["ids"] != window["ids"]


@pytest.mark.parametrize(
    ("path", "query", "status", "says"),
    [
        (WINDOW, {"step": 61}, 409, "the training's steps are 1 to 60"),
        (WINDOW, {"step": 1, "row": 9}, 409, "the training's rows are 1 to 8"),
        (WINDOW, {"step": 0}, 400, "greater than or equal to 1"),
        (f"/api/runs/{RUN_OF['corpus']}/window", {"step": 1}, 409, "is a run of the stage corpus"),
        (f"/api/runs/{PRACTICE}/window", {"step": 1}, 409, "is not finished yet"),
        ("/api/runs/train/demo-000000/window", {"step": 1}, 404, "no run named"),
        (f"/api/runs/{PRACTICE}/rollouts", {"step": 0}, 409, "has no answers of round 0"),
        (f"/api/runs/{PRACTICE}/rollouts", {"step": -1}, 400, "greater than or equal to 0"),
    ],
)
def test_what_no_step_learned_from_is_told(
    client: httpx.Client, path: str, query: dict[str, Any], status: int, says: str
) -> None:
    answer = client.get(path, params=query)
    assert answer.status_code == status and says in answer.text.replace('\\"', '"')


@pytest.mark.parametrize("text", ["[{}]", "[1]", "{", '[{"answers": [{"text": "no more"}]}]'])
def test_a_damaged_round_is_told(client: httpx.Client, runs: Path, text: str) -> None:
    path = runs / PRACTICE / "rollouts" / "round-00007.json"
    path.write_text(text)
    answer = client.get(f"/api/runs/{PRACTICE}/rollouts", params={"step": 7 * Recipe(name="demo").rl.updates})
    path.unlink()
    assert answer.status_code == 409 and "round-00007.json" in answer.text


def test_events_that_the_page_asks_for_are_not_kept_for_it() -> None:
    history = History()
    history.add(Entry(0.0, "train", kinds.Window(0, (1.0,))))
    assert history.entries() == []


@pytest.mark.slow
def test_the_windows_of_a_step_in_three_clicks_and_on_to_a_page_and_its_way(
    open_page: type, learned: RunningStudio, tmp_path: Path
) -> None:
    watched = open_page(learned.url, view="run/demo/home")
    page: Page = watched.page
    go(page, "Windows")  # the first click
    step = page.get_by_role("spinbutton", name="Step")
    step.fill("9")  # the second: into the field
    step.press("Enter")
    tokens = page.get_by_role("group", name="Tokens of window 1 of step 9")
    expect(tokens.get_by_role("button")).to_have_count(65)
    expect(page.locator("#windows .figures")).to_contain_text("before step 9 learned from it")
    keep(page, "windows", tmp_path)
    tokens.get_by_role("button").nth(11).click()
    expect(page.get_by_role("status").filter(has_text="guessed from the 11 before it")).to_contain_text(
        "step 9 it cost"
    )
    page.keyboard.press("ArrowRight")
    expect(page.locator(".token-facts")).to_contain_text("guessed from the 12 before it")
    assert "step=9" in page.url and "token=12" in page.url
    page.get_by_role("button", name="change since").click()
    page.reload()
    expect(page.get_by_role("button", name="change since")).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Its way through the filters").first.click()
    expect(page.locator(".trace-way dl").first).to_contain_text("Language")
    assert "step=9" in page.url  # what is opened does not lead away
    page.get_by_role("spinbutton", name="Window").fill("2")
    page.keyboard.press("Enter")
    expect(page.locator("#windows .figures")).to_contain_text("this one alone was not measured")
    page.get_by_role("link", name="The page among the documents").first.click()
    expect(page.locator(".find")).to_contain_text("0 dropped, 1 kept")
    assert not watched.wrongs, "\n".join(watched.wrongs)


@pytest.mark.slow
def test_when_the_ids_are_gone_the_page_says_so(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view="windows").page
    expect(page.get_by_role("alert")).to_contain_text("which the training read, is not here any more")


# --- rounds of rl -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_rounds_answers_are_shown_with_rewards_and_advantages(
    open_page: type, learned: RunningStudio, tmp_path: Path
) -> None:
    for width, scheme in ((1280, "light"), (390, "dark")):
        watched = open_page(learned.url, width, scheme, view="run/practice/practice")
        page: Page = watched.page
        rows = page.locator(".rollouts tbody tr")
        expect(page.locator(".rollouts .prompt")).to_have_text("Who is it 1?")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("Ada.")
        expect(rows.nth(0)).to_contain_text("1.00")
        expect(rows.nth(1)).to_contain_text("<img src=x onerror=alert(1)>")
        page.get_by_role("button", name="Next").click()
        expect(page.locator(".rollouts")).to_contain_text("(the task's own solution)")
        page.get_by_role("slider", name="Round").fill("0")
        expect(page.locator(".rollouts .prompt")).to_have_text("Who is it 0?")  # its file is gone; the event is there
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        keep(page, f"practice-{width}", tmp_path)
        wrongs = watched.wrongs_but("rollouts")
        assert not wrongs, "\n".join(wrongs)
