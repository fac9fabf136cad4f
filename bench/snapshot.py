"""What one snapshot of Common Crawl would cost, from rates measured here; docs/scale.md has the sheet.

    python bench/snapshot.py WARC... [--documents 2000000]

Measures CPU seconds (of all processes, start-up included) and the largest process of `glassmill corpus` on real pages,
the search for duplicates on synthetic keys (`bench/dedup.py`), and encoding with a vocabulary of 100,277. CPU seconds
hardly depend on what else the machine does; wall time is not used.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from dedup import COLUMNS, run_tasks, write_documents
from machine import machine

from glassmill.corpus.dedup.duplicates import find_duplicates
from glassmill.recipe import DedupSettings
from glassmill.run.shards import find_shards
from glassmill.tokens.tokenizer import Tokenizer

FILES, PAGES, BYTES = 90_000, 2.7e9, 424e12
"""Of a snapshot: WARC files, pages, bytes without compression (CC-MAIN of 2025)."""
KEPT = 0.15
"""Share of pages that stay, assumed; what is measured here is no sample of the web."""
DOLLARS = 0.02, 0.05
"""Assumed price of a core for an hour."""


def corpus(warcs: list[Path], runs: Path) -> tuple[float, float, int, Path]:
    """CPU seconds, megabytes of the largest process, pages, and the run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "glassmill", "corpus", "web", f"corpus.inputs={json.dumps([*map(str, warcs)])}"]
    subprocess.run([*words, "--runs", str(runs)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (run,) = (runs / "corpus").glob("web-*")
    return seconds, after.ru_maxrss / 1024, json.loads((run / "stats.json").read_text())["records"], run


def unpacked_bytes(warc: Path) -> int:
    """Its size without compression."""
    with gzip.open(warc) as file:
        return sum(map(len, iter(lambda: file.read(1 << 24), b"")))


def duplicates(documents: int, folder: Path) -> float:
    """CPU seconds for a million documents."""
    rows, begin = write_documents(folder, documents), time.process_time()
    find_duplicates(rows, 0, COLUMNS, 256 << 20, folder / "work", run_tasks, DedupSettings().one_task)
    return (time.process_time() - begin) / documents * 1e6


def encoding(texts: list[str]) -> tuple[float, float]:
    """Megabytes of text in a CPU second, and bytes a token."""
    tokenizer, size = Tokenizer.load("cl100k_base"), sum(len(text.encode()) for text in texts)
    tokenizer.encode(texts[0])
    begin, tokens = time.process_time(), 0
    for text in texts:
        tokens += len(tokenizer.encode(text))
    return size / 1e6 / (time.process_time() - begin), size / tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warcs", type=Path, nargs="+")
    parser.add_argument("--documents", type=int, default=2_000_000)
    given = parser.parse_args()
    print(machine())
    raw = sum(map(unpacked_bytes, given.warcs))
    with tempfile.TemporaryDirectory() as folder:
        measured = [corpus(given.warcs, Path(folder) / f"{number}") for number in range(3)]
        seconds, memory, pages, run = sorted(measured, key=lambda one: one[0])[1]
        kept = [text for path in find_shards(run, "documents") for text in _texts(path)]
        per_million = duplicates(given.documents, Path(folder))
    rate, per_token = encoding(kept)
    characters = sum(len(text.encode()) for text in kept) / len(kept)
    print(f"{pages:,} pages, {raw / 1e6:.0f} MB without compression; {len(kept):,} kept, {characters:.0f} bytes each")
    print(f"{raw / 1e6 / seconds:.1f} MB or {pages / seconds:.0f} pages a CPU second; largest process {memory:.0f} MB")
    print(f"duplicates: {per_million:.1f} CPU s for a million documents; encoding: {rate:.0f} MB of text a CPU second")
    text, documents = PAGES * KEPT * characters, PAGES * KEPT
    hours = {
        "pages to documents": BYTES / 1e6 / (raw / 1e6 / seconds) / 3600,
        "duplicates": documents / 1e6 * per_million / 3600,
        "encoding": text / 1e6 / rate / 3600,
    }
    print(f"a snapshot: {text / 1e12:.1f} TB of text, {text / per_token / 1e12:.2f} T tokens; core-hours:")
    for name, value in [*hours.items(), ("in all", sum(hours.values()))]:
        print(f"  {name:20}{value:10,.0f}   {value * DOLLARS[0]:,.0f} to {value * DOLLARS[1]:,.0f} dollars")


def _texts(path: Path) -> list[str]:
    texts: list[str] = pq.read_table(path, columns=["text"]).column(0).to_pylist()
    return texts


if __name__ == "__main__":
    main()
