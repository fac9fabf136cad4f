"""A corpus whose inputs lie in an object store: the documents of the same files on disk, whatever fails on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from glassmill.corpus import corpus
from glassmill.corpus.read import cut as cutting
from glassmill.corpus.read.cut import END, Range
from glassmill.corpus.read.sources import read_pages
from glassmill.corpus.read.warc import MAX_RECORD_BYTES
from glassmill.recipe import FilesSettings
from glassmill.run.stores import client, spool
from glassmill.run.stores.stored import stored_files
from glassmill.run.worker import Link, load_function
from tests.corpus.pages import PAGES, article, write_warc
from tests.corpus.test_corpus import build, digests
from tests.corpus.test_cut import MAKERS, jsonl, nested_warc, pages_warc, parquet, plain_warc
from tests.line import contents
from tests.s3 import FAULTS, SECRET, Proxy, needs_server, proxied, upload, with_environment

pytestmark = [pytest.mark.slow, needs_server]
KILLS = int(os.environ.get("GLASSMILL_KILLS", "2"))
"""`GLASSMILL_KILLS=20` for the number in docs/log.md."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are cut, in all forms; files that are not; a hidden one and one that is not read."""
    folder = tmp_path_factory.mktemp("inputs")
    for make in (pages_warc, plain_warc, nested_warc, parquet, jsonl):
        make(folder)
    write_warc(folder / "sub" / "more.warc.gz", [member for _, member, _ in PAGES[:3]])
    (folder / "sub" / "notes.md").write_text(article(92))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8")
    (folder / ".hidden.txt").write_text(article(93))
    with zipfile.ZipFile(folder / "letters.zip", "w") as packed:
        packed.writestr("june.txt", article(94))
    return folder


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real tasks in this process, and small shards, so that a test can run many corpora."""

    def run_map(run: object, function: str, tasks: Sequence[Any], *rest: object) -> list[Any]:
        return [load_function(f"glassmill.corpus.{function}")(dict(task), Link()) for task in tasks]

    monkeypatch.setattr(corpus, "_map", run_map)
    monkeypatch.setattr(cutting, "LEAST_BYTES", 1500)
    monkeypatch.setattr(spool, "BLOCK_BYTES", 1000)


@pytest.mark.parametrize("name", MAKERS)
def test_a_range_of_an_object_gives_what_it_gives_on_disk(
    name: str, s3: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = MAKERS[name][0](tmp_path)
    client.put_file(path, f"s3://web/ranges/{path.name}")
    (file,) = stored_files(f"s3://web/ranges/{path.name}")
    monkeypatch.setattr(spool, "BLOCK_BYTES", 1 << 10)
    edge = path.stat().st_size // 3
    for begin, end in ((0, edge), (edge, 2 * edge), (2 * edge, END)):
        here, there = Range(begin, end, begin == 0), Range(begin, end, begin == 0)
        wanted = list(read_pages(path, path.name, MAX_RECORD_BYTES, FilesSettings(), here))
        assert list(read_pages(file, path.name, MAX_RECORD_BYTES, FilesSettings(), there)) == wanted
        assert (there.first, there.stop) == (here.first, here.stop)
    whole = list(read_pages(file, path.name))
    assert whole == list(read_pages(path, path.name))


@pytest.mark.usefixtures("in_process")
def test_a_hundred_faults_change_no_byte(s3: Callable[[str], None], s3_url: str, files: Path, tmp_path: Path) -> None:
    upload(files, "s3://web/mixed")
    words = ("corpus.shard_mb=0.003", "corpus.layers=false")
    build(tmp_path / "disk", [files], *words)
    wanted = digests(tmp_path / "disk")
    assert len(wanted) > 20
    rare = tuple(kind for kind in FAULTS if kind != "silent") * 5 + ("silent",)  # each takes a timeout
    with proxied(Proxy(s3_url, faults=100, share=0.5, kinds=rare)) as proxy:
        s3(proxy.url)
        for number in range(9):
            build(tmp_path / f"s3-{number}", ["s3://web/mixed/"], *words)
            assert digests(tmp_path / f"s3-{number}") == wanted
            if proxy.left <= 0:
                break
        assert proxy.met.total() == 100 and set(proxy.met) == set(FAULTS)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_killed_calls_continue_and_a_second_one_reads_nothing(
    s3: object, s3_url: str, files: Path, tmp_path: Path
) -> None:
    upload(files, "s3://web/killed-corpus")
    with proxied(Proxy(s3_url)) as proxy:

        def command(inputs: str, runs: str) -> list[str]:
            words = [f"corpus.inputs={inputs}", "name=killed", "corpus.workers=2", "corpus.shard_mb=0.01"]
            return [sys.executable, "-m", "glassmill", "corpus", "web", *words, "--runs", str(tmp_path / runs)]

        def call(inputs: str, runs: str) -> None:
            done = subprocess.run(
                command(inputs, runs), env=with_environment(proxy.url), capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            assert SECRET not in done.stdout + done.stderr

        begin = time.monotonic()
        call(str(files), "disk")
        took = time.monotonic() - begin
        chance, killed = random.Random(3), 0
        for _ in range(KILLS):
            process = subprocess.Popen(
                command("s3://web/killed-corpus/", "s3"), env=with_environment(proxy.url), start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            time.sleep(chance.uniform(0.3, 1.1) * took)
            killed += process.poll() is None
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.wait()
        call("s3://web/killed-corpus/", "s3")
        assert contents(tmp_path / "s3") == contents(tmp_path / "disk")
        assert killed or not KILLS
        before = proxy.asked.copy()
        call("s3://web/killed-corpus/", "s3")
        again = proxy.asked - before
        assert again.total() <= 4, "it lists, and that is all"
    print(f"{killed} of {KILLS} calls were killed at work")
