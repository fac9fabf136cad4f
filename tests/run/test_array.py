"""Array tasks: the shards of a stage done by separate processes that share nothing but a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glassmill.errors import UserError, Waiting
from glassmill.run.array import lay_out, run_array_task

HERE = Path(__file__).parent
SQUARE = "shard_functions:square"
TASKS = [{"n": n} for n in range(5)]
LIMITS = {"cpu_limit_s": 20.0, "worker_timeout_s": 60.0}


@pytest.fixture(autouse=True)
def functions_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def test_the_stage_goes_on_when_every_array_task_has_left_its_results(tmp_path: Path) -> None:
    with pytest.raises(Waiting, match="square: 5 shards wait for array tasks"):
        lay_out(tmp_path, SQUARE, TASKS, LIMITS)
    assert run_array_task(tmp_path, 1, 2, 1) == (2, 2)
    with pytest.raises(UserError, match=r"square: 3 of 5 shards are not done: 0, 2, 4; run the same array tasks again"):
        lay_out(tmp_path, SQUARE, TASKS, LIMITS)
    assert run_array_task(tmp_path, 0, 2, 1) == (3, 3)
    assert run_array_task(tmp_path, 0, 2, 1) == (0, 3), "what is done is skipped"
    assert lay_out(tmp_path, SQUARE, TASKS, LIMITS) == [{"square": n * n} for n in range(5)]


def test_a_task_with_tuples_is_known_again_though_json_makes_lists_of_them(tmp_path: Path) -> None:
    tasks = [{"n": n, "inputs": (("a", "b"),)} for n in range(2)]
    with pytest.raises(Waiting):
        lay_out(tmp_path, SQUARE, tasks, LIMITS)
    run_array_task(tmp_path, 0, 2, 1)
    with pytest.raises(UserError, match="1 of 2 shards are not done: 1;"):
        lay_out(tmp_path, SQUARE, tasks, LIMITS)


def test_results_of_other_tasks_are_not_taken(tmp_path: Path) -> None:
    for tasks in (TASKS[:1], TASKS[1:2]):
        with pytest.raises(Waiting):
            lay_out(tmp_path, SQUARE, tasks, LIMITS)
        run_array_task(tmp_path, 0, 1, 1)
        assert lay_out(tmp_path, SQUARE, tasks, LIMITS) == [{"square": tasks[0]["n"] ** 2}]


@pytest.mark.parametrize(("task", "num_tasks"), [(2, 2), (-1, 2), (0, 0)])
def test_a_task_number_out_of_range_is_refused(tmp_path: Path, task: int, num_tasks: int) -> None:
    with pytest.raises(UserError, match="numbered from 0"):
        run_array_task(tmp_path, task, num_tasks)


def test_a_task_before_the_stage_says_what_to_run_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no shards are laid out .*run\.executor=slurm"):
        run_array_task(tmp_path, 0, 1)
