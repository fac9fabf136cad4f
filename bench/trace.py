"""Tracing a text to the training documents: time, size and memory of the index, and how long a trace takes.

    python bench/trace.py                           # 100 million tokens of GPT-2's vocabulary
    python bench/trace.py --tokens 20000000 --threads 1 --text some.txt

The ids are documents of 200 to 2,000 tokens, cut from real text (the classics beside the checkout) at random places, in
which every tenth token is another one of that text: of real text there are not 100 million here. Texts of 100 tokens of
the same kind are traced, as the page does, but for the URLs: once the files have left the page cache, and again. Beside
it, if it is installed (`pip install pydivsufsort`), libdivsufsort sorts the suffixes of one part, in turns with ours,
on one thread each, in CPU time; libsais and infini-gram have no package on PyPI.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
from machine import machine

from glassmill.recipe import Recipe
from glassmill.run.folder import Identity, open_run
from glassmill.run.memory import peak_memory
from glassmill.tokens.plain_suffixes import unpacked
from glassmill.tokens.shards import Shards
from glassmill.tokens.suffixes import FOLDER, build, sorted_suffixes
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.trace.origins import Origin
from glassmill.trace.tracer import Tracer

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TEXT, TOKENIZER = DATA / "text" / "classics.train.txt", DATA / "tokenizers" / "r50k_base.tiktoken"
SHARD_TOKENS = 16_000_000
QUERY_TOKENS = 100
NOISE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=100_000_000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--texts", type=int, default=100, help="texts to trace")
    parser.add_argument("--peer-tokens", type=int, default=4_000_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--folder", type=Path, help="where the files are written; default: the temporary folder")
    parser.add_argument("--only-build", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only_build:
        build_alone(arguments.only_build, arguments.threads)
        return
    tokenizer = Tokenizer.load(TOKENIZER)
    real = tokenizer.encode(arguments.text.read_text(encoding="utf-8")).astype(np.uint16)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        run, chance = Path(name) / "tokens", np.random.default_rng(1)
        write_run(run, real, arguments.tokens, tokenizer.document_end_id, tokenizer.vocab_size, chance)
        tokenizer.save(Path(name) / "tokenizer")
        print(f"{machine()}, numpy {np.__version__}")
        print(f"{arguments.tokens:,} ids of 2 bytes, from {len(real):,} of real text")
        command = [sys.executable, __file__, "--only-build", str(run), "--threads", str(arguments.threads)]
        subprocess.run(command, check=True)
        texts = [tokenizer.decode(ids) for ids in pieces(real, chance, arguments.texts)]
        trace_texts(Origin(run, Path(name) / "tokenizer", None, None), texts)
    compare(noisy(real, arguments.peer_tokens, tokenizer.document_end_id, chance), arguments.pairs)


def noisy(real: np.ndarray, count: int, end_id: int, chance: np.random.Generator) -> np.ndarray:
    """`count` ids: documents from random places of the real text, every tenth id replaced."""
    ids, done = np.empty(count, dtype=np.uint16), 0
    while done < count:
        length = min(int(chance.integers(200, 2000)), count - done)
        start = int(chance.integers(len(real) - length))
        ids[done : done + length] = real[start : start + length]
        ids[done + length - 1] = end_id
        done += length
    other = np.flatnonzero((chance.random(count, dtype=np.float32) < NOISE) & (ids != end_id))
    ids[other] = chance.choice(real, len(other))
    return ids


def pieces(real: np.ndarray, chance: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Texts to trace: as the documents, none of which they are."""
    for _ in range(count):
        yield noisy(real, QUERY_TOKENS + 1, -1 % (1 << 16), chance)[:-1]


