"""The promise of the executors: a bad item costs itself, a dead worker costs nothing, results do not depend on
either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from glassmill.errors import ShardError, UserError
from glassmill.run import executors, kinds
from glassmill.run.executors import Crew, map_shards

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def functions_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks_for_any_number_of_workers(workers: int) -> None:
    events: list[kinds.Event] = []
    tasks = [{"n": n} for n in range(7)]
    results = map_shards("shard_functions:square", tasks, workers, on_event=events.append)
    assert results == [{"square": n * n} for n in range(7)]
    assert events == [kinds.Progress(1, 1)] * 7


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that ends native code by its CPU time")
def test_items_that_kill_or_hang_a_worker_are_set_aside_and_their_neighbours_are_kept() -> None:
    tasks = [{"items": [1, 2, -1, 4]}, {"items": [5, 0, 6]}, {"items": [7]}]
    results = map_shards("shard_functions:walk_items", tasks, 2, cpu_limit_s=0.5)
    assert results == [
        {"total": 7, "set_aside": [2]},
        {"total": 11, "set_aside": [1]},
        {"total": 7, "set_aside": []},
    ]


def test_the_children_of_a_crew_stay_for_the_next_map_with_the_limits_of_that() -> None:
    crew = Crew()
    try:
        (first,) = map_shards("shard_functions:who", [{}], 1, crew=crew)
        assert map_shards("shard_functions:who", [{}, {}], 1, crew=crew) == [first, first]
        walked = map_shards("shard_functions:walk_items", [{"items": [1, 0, 3]}], 1, cpu_limit_s=0.3, crew=crew)
        assert walked == [{"total": 4, "set_aside": [1]}]
        for megabytes, limit in ((50, 100), (300, 0)):
            task = {"items": [megabytes]}
            (taken,) = map_shards("shard_functions:take_memory", [task], 1, memory_limit_mb=limit, crew=crew)
            assert taken == {"set_aside": []}
        (second,) = map_shards("shard_functions:who", [{}], 1, crew=crew)
        os.kill(second["pid"], signal.SIGKILL)  # while it waits for work
        _wait_until(lambda: not _is_running(second["pid"]))
        (third,) = map_shards("shard_functions:who", [{}], 1, crew=crew)
        assert len({one["pid"] for one in (first, second, third)}) == 3
        with pytest.raises(UserError, match="too small"):
            map_shards("shard_functions:complain", [{}], 1, crew=crew)
        assert not crew.children and not _is_running(third["pid"])
    finally:
        crew.close()


def test_a_crew_of_more_children_than_a_map_needs_takes_over_from_one_that_dies(tmp_path: Path) -> None:
    crew = Crew()
    try:
        map_shards("shard_functions:who", [{}, {}], 2, crew=crew)
        task = {"marker": str(tmp_path / "died")}
        assert map_shards("shard_functions:die_once", [task], 1, crew=crew) == [{"survived": True}]
        assert len(crew.children) == 1, "the other one of the two did it"
    finally:
        crew.close()


def test_a_worker_killed_from_outside_costs_only_the_repeat_of_its_shard(tmp_path: Path) -> None:
    tasks = [{"marker": str(tmp_path / f"{n}")} for n in range(3)]
    assert map_shards("shard_functions:die_once", tasks, 2) == [{"survived": True}] * 3


def test_workers_killed_again_and_again_blame_no_item_that_was_there_by_chance(tmp_path: Path) -> None:
    task = {"marker": str(tmp_path / "killed"), "items": 3, "times": 2}
    assert map_shards("shard_functions:die_at_every_item_once", [task], 1) == [{"skip": []}]


def test_an_item_at_which_every_worker_is_killed_is_set_aside_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "KILLS_AT_AN_ITEM", 3)  # eight would take seconds
    task = {"marker": str(tmp_path / "killed"), "items": 1, "times": 3}
    results = map_shards("shard_functions:die_at_every_item_once", [task], 1)
    assert results == [{"skip": [[0, "killed its worker (exit -9)"]]}]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's own memory")
def test_an_item_that_takes_too_much_memory_is_set_aside_at_once() -> None:
    tasks = [{"items": [10, 300, 20, 4000, 90]}, {"items": [150]}, {"items": [90, 90]}]
    results = map_shards("shard_functions:take_memory", tasks, 2, memory_limit_mb=100)
    cause = "over the memory limit"
    assert [result["set_aside"] for result in results] == [[[1, cause], [3, cause]], [[0, cause]], []]
    assert map_shards("shard_functions:take_memory", tasks[1:2], 1, memory_limit_mb=0) == [{"set_aside": []}]


def test_an_item_at_which_the_system_ran_out_of_memory_is_set_aside_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(range(100))
    monkeypatch.setattr(executors, "system_kills", lambda: next(counts))
    task = {"marker": str(tmp_path / "killed"), "items": 1, "times": 1}
    results = map_shards("shard_functions:die_at_every_item_once", [task], 1)
    assert results == [{"skip": [[0, "the system ran out of memory"]]}]


def test_a_worker_ends_with_its_supervisor_even_in_the_middle_of_a_task(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    call = f"map_shards('shard_functions:outlive', {[{'pid_file': str(pid_file)}]}, 1)"
    code = f"from glassmill.run.executors import map_shards; {call}"
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    _wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    worker = int(pid_file.read_text())
    supervisor.kill()
    supervisor.wait()
    _wait_until(lambda: not _is_running(worker))


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_worker_that_dies_without_touching_an_item_is_given_up_at_last() -> None:
    with pytest.raises(ShardError, match="crashed 5 times before processing its first item"):
        map_shards("shard_functions:die_always", [{}], 1)


def test_errors_of_the_user_and_of_the_disk_keep_their_one_line() -> None:
    with pytest.raises(UserError, match="the value 3 is too small; take 4"):
        map_shards("shard_functions:complain", [{}], 1)
    with pytest.raises(UserError, match="no space left"):
        map_shards("shard_functions:no_space", [{"out": "x.parquet"}], 1)


def test_our_own_errors_bring_the_traceback_of_the_child() -> None:
    with pytest.raises(ShardError, match="ZeroDivisionError"):
        map_shards("shard_functions:fail", [{}], 1)


@pytest.mark.slow
def test_a_silent_worker_is_ended_by_the_wall_limit() -> None:
    with pytest.raises(ShardError, match="crashed 5 times before processing its first item"):
        map_shards("shard_functions:sleep", [{"seconds": 60}], 1, worker_timeout_s=0.2)


def test_an_item_that_kills_although_it_is_set_aside_ends_the_run() -> None:
    with pytest.raises(ShardError, match="item 1, though skipped"):
        map_shards("shard_functions:die_while_reading", [{}], 1)
