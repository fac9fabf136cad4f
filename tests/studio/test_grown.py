"""The same text through the snapshots of a training: what the route tells is what the models compute."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from glassmill.infer.folder import load_folder
from glassmill.model.trace import trace
from glassmill.studio.grown import copied, induction_scores
from glassmill.train.snapshots import save_snapshot, snapshots
from tests.studio.conftest import RunningStudio, keep
from tests.studio.replay import RUN_OF, Replay

REPEATED = "mill river bread mill river bread"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """The studio over a line whose training left snapshots: its model's weights, growing from nothing."""
    line = Replay(tmp_path_factory.mktemp("grown"))
    line.play()
    folder = line.runs / RUN_OF["train"]
    shutil.copytree(line.runs / RUN_OF["sft"] / "model", folder / "model")  # of the recorded run it was left out
    model = load_folder(folder / "model").model
    whole = {name: weight.clone() for name, weight in model.state_dict().items()}
    for step, share in ((0, 0.1), (1, 0.4), (2, 0.7), (4, 1.0)):
        model.load_state_dict({name: share * weight for name, weight in whole.items()})
        save_snapshot(folder, model, step)
    running = RunningStudio(line.runs)
    yield running
    running.stop()


@given(st.lists(st.integers(0, 5), max_size=30))
def test_what_is_copied_followed_the_same_token_before(ids: list[int]) -> None:
    pairs = copied(ids)
    assert all(ids[place - 1] == ids[position] and place < position for position, place in pairs)
    again = [i for i in range(len(ids)) if ids[i] in ids[: max(0, i - 1)] and ids[i] != (ids[i - 1] if i else None)]
    assert {position for position, _ in pairs} >= set(again)


def test_a_head_that_always_copies_scores_one_and_one_that_never_does_zero() -> None:
    ids = [7, 8, 9, 7, 8, 9]
    weights_LNTS = np.zeros((1, 2, 6, 6), dtype=np.float32)
    weights_LNTS[0, 1, :, 0] = 1
    for position, place in ((3, 1), (4, 2), (5, 3)):
        weights_LNTS[0, 0, position, place] = 1
    assert induction_scores(weights_LNTS, ids).tolist() == [[1, 0]]
    assert not induction_scores(weights_LNTS[:, :, :3, :3], [1, 2, 3]).any()


def test_the_route_tells_what_every_snapshot_computes(grown: RunningStudio) -> None:
    folder = grown.runs / RUN_OF["train"]  # type: ignore[operator]
    loaded = load_folder(folder / "model")
    ids = [int(one) for one in loaded.tokenizer.encode(REPEATED)]
    url = f"{grown.url}/api/runs/{RUN_OF['train']}/grown"
    told = httpx.post(url, json={"tokens": ids, "query": 3}, timeout=60).json()
    assert told["steps"] == [0, 1, 2, 4] and told["copied"] == len(copied(ids)) > 0
    last = {name: weight.bfloat16().float() for name, weight in loaded.model.state_dict().items()}
    loaded.model.load_state_dict(last)
    with torch.inference_mode():
        seen = trace(loaded.model, ids, 1)
    assert np.allclose(told["attention"][-1], seen.attention_LNTS[:, :, 3, :4], atol=1e-3)
    best = told["best"]
    scores = induction_scores(seen.attention_LNTS, ids)
    assert best["scores"][-1] == pytest.approx(float(scores.max()), abs=1e-3)
    assert best["scores"][-1] == pytest.approx(float(scores[best["layer"], best["head"]]), abs=1e-3)
    assert len(told["says"]) == 4 and len(told["says"][0]["tokens"]) == loaded.config.num_layers + 1


@pytest.mark.parametrize(
    ("body", "status"),
    [({"tokens": [1], "query": 1}, 400), ({"tokens": [99999], "query": 0}, 409), ({"tokens": [], "query": 0}, 400)],
)
def test_a_text_that_is_none_is_refused(grown: RunningStudio, body: Any, status: int) -> None:
    answer = httpx.post(f"{grown.url}/api/runs/{RUN_OF['train']}/grown", json=body, timeout=60)
    assert answer.status_code == status


def test_a_text_whose_passes_would_fill_the_memory_is_refused(
    grown: RunningStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_folder(grown.runs / RUN_OF["train"] / "model").config  # type: ignore[operator]
    monkeypatch.setattr("glassmill.studio.grown.KEPT_BYTES", 4 * 4 * config.num_layers * config.num_heads * 3**2)
    url = f"{grown.url}/api/runs/{RUN_OF['train']}/grown"
    assert httpx.post(url, json={"tokens": [3, 4, 3], "query": 0}, timeout=60).status_code == 200
    answer = httpx.post(url, json={"tokens": [3, 4, 3, 4], "query": 0}, timeout=60)
    assert answer.status_code == 409 and "at most 3 can be followed through 4 snapshots" in answer.text


def test_a_damaged_snapshot_is_named_and_a_run_without_any_has_no_steps(grown: RunningStudio, tmp_path: Path) -> None:
    url = f"{grown.url}/api/runs"
    path = snapshots(grown.runs / RUN_OF["train"])[2]  # type: ignore[operator]
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    answer = httpx.post(f"{url}/{RUN_OF['train']}/grown", json={"tokens": [1, 2], "query": 0}, timeout=60)
    path.write_bytes(sound)
    assert answer.status_code == 409 and "step-00000002.safetensors is damaged" in answer.text
    bare = httpx.post(f"{url}/{RUN_OF['sft']}/grown", json={"tokens": [1, 2], "query": 0}, timeout=60)
    assert bare.json() == {"steps": []}


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_slider_goes_through_the_training(
    open_page: type, grown: RunningStudio, tmp_path: Path, width: int, scheme: str
) -> None:
    watched = open_page(grown.url, view="inside?as=text&prompt=" + quote("The town"), width=width, scheme=scheme)
    page: Page = watched.page
    growth = page.locator(".grown")
    expect(growth).to_contain_text("finds nothing here to copy", timeout=60_000)
    growth.get_by_role("button", name="Read a text that repeats itself").click()
    expect(growth).to_contain_text("have stood in this text before", timeout=60_000)
    slider = growth.get_by_role("slider", name="Step")
    expect(slider).to_have_attribute("aria-valuetext", "after step 4 of 4")
    asked: list[str] = []
    page.on("request", lambda request: request.url.endswith("/grown") and asked.append(request.url))
    slider.focus()
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "after step 2 of 4")
    assert "step=2" in page.url and not asked
    keep(page, f"inside-grown-{width}-{scheme}", tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not watched.wrongs, "\n".join(watched.wrongs)
