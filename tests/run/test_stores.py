"""Object stores: addresses hold no secret, requests survive faults, and runs are seen whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glassmill.errors import UserError
from glassmill.papers.chain import looked_at
from glassmill.recipe import make_recipe
from glassmill.run.folder import Identity, is_done, open_run, run_damage
from glassmill.run.given import prepared
from glassmill.run.hashes import hash_files
from glassmill.run.inputs import expand, input_files, record_inputs, recorded_inputs
from glassmill.run.names import find_folder
from glassmill.run.published import PUBLISHED, UPLOADING, pull, push
from glassmill.run.stores import client, persistence, web
from glassmill.run.stores.address import masked
from glassmill.run.stores.spool import copied, spooled
from glassmill.run.stores.stored import StoredFile, stored_files
from tests.s3 import SECRET, Proxy, environment, proxied, s3_server, with_environment

needs_server = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("s3fs", "moto", "flask"))), reason="pip install 'glassmill[s3,dev]'"
)


# --- without a server -------------------------------------------------------------------------------------------------


def test_nothing_of_a_store_is_imported_before_an_address_is() -> None:
    modules = "glassmill.cli, glassmill.pipeline, glassmill.corpus.corpus, glassmill.run.published"
    libraries = "'fsspec', 's3fs', 'botocore', 'aiohttp', 'requests'"
    code = f"import sys, {modules}; print([name for name in ({libraries}) if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("ftp://host/x", "no store of that kind is read; known: s3://, gs://"),
        ("s3://", "names no bucket; write s3://bucket/prefix/"),
        ("s3://KEY:TOP@bucket/x", r"'s3://\*\*\*@bucket/x' holds a secret.*AWS_ACCESS_KEY_ID"),
        ("https://host/a.gz?X-Amz-Signature=TOP&part=1", r"X-Amz-Signature=\*\*\*&part=1' holds a secret"),
        ("https://host/a.gz?sv=1&sig=TOP", r"sig=\*\*\*' holds a secret"),
        ("https://host/crawl/", "a web server lists no files"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_line_without_its_secret(address: str, line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        client.entries_under(address)
    assert "TOP" not in str(caught.value) and "\n" not in str(caught.value)


def test_secrets_are_masked_wherever_an_address_stands() -> None:
    text = "cannot read https://me:TOP@h/a?token=TOP&b=2 nor s3://k:TOP@b/c; AWSAccessKeyId=1 is no address"
    assert masked(text) == "cannot read https://***@h/a?token=***&b=2 nor s3://***@b/c; AWSAccessKeyId=1 is no address"
    plain = "https://host/a.warc.gz?part=2&download=true and s3://bucket/a@b/key=value.parquet"
    assert masked(plain) == plain


@pytest.mark.parametrize(("scheme", "package"), [("s3", "glassmill\\[s3\\]"), ("gs", "gcsfs"), ("az", "adlfs")])
def test_without_the_package_one_line_says_what_to_install(
    scheme: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.importlib.util, "find_spec", lambda name: None)
    client._store.cache_clear()
    with pytest.raises(UserError, match=f"{scheme}:// needs the package .*pip install .*{package}"):
        stored_files(f"{scheme}://bucket/x/")


def test_only_the_corpus_reads_from_stores() -> None:
    with pytest.raises(UserError, match="only corpus.inputs reads from stores; copy it here"):
        expand(["s3://bucket/conversations.jsonl"])


@pytest.mark.parametrize(
    ("error", "tries", "line"),
    [
        (FileNotFoundError("x"), 1, "no such file"),
        (PermissionError("Forbidden"), 1, "access denied .*AWS_ACCESS_KEY_ID"),
        (TimeoutError(), persistence.TRIES, "no answer within 30 s, 8 times in a row; run the same command again"),
        (ConnectionResetError("reset\nby peer"), persistence.TRIES, "reset by peer, 8 times in a row"),
    ],
)
def test_what_a_repetition_cannot_mend_is_said_at_once(
    error: Exception, tries: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.delenv("GLASSMILL_STORE_TIMEOUT_S", raising=False)
    monkeypatch.setattr(persistence.time, "sleep", pauses.append)
    calls = 0

    def request() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(UserError, match=line):
        persistence.persistently("s3://bucket/key", request)
    assert calls == tries and len(pauses) == tries - 1
    assert all(0.05 * 2**number <= pause <= 0.1 * 2**number for number, pause in enumerate(pauses))


@pytest.mark.parametrize("to", ["http://169.254.169.254/latest/", "http://localhost:1/", "ftp://host/", "http://host/"])
def test_a_redirect_leads_to_no_other_host_and_to_no_weaker_scheme(to: str) -> None:
    with pytest.raises(UserError, match="which is not followed"):
        web._followed("https://host/a", "https://host/a", to)
    assert web._followed("https://host/a", "https://host/a", "/b") == "https://host/b"


# --- with a server ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Proxy | str], None]]:
    """Points this process at a server, or at a proxy before it."""

    def use(to: Proxy | str) -> None:
        for name, value in environment(to if isinstance(to, str) else to.url).items():
            monkeypatch.setenv(name, value)
        client._store.cache_clear()

    use(server)
    yield use
    client._store.cache_clear()


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


@pytest.mark.slow
@needs_server
def test_files_of_a_store_are_listed_read_and_copied(s3: object, server: str, tmp_path: Path) -> None:
    keys = ["in/b.warc.gz", "in/a/z.txt", "in/a.txt", "in/.git/config", "in/sub/.hidden", "in/key with [odd] &=+ü.txt"]
    data = os.urandom(3_000_000)
    for key in keys:
        client.put_bytes(data, f"s3://web/{key}")
    found = input_files(["s3://web/in/"])
    assert [one.path.name for one in found] == ["z.txt", "a.txt", "b.warc.gz", "key with [odd] &=+ü.txt"]
    assert all(one.size == len(data) for one in found)
    assert [one.name for one in input_files(["s3://web/in/*.txt"])] == ["a.txt", "key with [odd] &=+ü.txt"]
    (file,) = stored_files("s3://web/in/b.warc.gz")
    assert isinstance(file, StoredFile)
    with file.open() as opened:
        opened.seek(1_999_999)
        assert opened.read(10) == data[1_999_999:2_000_009] and opened.read() == data[2_000_009:]
    with spooled(file, 1 << 40) as here, here.map() as mapped, here.open() as opened:
        assert mapped[2_500_000:2_500_010] == data[2_500_000:2_500_010] and here._have == {2}
        assert mapped.find(data[700_000:700_030]) == 700_000
        opened.seek(-5, os.SEEK_END)
        assert opened.read() == data[-5:] and here.stat().st_size == len(data)
    with copied(file) as path:
        assert path.read_bytes() == data and path.name == "b.warc.gz"
    assert not path.exists()

    on_web_address = f"{server}/web/in/b.warc.gz"  # the same server, as a web server
    with pytest.raises(UserError, match="access denied"):
        stored_files(on_web_address)
    client._store("s3").chmod("web/in/b.warc.gz", "public-read")
    (on_web,) = stored_files(on_web_address)
    assert isinstance(on_web, StoredFile) and (on_web.size, on_web.etag) == (file.size, file.etag)
    assert on_web.read_range(1_000_000, 1_000_050) == data[1_000_000:1_000_050]

    client.put_bytes(b"another", file.address)
    with pytest.raises(UserError, match="was changed since it was listed"):
        file.read_range(0, 5)
    with pytest.raises(UserError, match="names no file in the store"):
        stored_files("s3://web/nothing/")


@pytest.mark.slow
@needs_server
def test_an_audit_asks_the_store_whether_an_input_is_still_the_one_that_was_read(
    s3: Callable[[Proxy | str], None], tmp_path: Path
) -> None:
    for name in ("same", "changed", "gone"):
        client.put_bytes(name.encode(), f"s3://web/audit/{name}.txt")
    (tmp_path / "here.txt").write_text("here")
    words = ["s3://web/audit/", str(tmp_path / "here.txt")]
    record_inputs(tmp_path, {"corpus.inputs": input_files(words)})
    client.put_bytes(b"another", "s3://web/audit/changed.txt")
    client.delete(["s3://web/audit/gone.txt"])
    told = {row["name"]: how for row, how in looked_at(list(recorded_inputs(tmp_path)))}
    assert told == {
        "same.txt": "", "here.txt": "", "changed.txt": "is another one than was read", "gone.txt": "is missing"
    }  # fmt: skip


@pytest.mark.slow
@needs_server
def test_a_run_is_seen_whole_or_not_at_all_whatever_fails(
    s3: Callable[[Proxy | str], None], server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(tmp_path / "runs")
    with proxied(Proxy(server, faults=10**6, share=0.5, kinds=("503", "torn", "reset"))) as proxy:
        s3(proxy)
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
    s3(server)
    assert pull(f"s3://web/torn/tokens/{run.name}", tmp_path / "there")[1]["new"] == 0
    (folder / "index.json").write_text("damage")
    assert pull(f"s3://web/torn/tokens/{run.name}", tmp_path / "there")[1]["new"] and not run_damage(folder)
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()} - {"lock"}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == names
    given = make_recipe({"given": {"tokens": f"s3://web/torn/tokens/{run.name}"}})
    assert prepared(given, tmp_path / "third").given["tokens"] == str(tmp_path / "third" / "tokens" / run.name)


@pytest.mark.slow
@needs_server
def test_killed_pushes_leave_nothing_to_see_and_are_continued(s3: object, server: str, tmp_path: Path) -> None:
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
        done = subprocess.run(command, env=with_environment(server), capture_output=True, text=True)
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


@pytest.mark.slow
@needs_server
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


HOSTILE = {
    "outside the run": ("../../x", "/etc/x", "a/../../../x", "a\\..\\x", "C:x", "", "a//b", "./x"),
    "not shown": ("shards/new\nline", "\x1b[2J", "a\x00b", "no\u202esuch"),
    "too long": ("x" * 300, "a/" * 600 + "b"),
    "temporary": ("x.partial",),
    "a file and as a folder": ("index.json/inner",),
}


@pytest.mark.slow
@needs_server
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


@pytest.mark.slow
@needs_server
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
