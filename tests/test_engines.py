"""The corpus stage on every engine, with workers, parents and nodes lost on the way: always the same hashes.

Half of it needs Ray (`pip install 'glassmill[ray]'`); the cluster of two network namespaces needs root and iproute2.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from tests.line import contents, glassmill, quiet_environment
from tests.s3 import environment, needs_server, start_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'glassmill[ray]'")
needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
    reason="network namespaces need Linux, root and iproute2",
)

WEB = (
    "miniweb.pages=1200",
    "miniweb.people=8",
    "miniweb.warc_files=12",
    "miniweb.conversations=60",
    "corpus.shard_mb=0.06",
)
"""Every WARC file is cut, and a shard is some dozens of pages."""
ROUNDS = ("corpus.dedup.one_task=0", "corpus.dedup.memory_mb=0.02")
"""Duplicates are joined in rounds of tasks, of two hundred documents each."""
RAY = ("run.executor=ray", "corpus.workers=2")
Hashes = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with nothing but the pages."""
    runs = tmp_path_factory.mktemp("web")
    done = glassmill("run", "demo", *WEB, "--until", "miniweb", "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    return runs


@pytest.fixture(scope="module")
def undisturbed(web: Path, tmp_path_factory: pytest.TempPathFactory) -> Hashes:
    """What one worker makes of the pages when nobody touches it."""
    runs = copy(web, tmp_path_factory.mktemp("undisturbed") / "runs")
    done = glassmill("corpus", "demo", *WEB, "corpus.workers=1", "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    return contents(runs)


@pytest.fixture
def runs(web: Path, tmp_path: Path) -> Path:
    return copy(web, tmp_path / "runs")


def copy(web: Path, runs: Path) -> Path:
    shutil.copytree(web, runs)
    return runs


# --- undisturbed ------------------------------------------------------------------------------------------------------


def test_three_local_workers_that_join_in_rounds_give_the_hashes_of_one(undisturbed: Hashes, runs: Path) -> None:
    done = glassmill("corpus", "demo", *WEB, *ROUNDS, "corpus.workers=3", "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    assert contents(runs) == undisturbed


def test_five_array_tasks_give_the_hashes_of_a_local_run(undisturbed: Hashes, runs: Path) -> None:
    stage = ("corpus", "demo", *WEB, "--runs", str(runs))
    for round_of in ("judge_shard", "finish_shard"):
        laid_out = glassmill(*stage, "run.executor=slurm")
        waiting = re.search(rf"{round_of}: (\d+) shards wait", laid_out.stderr)
        assert laid_out.returncode == 0 and waiting, laid_out.stderr
        shards = int(waiting[1])
        assert shards >= 24
        for task in range(4):
            assert glassmill(*stage, "--task", str(task), "--tasks", "5").returncode == 0
        early = glassmill(*stage, "run.executor=slurm")
        missing = range(4, shards, 5)
        assert early.returncode == 2, early.stderr
        assert f"{len(missing)} of {shards} shards are not done: {', '.join(map(str, missing))};" in early.stderr
        assert glassmill(*stage, "--task", "4", "--tasks", "5").returncode == 0
    done = glassmill(*stage, "run.executor=slurm")
    assert done.returncode == 0, done.stderr
    assert contents(runs) == undisturbed


# --- kills ------------------------------------------------------------------------------------------------------------


def start(runs: Path, *words: str, within: tuple[str, ...] = (), **environment: str) -> psutil.Popen:
    """The corpus stage as a process of its own."""
    command = [*within, sys.executable, "-m", "glassmill", "corpus", "demo", *WEB, *words, "--runs", str(runs)]
    with (runs / "output.txt").open("a") as output:
        return psutil.Popen(command, stdout=output, stderr=output, env={**quiet_environment(), **environment})


def finish(process: psutil.Popen, runs: Path, undisturbed: Hashes) -> None:
    assert process.wait(timeout=900) == 0, (runs / "output.txt").read_text()[-2000:]
    assert contents(runs) == undisturbed


WORKER, RAY_WORKER = "glassmill.run.worker", "ray::supervise"


def wait_for_workers(process: psutil.Popen, mark: str) -> list[psutil.Process]:
    """The processes below this one whose command line holds the mark; none if it ends before there are any."""
    while process.poll() is None:
        try:
            if found := [child for child in process.children(recursive=True) if mark in " ".join(command_line(child))]:
                return found
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.02)
    return []


def command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def kill(victim: psutil.Process) -> bool:
    try:
        victim.kill()
    except psutil.NoSuchProcess:
        return False
    return True


@pytest.mark.timeout(1800)
def test_a_hundred_kills_of_workers_and_parents_change_no_byte(undisturbed: Hashes, web: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    kills = parents = finished = 0
    runs, process = copy(web, tmp_path / "0"), None
    while kills < 100:
        if process is None:
            process = start(runs, "corpus.workers=2")
        workers = wait_for_workers(process, WORKER)
        time.sleep(chance.uniform(0, 0.5))
        if process.poll() is not None:  # it was quicker; the kills go on over a fresh folder
            finish(process, runs, undisturbed)
            finished += 1
            runs, process = copy(web, tmp_path / str(finished)), None
        elif chance.random() < 0.2:
            parents += kill(process)
            kills += 1
            process.wait()
            process = None  # its workers end by themselves, while the next parent begins
        elif workers:
            kills += kill(chance.choice(workers))
    finish(process or start(runs, "corpus.workers=2"), runs, undisturbed)
    assert kills == 100 and 5 <= parents <= 40, (kills, parents)


@needs_ray
@pytest.mark.timeout(1200)
def test_ten_kills_over_a_run_on_ray_change_no_byte(undisturbed: Hashes, runs: Path) -> None:
    chance = random.Random(7)
    process = start(runs, *RAY)
    kills = 0
    while kills < 9:
        workers = wait_for_workers(process, WORKER if kills % 3 == 2 else RAY_WORKER)
        assert workers, f"the run ended after {kills} kills: {(runs / 'output.txt').read_text()[-2000:]}"
        time.sleep(chance.uniform(0, 0.2))
        kills += kill(chance.choice(workers))
    assert wait_for_workers(process, RAY_WORKER)
    process.kill()  # the tenth: the driver; its Ray ends with it
    process.wait()
    finish(start(runs, *RAY), runs, undisturbed)


# --- a node lost ------------------------------------------------------------------------------------------------------


class Cluster:
    """Two network namespaces, joined by a cable, with a Ray node in each: `head` and `other`."""

    def __init__(self, folder: Path) -> None:
        mark = secrets.token_hex(2)
        self.names = {"head": f"gm{mark}a", "other": f"gm{mark}b"}
        self.addresses = {"head": "10.77.0.1", "other": "10.77.0.2"}
        self.folder = folder
        self.environment = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            **environment("http://10.77.0.1:9100"),
        }

    def within(self, node: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.names[node])

    def build(self) -> None:
        for name in self.names.values():
            ip("netns", "add", name)
        head, other = self.names.values()
        ip("link", "add", head, "netns", head, "type", "veth", "peer", "name", other, "netns", other)
        for node, name in self.names.items():
            ip("-n", name, "addr", "add", f"{self.addresses[node]}/24", "dev", name)
            ip("-n", name, "link", "set", name, "up")
            ip("-n", name, "link", "set", "lo", "up")
        self._ray("head", "--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={self.folder}")
        self._ray("other", "--address=10.77.0.1:6379")

    def _ray(self, node: str, *options: str) -> None:
        ray = str(Path(sys.executable).parent / "ray")
        common = (f"--node-ip-address={self.addresses[node]}", "--num-cpus=1", "--object-store-memory=80000000")
        command = [*self.within(node), ray, "start", *options, *common, "--disable-usage-stats"]
        known = {**quiet_environment(), **self.environment}
        done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def processes(self, node: str) -> list[psutil.Process]:
        listed = subprocess.run(["ip", "netns", "pids", self.names[node]], capture_output=True, text=True)
        return [psutil.Process(int(pid)) for pid in listed.stdout.split() if psutil.pid_exists(int(pid))]

    def works(self, node: str) -> bool:
        """Whether a shard is being done there."""
        return any(WORKER in part for one in self.processes(node) for part in command_line(one))

    def lose(self, node: str) -> int:
        """kill -9 of everything in the namespace; says how many processes that were."""
        killed = 0
        while lost := self.processes(node):
            for process in lost:
                killed += kill(process)
            time.sleep(0.02)
        return killed

    def remove(self) -> None:
        for node, name in self.names.items():
            self.lose(node)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode and "netns" in words[:2]:
        pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="gm"))  # Ray's sockets want a short path
    cluster = Cluster(folder)
    try:
        cluster.build()
        yield cluster
    finally:
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)


