"""Equal identity, equal bytes: a machine without the compiled core is another machine, alone, on Ray and on Slurm.

Processes see an installation without the core when `tests/coreless` is on their path.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from glassmill import native
from tests.line import SMALL as TOWN
from tests.line import contents, quiet_environment

SMALL = (*TOWN, "corpus.shard_mb=0.02")
"""So small a web would be one shard, and so one worker's."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not native.available(), reason="the native core is not built here"),
]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'glassmill[ray]'")

CORELESS = str(Path(__file__).parent / "coreless")


def environment(core: bool) -> dict[str, str]:
    known = quiet_environment()
    return known if core else {**known, "PYTHONPATH": os.pathsep.join([CORELESS, known.get("PYTHONPATH", "")])}


def glassmill(*words: str, core: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "glassmill", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**environment(core), **more}, check=False
    )


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with nothing but a small web."""
    runs = tmp_path_factory.mktemp("web")
    done = glassmill("run", "demo", *SMALL, "--until", "miniweb", "--runs", str(runs))
    assert done.returncode == 0, done.stderr
    return runs


@pytest.fixture(scope="module")
def made(web: Path) -> dict[bool, Path]:
    """The corpus runs of one recipe: with the core (True) and without, in one folder of runs."""
    found: dict[bool, Path] = {}
    for core in (True, False):
        before = set(web.glob("corpus/demo-*"))
        done = glassmill("corpus", "demo", *SMALL, "--runs", str(web), core=core)
        assert done.returncode == 0, done.stderr
        (found[core],) = set(web.glob("corpus/demo-*")) - before
    return found


def manifest(run: Path) -> dict[str, object]:
    value: dict[str, object] = json.loads((run / "manifest.json").read_text())
    return value


def test_the_same_recipe_without_the_core_is_another_run_and_the_manifests_say_why(made: dict[bool, Path]) -> None:
    with_core, without = (manifest(made[core])["resolved"] for core in (True, False))
    assert isinstance(with_core, dict) and isinstance(without, dict)
    assert with_core["extractor"].startswith("glassmill ") and without["extractor"].startswith("resiliparse ")
    assert manifest(made[True])["content"] != manifest(made[False])["content"], "they give other documents"
    assert manifest(made[True])["settings"] == manifest(made[False])["settings"]


def test_a_run_without_the_core_warns_in_one_line(made: dict[bool, Path]) -> None:
    assert "native core missing: extracting with resiliparse" in (made[False] / "events.jsonl").read_text()
    assert "native core missing" not in (made[True] / "events.jsonl").read_text()


def test_an_engine_asked_for_by_name_is_the_one_of_auto_or_an_error(made: dict[bool, Path], web: Path) -> None:
    words = ("corpus", "demo", *SMALL, "corpus.extract.engine=glassmill", "--runs", str(web))
    before = set(web.glob("corpus/demo-*"))
    assert glassmill(*words).returncode == 0 and set(web.glob("corpus/demo-*")) == before, "auto was the same engine"
    refused = glassmill(*words, core=False)
    assert refused.returncode == 2 and "glassmill needs the native core" in refused.stderr, refused.stderr
    assert "corpus.extract.engine=resiliparse" in refused.stderr and "Traceback" not in refused.stderr
    assert set(web.glob("corpus/demo-*")) == before


def test_time_zone_locale_hash_seed_and_threads_change_no_byte(
    made: dict[bool, Path], web: Path, tmp_path: Path
) -> None:
    surroundings = {
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "12345",
        "PYTHONUTF8": "0",
        "OMP_NUM_THREADS": "1",
    }
    words = ("run", "demo", *SMALL, "corpus.workers=3", "--until", "corpus", "--runs", str(tmp_path))
    done = glassmill(*words, **surroundings)
    assert done.returncode == 0, done.stderr
    (town,) = web.glob("miniweb/demo-*")
    for run in (town, made[True]):
        assert manifest(tmp_path / run.parent.name / run.name)["files"] == manifest(run)["files"]


# --- mixed machines ---------------------------------------------------------------------------------------------------


def copy(web: Path, runs: Path) -> Path:
    shutil.copytree(web / "miniweb", runs / "miniweb")
    return runs


def test_an_array_task_on_a_machine_without_the_core_refuses_and_the_others_finish(
    made: dict[bool, Path], web: Path, tmp_path: Path
) -> None:
    runs = copy(web, tmp_path / "runs")
    stage = ("corpus", "demo", *SMALL, "--runs", str(runs))
    for _ in range(2):  # judging, then finishing
        assert glassmill(*stage, "run.executor=slurm").returncode == 0
        refused = glassmill(*stage, "--task", "0", "--tasks", "2", core=False)
        assert refused.returncode == 2 and "extractor is 'resiliparse" in refused.stderr, refused.stderr
        assert "here, but 'glassmill" in refused.stderr and len(refused.stderr.strip().splitlines()) == 1
        for task in ("0", "1"):
            assert glassmill(*stage, "--task", task, "--tasks", "2").returncode == 0
    done = glassmill(*stage, "run.executor=slurm")
    assert done.returncode == 0, done.stderr
    assert contents(runs)["corpus"] == {name: entry["sha256"] for name, entry in manifest(made[True])["files"].items()}


class Cluster:
    """Two Ray nodes on this machine, the second one without the core, each in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.token = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        head = ("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={folder}")
        self.nodes = [self._start(head, core=True), self._start((f"--address={self.address}",), core=False)]
        wait = (
            f"import ray, time; ray.init({self.address!r})\nwhile ray.cluster_resources()['CPU'] < 2: time.sleep(0.1)"
        )
        subprocess.run([sys.executable, "-c", wait], env={**environment(True), **self.token}, check=True, timeout=120)

    def _start(self, options: tuple[str, ...], core: bool) -> subprocess.Popen[bytes]:
        ray = str(Path(sys.executable).parent / "ray")
        common = ("--node-ip-address=127.0.0.1", "--num-cpus=1", "--object-store-memory=80000000")
        command = [ray, "start", "--block", *options, *common, "--disable-usage-stats"]
        known = {**environment(core), **self.token}
        output = subprocess.DEVNULL
        node = subprocess.Popen(command, env=known, stdout=output, stderr=output, start_new_session=True)
        while "--head" in options and not answers(self.port):
            assert node.poll() is None, "Ray does not start"
            time.sleep(0.2)
        return node

    def stop(self) -> None:
        for node in reversed(self.nodes):
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="gm"))  # Ray's sockets want a short path
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@needs_ray
@pytest.mark.timeout(900)
@pytest.mark.parametrize("core", [True, False], ids=["started with the core", "started without"])
def test_a_mixed_ray_cluster_ends_the_run_with_one_line_and_never_mixes_bytes(
    made: dict[bool, Path], web: Path, tmp_path: Path, cluster: Cluster, core: bool
) -> None:
    runs = copy(web, tmp_path / "runs")
    stage = ("corpus", "demo", *SMALL, "miniweb.warc_files=3", "--runs", str(runs))
    mixed = glassmill(*stage, "run.executor=ray", f"run.ray_address={cluster.address}", core=core, **cluster.token)
    assert mixed.returncode == 2 and "Traceback" not in mixed.stderr, mixed.stderr
    here, there = ("resiliparse", "glassmill") if core else ("glassmill", "resiliparse")
    line = next(line for line in mixed.stderr.splitlines() if "worker on " in line)
    assert f"extractor is '{here} " in line and f"but '{there} " in line, mixed.stderr
    assert not list(runs.glob("corpus/*/DONE"))
    done = glassmill(*stage, core=core)  # what the agreeing node had finished is used
    assert done.returncode == 0, done.stderr
    assert contents(runs)["corpus"] == {name: entry["sha256"] for name, entry in manifest(made[core])["files"].items()}
