"""Block lists of millions of hosts: a memory-mapped array of hashes beside the Python sets of FineWeb's pipeline.

Writes a list of `--hosts` made-up hosts, then measures in fresh processes, `--pairs` times each in turn: CPU seconds
and memory that a worker needs until it can judge, and lookups a second. Prints medians and their ratios, ours over the
sets: a lookup in an array costs more than one in a set, which is what the memory and the start are paid with.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from machine import machine

LOOKUPS = 100_000


def worker(kind: str, path: Path) -> None:
    """One process: loads, looks up, prints seconds to load, bytes grown, lookups a second, hits."""
    from glassmill.corpus.judge.url_lists import HashList
    from glassmill.run.memory import peak_memory

    before = peak_memory()
    begin = time.process_time()
    look: Callable[[str], object]
    if kind == "sets":
        with (path / "hosts.txt").open(encoding="utf-8") as file:
            hosts = {line.strip() for line in file}
        look = hosts.__contains__
    else:
        look = HashList.open(path / "built").category
    loaded = time.process_time() - begin
    chance = random.Random(7)
    keys = [f"host-{chance.randrange(9_000_000)}.example{chance.randrange(50)}.org" for _ in range(LOOKUPS)]
    grown = peak_memory() - before
    begin = time.process_time()
    hits = sum(bool(look(key)) for key in keys)
    rate = LOOKUPS / (time.process_time() - begin)
    print(loaded, grown, rate, hits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=4_500_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--worker", nargs=2)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker[0], Path(arguments.worker[1]))
        return
    from glassmill.corpus.judge.url_lists import HashList

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "hosts.txt").open("w", encoding="utf-8") as file:
            file.writelines(f"host-{number}.example{number % 50}.org\n" for number in range(arguments.hosts))
        begin = time.process_time()
        HashList.build([folder / "hosts.txt"], folder / "built")
        built = time.process_time() - begin
        results: dict[str, list[list[float]]] = {"sets": [], "array": []}
        for _ in range(arguments.pairs):
            for kind, rows in results.items():
                command = [sys.executable, __file__, "--worker", kind, name]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append([float(part) for part in done.stdout.split()])
        size = sum(file.stat().st_size for file in (folder / "built").iterdir())
    assert results["sets"][0][3] == results["array"][0][3]
    medians = {
        kind: [statistics.median(column) for column in zip(*rows, strict=True)] for kind, rows in results.items()
    }
    print(f"{arguments.hosts:,} hosts; numpy {version('numpy')}; {machine()}")
    print(f"medians of {arguments.pairs} pairs of fresh processes, CPU time")
    print(f"built once in {built:.1f} CPU s, {size / 1e6:.0f} MB on disk, shared by all workers")
    for kind, (loaded, grown, rate, _) in medians.items():
        print(f"{kind:<6} ready after {loaded:.4f} CPU s, {grown / 1e6:,.0f} MB more, {rate:,.0f} lookups/s")
    for place, (name, better) in enumerate((("seconds until ready", 1), ("memory", 1), ("lookups a second", -1))):
        pairs = zip(results["sets"], results["array"], strict=True)
        ratios = [(sets[place] / array[place]) ** better for sets, array in pairs]
        print(f"{name}: {statistics.median(ratios):,.2f} times better ({min(ratios):,.2f} to {max(ratios):,.2f})")


if __name__ == "__main__":
    main()
