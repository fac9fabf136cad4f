"""Following the runs folder while others write into it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.studio.history import MAX_SLOTS, NEWEST, SERIES, History
from glassmill.studio.watch import Watcher
from tests.studio.replay import Replay

OUTSIDE = [
    "../secret",
    "corpus/../../secret",
    "corpus/..",
    "corpus/.hidden",
    "/etc/passwd",
    "corpus//etc",
    "corpus/a/b",
    "lines/demo",
    "corpus/",
    "corpus",
    "",
    "corpus/%2e%2e",
    "corpus/a\x00",
    "corpus/\u2025",
    "corpus\\demo",
    "secret/demo",
]


def write_lines(path: Path, *events: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_a_page_that_comes_back_hears_exactly_what_it_missed(tmp_path: Path) -> None:
    line = Replay(tmp_path)
    begin, *rest = (event for event in line.events() if event["stage"] == "miniweb")
    line.status["miniweb"] = "running"
    line.write(begin)
    line.write_line()
    watcher = Watcher(tmp_path)
    first = watcher.look("demo")
    assert first is not None and first.forget == [line.run_of["miniweb"]]
    for event in rest:
        line.write(event)
    second = watcher.look("demo", first.position)
    assert second is not None
    assert [event.entry.event for event in second.events] == [kinds.from_json(event) for event in rest] and len(
        rest
    ) > 2
    assert second.forget == []
    third = watcher.look("demo", second.position)
    assert third is not None and third.events == []


def test_a_file_that_became_shorter_is_told_anew(tmp_path: Path) -> None:
    line = Replay(tmp_path)
    begin, *rest = (event for event in line.events() if event["stage"] == "miniweb")
    line.status["miniweb"] = "running"
    line.write(begin)
    line.write(rest[0])
    line.write_line()
    watcher = Watcher(tmp_path)
    first = watcher.look("demo")
    assert first is not None
    (line.folder("miniweb") / "events.jsonl").unlink()
    line.write(begin)
    second = watcher.look("demo", first.position)
    assert second is not None
    assert second.forget == [line.run_of["miniweb"]]
    assert [event.entry.event.kind for event in second.events] == ["start"]


@pytest.mark.parametrize("run", OUTSIDE)
def test_no_name_leads_out_of_the_runs(tmp_path: Path, run: str) -> None:
    runs = tmp_path / "runs"
    (runs / "corpus" / "demo-3f9a1c").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    assert Watcher(runs).run_folder(run) is None


def test_a_link_out_of_the_runs_is_not_followed(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "corpus").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (runs / "corpus" / "demo-3f9a1c").symlink_to(tmp_path / "secret")
    assert Watcher(runs).run_folder("corpus/demo-3f9a1c") is None


def test_runs_made_one_command_at_a_time_form_a_line_of_their_newest(tmp_path: Path) -> None:
    for stage in ("corpus", "tokenizer"):
        write_lines(tmp_path / stage / "web-aaaaaa" / "events.jsonl", {"t": 1, "kind": "start"})
    for name in ("DONE", "manifest.json"):
        (tmp_path / "corpus" / "web-aaaaaa" / name).write_text("")
    watcher = Watcher(tmp_path)
    assert [line["name"] for line in watcher.lines()] == ["web"]
    line = watcher.line("web")
    assert line is not None
    states = {entry["stage"]: entry["status"] for entry in line["stages"]}
    assert (states["corpus"], states["tokenizer"], states["train"]) == ("done", "running", "waiting")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"stages": null}', b'{"stages": [7, {"run": "x"}]}']
)
def test_a_broken_line_file_breaks_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "demo.json").write_bytes(content)
    watcher = Watcher(tmp_path)
    watcher.lines()
    update = watcher.look("demo")
    assert update is None or update.events == []


def test_memory_of_a_run_is_bounded_and_keeps_both_ends_of_a_curve() -> None:
    history = History()
    for step in range(50_000):
        for event in (
            kinds.Validation(step, 1.0),
            kinds.Merge(step, "a", "b", "ab", 1, 1, 2),
            kinds.Example("http://a.example", kept=False, text="", step="url", rule=f"rule-{step}"),
            kinds.Progress(step),
        ):
            history.add(Entry(1.0, "train", event))
    events = [entry.event for entry in history.entries()]
    curve = [event.step for event in events if isinstance(event, kinds.Validation)]
    assert len(events) <= MAX_SLOTS * NEWEST[kinds.Example] + SERIES[kinds.Validation] + NEWEST[kinds.Merge] + 2
    assert curve == sorted(curve) and (curve[0], curve[-1]) == (0, 49_999)
    gaps = {later - earlier for earlier, later in pairwise(curve[:-1])}
    assert len(gaps) == 1, "the curve is thinned evenly"
    assert [event.done for event in events if isinstance(event, kinds.Progress)] == [49_999]