@needs_ray
@needs_namespaces
@pytest.mark.timeout(1200)
def test_losing_one_ray_node_of_two_changes_no_byte(undisturbed: Hashes, runs: Path, cluster: Cluster) -> None:
    words = ("run.executor=ray", "run.ray_address=10.77.0.1:6379")
    process = start(runs, *words, within=cluster.within("head"), **cluster.environment)
    while not cluster.works("other"):
        assert process.poll() is None, "no shard came to the node"
        time.sleep(0.05)
    time.sleep(0.2)
    assert cluster.lose("other") >= 2
    assert process.poll() is None, "the run was over before the node was lost"
    finish(process, runs, undisturbed)


@needs_ray
@needs_server
@needs_namespaces
@pytest.mark.timeout(1200)
def test_two_ray_nodes_read_their_pages_from_an_object_store(web: Path, tmp_path: Path, cluster: Cluster) -> None:
    (pages,) = web.glob("miniweb/*/warc")
    words = ("corpus", "web", "name=stored", "corpus.shard_mb=0.06", "corpus.workers=2")
    done = glassmill(*words, f"corpus.inputs={pages}", "--runs", str(tmp_path / "disk"))
    assert done.returncode == 0, done.stderr
    within, known = cluster.within("head"), {**quiet_environment(), **cluster.environment}
    server, url = start_server("10.77.0.1", 9100, within)
    try:
        load = [*within, sys.executable, "-m", "tests.s3", url, str(pages), "s3://web/pages"]
        subprocess.run(load, env=known, check=True)
        ray = ("corpus.inputs=s3://web/pages/", "run.executor=ray", "run.ray_address=10.77.0.1:6379")
        command = [*within, sys.executable, "-m", "glassmill", *words, *ray, "--runs", str(tmp_path / "s3")]
        done = subprocess.run(command, env=known, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    finally:
        server.kill()
        server.wait()
    assert contents(tmp_path / "s3") == contents(tmp_path / "disk")
