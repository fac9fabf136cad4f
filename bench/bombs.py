"""What hostile inputs cost: CPU seconds and peak megabytes of each, beyond those of a harmless file beside it.

    python bench/bombs.py [NAME ...]

Each bomb of `tests/corpus/bombs.py` lies beside a text file and is read as `glassmill add` reads it, in a worker with
the default limits. The last columns say what the report names, and whether the text file was still read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.corpus.bombs import BOMBS

GOOD = "The mill by the river was built of grey stone, and its wheel turns all year.\n" * 5
READ = """
import json, sys
from glassmill.recipe import CorpusSettings
from glassmill.run.executors import map_shards
inputs = [[path, path.rpartition("/")[2], ""] for path in sys.argv[1:]]
out = sys.argv[1].rpartition("/")[0] + "/out"
task = {"inputs": inputs, "settings": CorpusSettings().model_dump(mode="json"), "out": out + "/out.parquet",
        "report": out + "/report.json"}
(result,) = map_shards("glassmill.collect.gather:gather_shard", [task], 1)
causes = [one["cause"] for one in result["quarantined"]]
print(json.dumps({"documents": result["counts"]["documents"], "causes": causes[-1:]}))
"""


def read(*paths: Path) -> tuple[float, float, dict[str, object]]:
    """CPU seconds and peak megabytes of reading, the worker's included, and what came of it."""
    shutil.rmtree(paths[0].parent / "out", ignore_errors=True)
    (paths[0].parent / "out").mkdir()
    child = subprocess.Popen([sys.executable, "-c", READ, *map(str, paths)], stdout=subprocess.PIPE)
    assert child.stdout
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    made = json.loads(said) if said else {"documents": 0, "causes": [f"ended with status {status}"]}
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, made


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        good = Path(folder) / "good.txt"
        good.write_text(GOOD, encoding="utf-8")
        plain_s, plain_mb, _ = read(good)
        print(f"{'harmless':26}{plain_s:7.2f} s{plain_mb:7.0f} MB")
        for bomb in BOMBS:
            if names and not any(name in bomb.name for name in names):
                continue
            path = Path(folder) / bomb.name
            # in a process of its own: a child's peak counts from its parent's memory
            subprocess.run([sys.executable, __file__, "--write", bomb.name, str(path)], check=True)
            cpu_s, peak_mb, made = read(path, good)
            cause = next((str(one) for one in made["causes"]), "")[:70]  # type: ignore[attr-defined]
            print(
                f"{bomb.name:26}{cpu_s - plain_s:7.2f} s{peak_mb:7.0f} MB{path.stat().st_size / 1e6:9.2f} MB file  "
                f"{'' if made['documents'] else 'LOST ALL '}{cause}",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        next(bomb for bomb in BOMBS if bomb.name == sys.argv[2]).write(Path(sys.argv[3]), 1.0)
    else:
        main(sys.argv[1:])
