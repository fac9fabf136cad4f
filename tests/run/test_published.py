"""Runs in an object store: seen whole or not at all, and checked file by file when they come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.recipe import make_recipe
from glassmill.run.finished import is_done, run_damage
from glassmill.run.folder import Identity, open_run
from glassmill.run.given import prepared
from glassmill.run.hashes import hash_files
from glassmill.run.inputs import input_files
from glassmill.run.names import find_folder
from glassmill.run.published import pull, push
from glassmill.run.stores import client, persistence
from glassmill.run.stores.address import PUBLISHED, UPLOADING
from tests.s3 import SECRET, Proxy, needs_server, proxied, with_environment

pytestmark = [pytest.mark.slow, needs_server]


def finished_run(runs: Path, name: str = "demo", content: bytes = b"text") -> Path:
    """A small finished run of the tokens stage."""
    identity = Identity("tokens", 1, {"n": name}, {"corpus": content.hex()})
    path = runs / "tokens" / f"{name}-{identity.digest[:6]}"
    with open_run(path, identity, make_recipe({"name": name})) as run:
        for number in range(12):
            run.shard_path(f"ids-{number:05d}.bin").write_bytes(content * (number + 1) * 40_000)
        (path / "index.json").write_text("{}")
        run.finish({"tokens": 12})
    return path


def test_a_run_is_seen_whole_or_not_at_all_whatever_fails(
    s3: Callable[[str], None], s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(tmp_path / "runs")
    with proxied(Proxy(s3_url, faults=10**6, share=0.5, kinds=("503", "torn", "reset"))) as proxy:
        s3(proxy.url)
        monkeypatch.setattr(persistence, "TRIES", 2)
        failures = 0
        while failures < 40:
            try:
                moved = push(run, "s3://web/torn")
                break
            except UserError as error:
                failures += 1
                assert "2 times in a row" in str(error) and SECRET not in str(error)
            monkeypatch.setattr(persistence, "TRIES", 8)
            with pytest.raises(UserError, match="no published run at"):
                pull(f"s3://web/torn/tokens/{run.name}", tmp_path / "none")
            monkeypatch.setattr(persistence, "TRIES", 2)
        proxy.share = 0.2
        monkeypatch.setattr(persistence, "TRIES", 8)
        moved = push(run, "s3://web/torn")
        assert moved["new"] == 0 and failures
        folder, moved = pull(moved["run"], tmp_path / "there")
        assert (folder.name, moved["new"]) == (run.name, moved["files"]) and not run_damage(folder, again=True)
        assert proxy.met.total() > 20
    s3(s3_url)
    assert pull(f"s3://web/torn/tokens/{run.name}", tmp_path / "there")[1]["new"] == 0
    (folder / "index.json").write_text("damage")
    assert pull(f"s3://web/torn/tokens/{run.name}", tmp_path / "there")[1]["new"] and not run_damage(folder)
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()} - {"lock"}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == names
    with pytest.raises(UserError, match=rf"holds a pushed run; `glassmill pull s3://web/torn/tokens/{run.name}`"):
        input_files(["s3://web/torn/"])
    given = make_recipe({"given": {"tokens": f"s3://web/torn/tokens/{run.name}"}})
    assert prepared(given, tmp_path / "third").given["tokens"] == str(tmp_path / "third" / "tokens" / run.name)


def test_killed_pushes_leave_nothing_to_see_and_are_continued(s3: object, s3_url: str, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "runs", content=os.urandom(20))
    code = (
        "import sys; from pathlib import Path; from glassmill.run import published\n"
        "def told(done, total):\n"
        "    if done >= total * float(sys.argv[3]): import os; os.kill(os.getpid(), 9)\n"
        "published.AT_ONCE = 2\n"
        "print(published.push(Path(sys.argv[1]), sys.argv[2], told)['new'])"
    )
    new = 0
    for share in (0.01, 0.3, 0.5, 2):
        command = [sys.executable, "-c", code, str(run), "s3://web/killed", str(share)]
        done = subprocess.run(command, env=with_environment(s3_url), capture_output=True, text=True)
        if share < 1:
            assert done.returncode == -signal.SIGKILL, done.stderr
            with pytest.raises(UserError, match="its push was cut off or is under way; push it again"):
                find_folder(f"s3://web/killed/tokens/{run.name}", tmp_path / "there", is_done, "run", "is finished")
        else:
            new = int(done.stdout)
    assert 0 < new < 10, "the last push continued the others"
    folder, _ = pull(f"s3://web/killed/tokens/{run.name}", tmp_path / "there")
    assert hash_files(sorted(folder.glob("shards/*"))) == hash_files(sorted(run.glob("shards/*")))
    left = {entry.address.rpartition("/")[2] for entry in client.entries_under("s3://web/killed/")}
    assert PUBLISHED in left and UPLOADING not in left


def test_what_another_push_left_is_deleted_and_another_run_stays(s3: object, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "runs")
    place = f"s3://web/other/tokens/{run.name}"
    client.put_bytes(b'{"run": "another"}', f"{place}/{UPLOADING}")
    shard = run / "shards" / "ids-00003.bin"
    client.put_bytes(bytes(shard.stat().st_size), f"{place}/shards/ids-00003.bin")
    client.put_bytes(b"left", f"{place}/shards/stray.bin")
    assert push(run, "s3://web/other/")["run"] == place
    folder, _ = pull(place, tmp_path / "there")
    assert not run_damage(folder, again=True) and not (folder / "shards" / "stray.bin").exists()

    other = finished_run(tmp_path / "more", content=b"other").rename(tmp_path / "more" / "tokens" / run.name)
    with pytest.raises(UserError, match="holds another run of that name"):
        push(other, "s3://web/other")
    with pytest.raises(UserError, match="is another run of that name; give another folder"):
        pull(place, tmp_path / "more")
    client.put_bytes(b"x" * shard.stat().st_size, f"{place}/shards/ids-00003.bin")
    with pytest.raises(UserError, match=r"ids-00003.bin has other bytes than were pushed"):
        pull(place, tmp_path / "last")
    assert not (tmp_path / "last" / "tokens" / run.name).exists()


def test_a_push_does_not_publish_over_files_that_another_one_has_begun_to_upload(s3: object, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "runs")
    place = f"s3://web/two/tokens/{run.name}"
    with pytest.raises(UserError, match="another push of this run is under way"):
        push(run, "s3://web/two", lambda done, total: client.put_bytes(b'{"run": "another"}', f"{place}/{UPLOADING}"))
    with pytest.raises(UserError, match="no published run at"):
        pull(place, tmp_path / "there")


def test_a_pull_replaces_no_run_that_came_while_its_files_did(s3: object, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "runs")
    place = push(run, "s3://web/came")["run"]
    work, whole = tmp_path / "work", tmp_path / "whole" / "tokens" / run.name
    begun = work / "tokens" / run.name
    with pytest.raises(UserError, match="is an unfinished run of that name"):
        pull(place, work, lambda done, total: begun.mkdir(exist_ok=True))
    assert begun.is_dir() and not list(begun.iterdir())
    inodes = []

    def finished(done: int, total: int) -> None:
        if not whole.exists():
            inodes.append(finished_run(tmp_path / "whole").stat().st_ino)

    assert pull(place, tmp_path / "whole", finished)[0] == whole and [whole.stat().st_ino] == inodes
    assert [path.name for path in whole.parent.iterdir()] == [run.name]


HOSTILE = {
    "outside the run": ("../../x", "/etc/x", "a/../../../x", "a\\..\\x", "C:x", "", "a//b", "./x"),
    "not shown": ("shards/new\nline", "\x1b[2J", "a\x00b", "no\u202esuch"),
    "too long": ("x" * 300, "a/" * 600 + "b"),
    "temporary": ("x.partial",),
    "a file and as a folder": ("index.json/inner",),
}


def test_a_hostile_name_writes_nothing(s3: object, tmp_path: Path) -> None:
    place = "s3://web/hostile/tokens/demo-123456"
    for line, names in HOSTILE.items():
        for name in names:
            files = {one: {"sha256": "0" * 64, "bytes": 1} for one in ("index.json", name)}
            listed = json.dumps({"run": "tokens/demo-123456", "content": "", "files": files})
            client.put_bytes(listed.encode(), f"{place}/{PUBLISHED}")
            with pytest.raises(UserError, match=line) as caught:
                pull(place, tmp_path / "runs")
            assert str(caught.value).isprintable()
    assert not list(tmp_path.iterdir())


def test_a_list_that_is_none_is_one_line(s3: object, tmp_path: Path) -> None:
    place = "s3://web/damaged/tokens/demo-123456"
    lists = [b"{", b"[]", b'{"run": 1}', b'{"run": "../up", "content": "", "files": {}}',
             b'{"run": "tokens/demo-123456", "content": "", "files": {"a": {"sha256": "0", "bytes": -1}}}']  # fmt: skip
    for data in lists:
        client.put_bytes(data, f"{place}/{PUBLISHED}")
        with pytest.raises(UserError) as caught:
            pull(place, tmp_path / "runs")
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
