"""Run folders: equal work is never done twice, half work is never taken for whole."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import Recipe
from glassmill.run import kinds
from glassmill.run.events import EventLog, read_events
from glassmill.run.files import atomic_path, atomic_write
from glassmill.run.finished import content_digest, is_done, read_manifest, run_damage
from glassmill.run.folder import Identity, open_run
from glassmill.run.places import place

IDENTITY = Identity("corpus", 1, {"settings": {"bound": 3}}, {"web": "abc"})


def finish_one(path: Path, text: str = "content") -> None:
    with open_run(path, IDENTITY, Recipe()) as run:
        atomic_write(run.shard_path("a.bin"), text)
        run.emit(kinds.Progress(done=1, total=1))
        run.finish(stats={"seconds": 1}, counts={"documents": 1})


@pytest.mark.parametrize(
    "other",
    [
        Identity("tokens", 1, {"settings": {"bound": 3}}, {"web": "abc"}),
        Identity("corpus", 2, {"settings": {"bound": 3}}, {"web": "abc"}),
        Identity("corpus", 1, {"settings": {"bound": 4}}, {"web": "abc"}),
        Identity("corpus", 1, {"settings": {"bound": 3}}, {"web": "abd"}),
    ],
)
def test_stage_version_settings_and_inputs_each_change_the_folder(tmp_path: Path, other: Identity) -> None:
    assert place(tmp_path, "r", other) != place(tmp_path, "r", IDENTITY)


def test_a_finished_run_lists_its_artefacts_and_notices_damage(tmp_path: Path) -> None:
    finish_one(tmp_path / "r")
    assert is_done(tmp_path / "r") and run_damage(tmp_path / "r") == []
    assert list(read_manifest(tmp_path / "r")["files"]) == ["shards/a.bin"]
    (tmp_path / "r/shards/a.bin").write_text("changed")
    assert [one.name for one in run_damage(tmp_path / "r")] == ["shards/a.bin"]


def test_the_content_hash_depends_on_artefacts_alone(tmp_path: Path) -> None:
    finish_one(tmp_path / "one")
    finish_one(tmp_path / "two")
    finish_one(tmp_path / "three", "other content")
    one, two, three = (read_manifest(tmp_path / name)["content"] for name in ("one", "two", "three"))
    assert one == two != three
    assert content_digest({"a": "1", "b": "2"}) == content_digest({"b": "2", "a": "1"})


def test_an_unfinished_run_is_not_done_and_its_temporary_files_are_swept(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with pytest.raises(RuntimeError), open_run(path, IDENTITY, Recipe()) as run:
        (run.path / "shards").mkdir()
        (run.path / "shards/half.bin.123.partial").write_text("half")
        raise RuntimeError("killed")
    assert not is_done(path)
    with pytest.raises(UserError, match="is not a finished run"):
        read_manifest(path)
    with open_run(path, IDENTITY, Recipe()):
        assert list((path / "shards").iterdir()) == []


def test_a_second_process_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    finish_one(tmp_path / "r")
    with open_run(tmp_path / "r", IDENTITY, Recipe()), multiprocessing.get_context("spawn").Pool(1) as pool:
        assert "another glassmill process" in pool.apply(_open_again, (str(tmp_path / "r"),))


def _open_again(path: str) -> str:
    try:
        with open_run(Path(path), IDENTITY, Recipe()):
            return "opened"
    except UserError as error:
        return str(error)


def test_atomic_path_leaves_the_old_file_when_the_writer_fails(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="RLIMIT_FSIZE is POSIX")
def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    import resource
    import signal

    atomic_write(tmp_path / "a", "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(UserError, match="no space left while writing .*; free some and run the same command"):
            atomic_write(tmp_path / "a", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "a").read_text() == "old"


def test_a_torn_last_event_is_the_only_one_lost(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, "train")
    log.emit(kinds.Note("lone \ud800 surrogate"))
    log.close()
    with path.open("a") as file:
        file.write('{"t": 1, "kind": "met')
    log = EventLog(path, "train")
    log.emit(kinds.Validation(2, 1.5))
    log.close()
    first, torn, last = [entry.event for entry in read_events(path)]
    assert first == kinds.Note("lone \ud800 surrogate")
    assert isinstance(torn, kinds.Unknown)
    assert last == kinds.Validation(2, 1.5)


def test_a_run_that_an_older_glassmill_finished_is_still_finished(tmp_path: Path) -> None:
    finish_one(tmp_path / "r")
    manifest = json.loads((tmp_path / "r/manifest.json").read_text())
    del manifest["computed"]
    (tmp_path / "r/manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "r/DONE").write_text(manifest["content"] + "\n")
    assert run_damage(tmp_path / "r") == []
