"""What a run costs whose only change is a Gopher bound, beside a first run: CPU seconds of all processes, and time.

    python bench/rerun.py PAGES.warc.gz... [--pairs 3]

Each pair is a corpus made from nothing, and then one with another bound, which finds the texts and the results of steps
that the first one kept. Its documents are compared with those of a run from nothing with that bound.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

BOUND = "corpus.gopher_quality.min_words=60"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    print(machine())
    settings = [
        f"corpus.inputs={json.dumps([str(path.resolve()) for path in given.pages])}",
        f"corpus.workers={given.workers}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        expected = documents(timed(Path(folder) / "nothing", [*settings, BOUND], "from nothing")[2])
        for pair in range(given.pairs):
            runs = Path(folder) / f"pair-{pair}"
            first = timed(runs, settings, "first")
            again = timed(runs, [*settings, BOUND], "again")
            print(f"  CPU {again[0] / first[0]:.1%}, clock {again[1] / first[1]:.1%}", flush=True)
            if documents(again[2]) != expected:
                raise SystemExit("the second run has other documents than one from nothing")


def timed(runs: Path, settings: list[str], name: str) -> tuple[float, float, Path]:
    """CPU seconds, seconds, and the corpus."""
    before = set(runs.glob("corpus/*/DONE"))
    begin, spent = time.perf_counter(), _children()
    command = [sys.executable, "-m", "glassmill", "corpus", "web", *settings, "--runs", str(runs)]
    environment = {**os.environ, "GLASSMILL_CACHE": str(runs.parent / "cache")}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    cpu, seconds = _children() - spent, time.perf_counter() - begin
    print(f"{name}: {cpu:.2f} CPU s, {seconds:.1f} s", flush=True)
    (done,) = set(runs.glob("corpus/*/DONE")) - before
    return cpu, seconds, done.parent


def documents(run: Path) -> dict[str, str]:
    """A hash of every file of documents."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((run / "shards").rglob("*.parquet"))
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
