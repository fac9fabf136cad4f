"""A worker's machine is asked what it resolves before it touches an item; where that is not the run's, it refuses."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from glassmill.errors import UserError, Waiting
from glassmill.recipe import Recipe
from glassmill.run.array import lay_out, run_array_task
from glassmill.run.executors import map_shards
from glassmill.run.folder import Identity, open_run
from glassmill.run.resolved import Check, check_machine, resolve

HERE = Path(__file__).parent
VERB = "shard_functions"


@pytest.fixture(autouse=True)
def functions_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])


def check(**resolved: str | int) -> Check:
    """What a run that resolved `engine=fast, threads=2` asks of its workers, or a change of that."""
    facts: dict[str, str | int] = {"engine": "fast", "threads": 2, **resolved}
    return {"verb": VERB, "version": 1, "recipe": Recipe().model_dump(mode="json"), "resolved": facts}


def test_a_stage_without_resolved_resolves_nothing() -> None:
    assert resolve("glassmill.run.memory", Recipe()) == {}
    assert resolve(VERB, Recipe()) == {"engine": "fast", "threads": 2}


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (check(engine="slow"), r"engine is 'fast' here, but 'slow' in the run's identity"),
        (check(threads=3), "threads is 2 here, but 3 in the run's identity"),
        (check(library="1.2"), "library is 'unknown' here, but '1.2' in the run's identity"),
        ({**check(), "resolved": {"engine": "fast"}}, "threads is 2 here, but 'unknown' in the run's identity"),
        ({**check(), "version": 2}, "version is 1 here, but 2 in the run's identity"),
        ({**check(), "recipe": {"corpus": {"magic": True}}}, "another version of glassmill than the run's"),
        ({**check(), "verb": "glassmill.no_such_stage"}, "another version of glassmill than the run's"),
    ],
)
def test_every_difference_is_one_line_with_the_machine_the_fact_and_both_values(wanted: Check, line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        check_machine(wanted)
    assert str(caught.value).startswith(f"worker on {platform.node()}: ") and "\n" not in str(caught.value)


def test_a_machine_that_lacks_what_the_recipe_asks_for_says_which_one_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_ENGINE", "missing")
    with pytest.raises(UserError, match=r"^worker on .*: engine = fast needs the compiled core$"):
        check_machine(check())


def test_a_worker_of_another_kind_refuses_before_its_first_item(tmp_path: Path) -> None:
    tasks = [{"marker": str(tmp_path / f"{n}")} for n in range(3)]
    assert map_shards("shard_functions:touch", tasks, 2, check=check()) == [{}] * 3
    for marker in tmp_path.iterdir():
        marker.unlink()
    with pytest.raises(UserError, match="engine is 'fast' here, but 'slow'"):
        map_shards("shard_functions:touch", tasks, 2, check=check(engine="slow"))
    assert list(tmp_path.iterdir()) == []


def test_an_array_task_on_another_kind_of_machine_leaves_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [{"n": n} for n in range(4)]
    square = "shard_functions:square"
    limits = {"cpu_limit_s": 20.0, "worker_timeout_s": 60.0}
    with pytest.raises(Waiting):
        lay_out(tmp_path, square, tasks, limits, check())
    assert run_array_task(tmp_path, 0, 2, 1) == (2, 2)
    monkeypatch.setenv("TEST_ENGINE", "slow")
    with pytest.raises(UserError, match="engine is 'slow' here, but 'fast' in the run's identity"):
        run_array_task(tmp_path, 1, 2, 1)
    with pytest.raises(UserError, match="2 of 4 shards are not done: 1, 3;"):
        lay_out(tmp_path, square, tasks, limits, check())


def test_a_worker_with_another_version_of_a_stage_that_resolves_nothing_refuses_too(tmp_path: Path) -> None:
    identity = Identity("tokens", 99, {})
    with (
        pytest.raises(UserError, match=r"version is \d+ here, but 99 in the run's identity"),
        open_run(tmp_path / "r", identity, Recipe(), verb="glassmill.tokens.tokens") as run,
    ):
        run.map("shard_functions:touch", [{"marker": str(tmp_path / "touched")}])
    assert not (tmp_path / "touched").exists()
