"""kill -9 at random moments of every stage: the rerun's artefacts have the same hashes as an undisturbed run's."""

from __future__ import annotations

import json
import random
import signal
import sys
from pathlib import Path

import pytest

from tests.line import SMALL, contents, glassmill, start

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="kill -9 of a group is POSIX")]

STAGES = ("miniweb", "corpus", "tokenizer", "tokens", "train", "sft", "rl")
LINE = (
    *SMALL,
    f"stages={[*STAGES, 'eval']}".replace("'", '"'),
    "rl.steps=12",
    "rl.updates=2",
    "rl.prompts=4",
    "rl.answers=4",
    "rl.max_tokens=16",
    "rl.minutes=none",
)
KILLS_PER_STAGE = 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, str]], dict[str, float]]:
    """The artefacts of a run that nobody touched, and how long each stage worked."""
    runs = tmp_path_factory.mktemp("undisturbed")
    done = glassmill("run", "demo", *LINE, "--runs", str(runs), "--json")
    assert done.returncode == 0, done.stderr
    return contents(runs), json.loads(done.stdout)["seconds"]


def kill_within(stage: str, runs: Path, delay_s: float) -> bool:
    """A run killed `delay_s` after `stage` began, or when it is all but done; whether it was within the stage."""
    words = ["-m", "tests.killed_line", stage, f"{delay_s:.3f}", "run", "demo", *LINE, "--runs", str(runs)]
    process = start(*words)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == -signal.SIGKILL, (stage, process.returncode, errors)
    return not list(runs.glob(f"{stage}/*/DONE"))


@pytest.mark.timeout(1500)
def test_killing_every_stage_at_random_moments_changes_no_byte(
    undisturbed: tuple[dict[str, dict[str, str]], dict[str, float]], tmp_path: Path
) -> None:
    expected, seconds = undisturbed
    chance = random.Random(7)
    killed = dict.fromkeys(STAGES, 0)
    for stage in STAGES:
        for _ in range(KILLS_PER_STAGE):
            killed[stage] += kill_within(stage, tmp_path, chance.uniform(0, seconds[stage] * 0.7))
    rerun = glassmill("run", "demo", *LINE, "--runs", str(tmp_path))
    assert rerun.returncode == 0, rerun.stderr
    assert contents(tmp_path) == expected
    assert killed == dict.fromkeys(STAGES, KILLS_PER_STAGE)
