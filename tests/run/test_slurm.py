"""`docs/slurm.sh` as a user runs it, over an imitation of `sbatch` in plain shell: a job runs when it is submitted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.pages import article, record, write_warc
from tests.line import contents, glassmill, quiet_environment

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "slurm.sh"
FILES, PAGES, TASKS = 5, 30, 3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SCRIPT.exists() or shutil.which("bash") is None, reason="needs a checkout and bash"),
]

# As sbatch: prints the job's number, refuses a dependency on a job that did not end well, gives each task of an array
# its number in the environment. Arrays run backwards here, because nothing promises an order.
SBATCH = r"""#!/bin/bash
array= wrap= dependency=
while [ $# -gt 0 ]; do
  case "$1" in
    --array=*) array=${1#*=} ;;
    --dependency=afterok:*) dependency=${1#*:} ;;
    --wrap) wrap=$2; shift ;;
    --parsable|--kill-on-invalid-dep=yes|--job-name=*|--cpus-per-task=*|--mem=*) ;;
    *) echo "sbatch: unrecognized option '$1'" >&2; exit 1 ;;
  esac
  shift
done
cd "$SBATCH_SPOOL"
[ -z "$dependency" ] || [ -e "$dependency.ok" ] || { echo "sbatch: job $dependency did not end well" >&2; exit 1; }
job=$((100 + $(ls *.job 2>/dev/null | wc -l)))
printf '%s\n' "$array|$dependency|$wrap" > $job.job
unset SLURM_ARRAY_TASK_ID
if [ -z "$array" ]; then
  bash -c "$wrap" >> $job.out 2>&1 && touch $job.ok
else
  fine=yes
  for ((task = ${array#*-}; task >= ${array%-*}; task--)); do
    [ "$task" = "$SBATCH_LOSES" ] && [ ! -e lost ] && { touch lost; fine=; continue; }
    SLURM_JOB_ID=$job SLURM_ARRAY_TASK_ID=$task bash -c "$wrap" >> $job.out 2>&1 || fine=
  done
  [ -z "$fine" ] || touch $job.ok
fi
echo $job
"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("web")
    for number in range(FILES):
        pages = [record(f"http://good.example/{n}", article(n % 100)) for n in range(number, FILES * PAGES, FILES)]
        write_warc(tmp_path / "a web" / f"{number}.warc.gz", pages)
    return tmp_path / "a web"


CUT = {"five shards": ("corpus.shard_mb=0.001",), "one shard, so most tasks have none": ()}


@pytest.fixture(scope="module", params=CUT.values(), ids=CUT)
def words(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """How the web is cut."""
    given: tuple[str, ...] = request.param
    return given


@pytest.fixture(scope="module")
def undisturbed(web: Path, words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name -> SHA-256 of what a local run makes of the web."""
    runs = tmp_path_factory.mktemp("local")
    local = glassmill("corpus", "web", f"corpus.inputs={web}", *words, "--runs", str(runs))
    assert local.returncode == 0, local.stderr
    stats = json.loads(next(runs.glob("corpus/*/stats.json")).read_text())
    assert stats["records"] == FILES * PAGES and 50 < stats["kept"] <= 100, "a third of the pages are copies"
    return contents(runs)["corpus"]


def submit(
    runs: Path, web: Path, words: tuple[str, ...], spool: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`bash docs/slurm.sh`, with `sbatch` and `glassmill` found as on a cluster."""
    spool.mkdir(exist_ok=True)
    programs = {"sbatch": SBATCH, "glassmill": f'#!/bin/bash\nexec {sys.executable} -m glassmill "$@"\n'}
    for name, text in programs.items():
        (spool / name).write_text(text)
        (spool / name).chmod(0o755)
    known = {**quiet_environment(), "GLASSMILL_RUNS": str(runs), "SBATCH_SPOOL": str(spool), "SBATCH_LOSES": ""}
    known["PATH"] = os.pathsep.join([str(spool), known["PATH"]])
    command = ["bash", str(SCRIPT), "web", str(TASKS), f"corpus.inputs={web}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, env={**known, **environment})


def jobs(spool: Path) -> list[list[str]]:
    return [path.read_text().strip().split("|") for path in sorted(spool.glob("*.job"))]


def test_the_jobs_give_the_hashes_of_a_local_run(
    web: Path, words: tuple[str, ...], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    spool, runs = tmp_path / "spool", tmp_path / "runs"
    done = submit(runs, web, words, spool)
    assert done.returncode == 0 and "submitted; the last job is 104" in done.stdout, done.stderr
    submitted = jobs(spool)
    assert [array for array, _, _ in submitted] == ["", f"0-{TASKS - 1}", "", f"0-{TASKS - 1}", ""]
    assert [before for _, before, _ in submitted] == ["", "100", "101", "102", "103"], "each waits for the one before"
    assert contents(runs)["corpus"] == undisturbed


def test_after_a_lost_task_the_same_script_finishes_what_is_left(
    web: Path, words: tuple[str, ...], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    spool, runs = tmp_path / "spool", tmp_path / "runs"
    broken = submit(runs, web, words, spool, SBATCH_LOSES="1")
    assert broken.returncode != 0 and "job 101 did not end well" in broken.stderr
    assert not list(runs.glob("corpus/*/DONE"))
    for job in spool.glob("*.job"):
        job.unlink()
    done = submit(runs, web, words, spool)
    assert done.returncode == 0, done.stderr
    assert contents(runs)["corpus"] == undisturbed
