"""Shards as Ray tasks: the promises of the local executor, kept by another engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glassmill.errors import ShardError, UserError
from glassmill.run import kinds, on_ray

HERE = Path(__file__).parent
LIMITS = {"cpu_limit_s": 20.0, "worker_timeout_s": 900.0}


def test_the_default_path_never_imports_ray() -> None:
    code = "import sys, glassmill.pipeline, glassmill.corpus.corpus, glassmill.run.engines; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "False", done.stderr


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'glassmill\[ray\]'"):
        on_ray.map_on_ray(None, "shard_functions:square", [{"n": 1}], 1, LIMITS)


@pytest.mark.parametrize(
    ("address", "line"),
    [("cluster", "write host:port"), ("127.0.0.1:1", "no Ray cluster answers there"), (":6379", "write host:port")],
)
def test_an_address_without_a_cluster_is_one_line_within_seconds(address: str, line: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'glassmill[ray]'")
    with pytest.raises(UserError, match=line):
        on_ray.map_on_ray(address, "shard_functions:square", [{"n": 1}], 1, LIMITS)


@pytest.fixture(scope="module")
def own_ray() -> Iterator[None]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'glassmill[ray]'")
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), before])
    yield
    on_ray.disconnect()
    os.environ["PYTHONPATH"] = before


@pytest.mark.slow
@pytest.mark.usefixtures("own_ray")
def test_ray_gives_what_the_local_executor_gives() -> None:
    events: list[kinds.Event] = []
    tasks = [{"n": n} for n in range(40)]  # five a task
    results = on_ray.map_on_ray(None, "shard_functions:square", tasks, 2, LIMITS, on_event=events.append)
    assert results == [{"square": n * n} for n in range(40)]
    assert events == [kinds.Progress(1, 1)] * 40

    tasks = [{"items": [1, 2, -1, 4]}, {"items": [5, 0, 6]}, {"items": [7]}]
    results = on_ray.map_on_ray(None, "shard_functions:walk_items", tasks, 2, {**LIMITS, "cpu_limit_s": 0.5})
    assert [result["set_aside"] for result in results] == [[2], [1], []]

    with pytest.raises(UserError, match="the value 3 is too small; take 4"):
        on_ray.map_on_ray(None, "shard_functions:complain", [{}], 2, LIMITS)
    with pytest.raises(ShardError, match="ZeroDivisionError"):
        on_ray.map_on_ray(None, "shard_functions:fail", [{}], 2, LIMITS)
