"""The page's list of runs: all of them with their sizes, two side by side, and an end that asks first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.studio.conftest import RunningStudio, keep
from tests.studio.replay import RUN_OF, copy_recorded


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningStudio]:
    """The studio over recorded runs that may be deleted."""
    copy_recorded(tmp_path / "runs")
    running = RunningStudio(tmp_path / "runs")
    yield running
    running.stop()


def post(studio: RunningStudio, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{studio.url}/api/runs/delete", json=body, headers=headers, timeout=20)


def test_runs_are_listed_with_their_sizes_and_lines(every_rule: RunningStudio) -> None:
    found = httpx.get(f"{every_rule.url}/api/runs", timeout=20).json()
    assert set(RUN_OF.values()) <= {entry["run"] for entry in found["runs"]}
    assert found["bytes"] == sum(entry["bytes"] for entry in found["runs"]) > 100_000
    assert {line["name"] for line in found["lines"]} == {"demo", "rules", "rules-loose"}


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ([("run", RUN_OF["train"]), ("run", RUN_OF["sft"])], 409, "runs of one stage can be compared"),
        ([("run", RUN_OF["train"])], 400, "at least 2 items"),
        ([("run", RUN_OF["train"]), ("run", "../../etc")], 404, "no run named"),
        ([("run", RUN_OF["train"]), ("run", "/etc")], 404, "no run named"),
    ],
)
def test_what_cannot_be_compared_is_told(
    every_rule: RunningStudio, query: list[tuple[str, str]], status: int, says: str
) -> None:
    answer = httpx.get(f"{every_rule.url}/api/runs/compare", params=query, timeout=20)
    assert answer.status_code == status and says in answer.text


def test_nothing_goes_that_was_not_confirmed(own: RunningStudio) -> None:
    assert own.runs is not None
    files = sorted(own.runs.rglob("*"))
    corpus = RUN_OF["corpus"]
    told = post(own, {"runs": [corpus]}).json()
    goes = [one["run"] for one in told["runs"]]
    assert not told["deleted"] and goes[0] == corpus and RUN_OF["train"] in goes and RUN_OF["miniweb"] not in goes
    refused = {
        "others depend": post(own, {"runs": [corpus], "confirmed": [corpus]}),
        "none chosen": post(own, {"runs": [], "confirmed": []}),
        "not a run": post(own, {"runs": ["corpus/../../x"], "confirmed": ["corpus/../../x"]}),
        "a path": post(own, {"runs": [str(own.runs)], "confirmed": goes}),
        "another page": post(own, {"runs": [corpus], "confirmed": goes}, origin="http://evil.example"),
        "another host": post(own, {"runs": [corpus], "confirmed": goes}, host="evil.example"),
    }
    assert {name: answer.status_code for name, answer in refused.items()} == {
        "others depend": 409, "none chosen": 400, "not a run": 404, "a path": 404, "another page": 403,
        "another host": 403,
    }  # fmt: skip
    assert sorted(own.runs.rglob("*")) == files
    assert post(own, {"runs": [corpus], "confirmed": goes}).json()["deleted"]
    assert not any((own.runs / run).exists() for run in goes) and (own.runs / RUN_OF["miniweb"]).is_dir()


def test_a_server_with_a_key_deletes_for_nobody_without_it(tmp_path: Path) -> None:
    copy_recorded(tmp_path)
    server = RunningStudio(tmp_path, api_key="open-sesame")
    try:
        body = {"runs": [RUN_OF["eval"]], "confirmed": [RUN_OF["eval"]]}
        assert post(server, body).status_code == 401 and (tmp_path / RUN_OF["eval"]).is_dir()
        assert post(server, body, authorization="Bearer open-sesame").json()["deleted"]
    finally:
        server.stop()


def second_demo(runs: Path) -> str:
    """A line like the recorded one, whose training read fewer steps at another rate; its name."""
    old, new = RUN_OF["train"], "train/demo-0f0f0f"
    (runs / new).mkdir()
    for path in (runs / old).iterdir():
        if path.is_file():
            text = path.read_text(encoding="utf-8").replace('"peak_lr": 0.01', '"peak_lr": 0.003')
            (runs / new / path.name).write_text(text, encoding="utf-8")
    line = (runs / "lines" / "demo.json").read_text(encoding="utf-8").replace(old, new)
    (runs / "lines" / "other.json").write_text(line, encoding="utf-8")
    return "other"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_two_runs_are_compared_and_one_is_deleted(
    open_page: type, own: RunningStudio, tmp_path: Path, width: int, scheme: str
) -> None:
    assert own.runs is not None
    second_demo(own.runs)
    watched = open_page(own.url, width, scheme, view="run/demo/runs")
    page: Page = watched.page
    page.get_by_label("Compare demo").check()
    page.get_by_label("Compare other").check()
    expect(page.get_by_role("heading", name="demo and other")).to_be_visible()
    expect(page.get_by_role("table", name="Settings that differ")).to_contain_text("train.peak_lr")
    expect(page.get_by_role("table", name="Report").get_by_role("row", name="Facts known")).to_contain_text("0 %")
    expect(page.get_by_role("table", name="Funnel").get_by_role("row", name="Documents kept")).to_contain_text("114")
    expect(page.get_by_role("slider", name="Loss of both against step").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    keep(page, f"runs-{width}-{scheme}", tmp_path)
    page.reload()
    expect(page.get_by_role("heading", name="demo and other")).to_be_visible()
    page.get_by_text("What the stages left").click()
    page.get_by_role("button", name=f"Delete {RUN_OF['eval']} …").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("Delete 1 folder")
    asked.get_by_role("button", name="Keep them").click()
    assert (own.runs / RUN_OF["eval"]).is_dir()
    page.get_by_role("button", name=f"Delete {RUN_OF['tokens']} …").click()
    expect(asked).to_contain_text(RUN_OF["train"])
    expect(asked).to_contain_text("made from")
    asked.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name=f"Delete {RUN_OF['tokens']} …")).to_have_count(0)
    assert not (own.runs / RUN_OF["tokens"]).exists() and not (own.runs / RUN_OF["train"]).exists()
    assert (own.runs / RUN_OF["corpus"]).is_dir()
    assert json.loads((own.runs / "lines" / "demo.json").read_text())["status"] == "done"
    assert not watched.wrongs, "\n".join(watched.wrongs)