def write_run(
    path: Path, real: np.ndarray, tokens: int, end_id: int, vocab_size: int, chance: np.random.Generator
) -> None:
    """A finished tokens run of so many training ids."""
    shards = []
    with open_run(path, Identity("tokens", 1, {}), Recipe()) as run:
        (path / "shards").mkdir()
        for number, first in enumerate(range(0, tokens, SHARD_TOKENS)):
            ids = noisy(real, min(SHARD_TOKENS, tokens - first), end_id, chance)
            ends = np.flatnonzero(ids == end_id)[:-1] + 1
            firsts = np.concatenate([[0], ends]).astype(np.uint64)
            stem = f"shards/train-{number:05d}"
            ids.astype("<u2").tofile(path / f"{stem}.bin")
            np.save(path / f"{stem}.documents.npy", np.stack([firsts, np.arange(len(firsts), dtype=np.uint64)], axis=1))
            files = {"file": f"{stem}.bin", "documents_file": f"{stem}.documents.npy", "corpus": "none"}
            shards.append({**files, "tokens": len(ids), "documents": len(firsts), "bytes": 0})
        sums = {name: sum(int(str(shard[name])) for shard in shards) for name in ("tokens", "documents", "bytes")}
        nothing = {"tokens": 0, "documents": 0, "bytes": 0, "shards": []}
        index = {"dtype": "uint16", "vocab_size": vocab_size, "eos_id": end_id, "train": {**sums, "shards": shards}}
        run.write_json("index.json", {**index, "validation": nothing})
        run.finish({})


def build_alone(run: Path, threads: int) -> None:
    """In a process of its own, so that its peak memory can be told."""
    tokens, before = len(Shards(run)), peak_memory()
    seconds, cpu = timed(lambda: build(run, threads))
    size = sum(file.stat().st_size for file in (run / FOLDER).iterdir())
    mapped = sum(file.stat().st_size for file in (run / "shards").glob("*.bin"))
    print(f"index built in {seconds:.1f} s ({tokens / seconds / 1e6:.1f} M tokens/s), {cpu:.1f} s of CPU time")
    print(f"{size / tokens:.2f} bytes a token, {(size + mapped) / tokens:.2f} with the ids")
    added = (peak_memory() - before) / (1 << 20)
    print(f"peak memory {added:.0f} MB beyond the start's, of it at most {mapped / (1 << 20):.0f} MB mapped ids")


def trace_texts(origin: Origin, texts: list[str]) -> None:
    opened, _ = timed(lambda: Tracer(origin))
    tracer = Tracer(origin)
    forget(origin.tokens)
    for name in ("files not in memory", "files in memory"):
        seconds = [timed(lambda text=text: tracer.trace(text))[0] for text in texts]  # type: ignore[misc]
        middle, most = 1000 * median(seconds), 1000 * max(seconds)
        print(f"trace of {QUERY_TOKENS} tokens, {name}: median {middle:.0f} ms, longest {most:.0f} ms")
    found = [tracer.trace(text)["stretches"] for text in texts]
    length = median(len(one["text"]) for some in found for one in some)
    number = median(map(len, found))
    print(f"{number:.0f} stretches a text, {length:.0f} characters each (medians); opening the index {opened:.2f} s")


def forget(folder: Path) -> None:
    """Asks the system to drop the files from its page cache."""
    for file in [path for path in folder.rglob("*.bin") if hasattr(os, "posix_fadvise")]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def compare(ids: np.ndarray, pairs: int) -> None:
    """Ours and libdivsufsort in turns, one thread each."""
    try:
        from pydivsufsort import divsufsort
    except ImportError:
        print("pydivsufsort is not installed: no peer")
        return
    alphabet, ours, theirs = int(ids.max()) + 1, [], []
    for _ in range(pairs):
        ours.append(timed(lambda: sorted_suffixes(ids, alphabet))[1])
        theirs.append(timed(lambda: divsufsort(ids))[1])
    same = np.array_equal(unpacked(sorted_suffixes(ids, alphabet)), divsufsort(ids))
    ratio = median(other / own for own, other in zip(ours, theirs, strict=True))
    rates = " and ".join(f"{len(ids) / median(some) / 1e6:.1f}" for some in (ours, theirs))
    print(f"sorting {len(ids):,} ids, ours and pydivsufsort: {rates} M tokens/s ({ratio:.1f} times), the same: {same}")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of CPU time."""
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - cpu


if __name__ == "__main__":
    main()
