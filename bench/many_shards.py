"""Many small files through corpus, tokens and some steps of training: what the leading process takes.

    python bench/many_shards.py                                # 90,000 files of a page, 500 a shard
    python bench/many_shards.py --files 3000 --per-shard 1     # a shard a file: more shards than files may be open

The stages run as `glassmill run` with 1,024 open files allowed (`ulimit -n`). Printed: seconds and the peak memory of
the process that leads, for the first call and for the second one, which finds nothing to do; shards, and the entries
of the largest folder under the runs while they are made and afterwards. The filters are off, because the pages are
random words: what is measured are the files, not the pages.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import machine

OPEN_FILES = 1024
WORDS = 60
FILES_A_FOLDER = 1000
FILTERS = ("url", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb")
RECIPE = f"""
name = "many"
stages = ["corpus", "tokenizer", "tokens", "train"]

[corpus]
inputs = ["INPUTS"]
layers = LAYERS
{chr(10).join(f"{name}.enabled = false" for name in FILTERS)}

[tokenizer]
vocab_size = 512
[model]
d_model = 32
num_layers = 2
num_heads = 2
num_kv_heads = 1
head_dim = 16
d_ff = 64
context_length = 32
[train]
steps = 10
batch_tokens = 512
validation_tokens = 2048
"""
LEAD = """
import sys
import glassmill.corpus.read.cut as cut
cut.FILES_PER_SHARD = int(sys.argv.pop(1))
from glassmill.cli import main
try:
    main()
finally:
    from glassmill.run.memory import peak_memory
    print("peak", peak_memory(), file=sys.stderr)
"""
"""The command line as users have it, with the files of a shard as the bench is asked for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=90_000)
    parser.add_argument("--per-shard", type=int, default=500)
    parser.add_argument("--layers", action="store_true", help="also keep layers")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_files(place / "web", given.files)
        text = RECIPE.replace("INPUTS", str(place / "web")).replace("LAYERS", str(given.layers).lower())
        (place / "many.toml").write_text(text)
        for name in ("first", "second"):
            seconds, peak, largest = call(place, given.per_shard)
            print(
                f"{name} call: {seconds:.1f} s, leading process {peak / 1e6:.0f} MB, largest folder {largest:,} entries"
            )
        for kind in ("corpus", "tokens"):
            (run,) = (path for path in (place / "runs" / kind).iterdir() if not path.name.startswith("."))
            files = sum(path.is_file() for path in (run / "shards").rglob("*"))
            print(f"{kind}: {files:,} files in shards/, manifest {(run / 'manifest.json').stat().st_size / 1e6:.1f} MB")


def write_files(folder: Path, count: int) -> None:
    """WARC files of one page each."""
    words = random.Random(1)
    vocabulary = ["".join(words.choices("abcdefghijklmnopqrstuvwxyz", k=words.randint(2, 9))) for _ in range(3000)]
    for number in range(count):
        text = " ".join(words.choices(vocabulary, k=WORDS))
        block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>Page {number}. {text}.</p>".encode()
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x{number}.example/\r\n"
        data = head.encode() + b"Content-Length: %d\r\n\r\n" % len(block) + block + b"\r\n\r\n"
        path = folder / f"{number // FILES_A_FOLDER:03d}" / f"{number:06d}.warc.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data, 1))


def call(place: Path, per_shard: int) -> tuple[float, int, int]:
    """One `glassmill run`: seconds, peak bytes of the leading process, entries of the largest folder seen."""
    runs = place / "runs"
    command = [sys.executable, "-c", LEAD, str(per_shard), "run", str(place / "many.toml"), "--runs", str(runs)]
    begin = time.perf_counter()
    environment = {**os.environ, "GLASSMILL_CACHE": str(place / "cache")}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=_few_files
    )
    largest = [0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(runs, ended, largest))
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - begin
    ended.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(errors[-2000:])
    return seconds, int(errors.rpartition("peak ")[2].split()[0]), largest[0]


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def _watch(runs: Path, ended: threading.Event, largest: list[int]) -> None:
    """Looks every few seconds at all folders, and once more at the end."""
    while True:
        last = ended.wait(5)
        for _, folders, files in os.walk(runs):
            largest[0] = max(largest[0], len(folders) + len(files))
        if last:
            return


if __name__ == "__main__":
    main()
