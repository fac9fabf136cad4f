"""The native tokenizer against its peers, in one run on one text: training, encoding, a short prompt.

    python bench/tokenizer.py FOLDER_OR_FILE... [--megabytes 100] [--vocabularies 32000 100000] [--pairs 3]

Texts are .txt files, or .jsonl with one string a line; with none, the real text beside the checkout is used. Every
figure is the median of `--pairs` runs in which ours and the peer take turns. Peers: rustbpe and tokenizers for
training; tiktoken, gigatoken, quicktok and tokenizers for encoding (`pip install rustbpe tokenizers tiktoken
gigatoken quicktok-v1`). Training streams documents from a generator in a process of its own, so that its peak memory
can be told; cl100k's ranks are read from ../shared/data/tokenizers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median

from machine import machine

from glassmill import native
from glassmill.run.memory import peak_memory

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
LONGEST_DOCUMENT = 60_000


def documents(paths: list[Path], megabytes: float) -> Iterator[str]:
    """The texts, in parts of at most 60,000 characters, until there are `megabytes` of them."""
    left = megabytes * 1e6
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as file:
            texts = map(json.loads, file) if path.suffix == ".jsonl" else iter(lambda: file.read(LONGEST_DOCUMENT), "")
            for text in texts:
                for start in range(0, len(text), LONGEST_DOCUMENT):
                    part = text[start : start + LONGEST_DOCUMENT]
                    yield part
                    left -= len(part.encode())
                    if left <= 0:
                        return


def train(trainer: str, paths: list[Path], megabytes: float, vocabulary: int, threads: int) -> None:
    """One training, in this process; prints seconds and peak memory."""
    texts = documents(paths, megabytes)
    start = time.perf_counter()
    if trainer == "glassmill":
        ours = native.Trainer("llama3", threads=threads)
        ours.add(texts)
        ours.train(vocabulary)
    elif trainer == "rustbpe":
        import rustbpe

        rustbpe.Tokenizer().train_from_iterator(texts, vocabulary, pattern=LLAMA3)
    else:
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
        )
        settings = trainers.BpeTrainer(
            vocab_size=vocabulary, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
        tokenizer.train_from_iterator(texts, settings)
    seconds = time.perf_counter() - start
    peak = peak_memory() / (1 << 20)
    print(json.dumps({"seconds": seconds, "cpu": time.process_time(), "megabytes": peak}))


def run_training(trainer: str, arguments: argparse.Namespace, vocabulary: int, threads: int) -> dict[str, float]:
    """`train` in a child: the peers take their number of threads from the environment."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    call = [sys.executable, __file__, *map(str, arguments.texts), "--megabytes", str(arguments.megabytes)]
    call += ["--only", trainer, "--vocabularies", str(vocabulary), "--threads", str(threads)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare_training(arguments: argparse.Namespace) -> None:
    given = sum(len(text.encode()) for text in documents(arguments.texts, arguments.megabytes)) / 1e6
    print(f"\ntraining on {given:.0f} MB, streamed: medians, and how many times ours")
    for vocabulary in arguments.vocabularies:
        for threads in arguments.num_threads:
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.trainers}
            for _ in range(arguments.pairs):
                for name in runs:
                    runs[name].append(run_training(name, arguments, vocabulary, threads))
            middle = {
                name: {key: median(run[key] for run in done) for key in ("seconds", "cpu", "megabytes")}
                for name, done in runs.items()
            }
            ours = middle["glassmill"]
            print(f"  {vocabulary} symbols, {threads} thread(s)")
            for name, one in middle.items():
                ratios = f"{one['seconds'] / ours['seconds']:.1f}x wall, {one['cpu'] / ours['cpu']:.1f}x CPU"
                print(
                    f"    {name:10} {one['seconds']:7.2f} s wall {one['cpu']:7.2f} s CPU"
                    f" {one['megabytes']:6.0f} MB   {ratios}",
                    flush=True,
                )


def encoders(ranks_path: Path) -> dict[str, tuple[Callable[[str], object], Callable[[list[str], int], object] | None]]:
    """For each engine: one text, and a batch on several threads."""
    import base64

    import gigatoken
    import quicktok
    import tiktoken

    lines = (line.split() for line in ranks_path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(symbol): int(rank) for symbol, rank in lines}
    ours = native.Encoder(ranks, "cl100k_base")
    reference = tiktoken.Encoding("cl100k", pat_str=CL100K, mergeable_ranks=ranks, special_tokens={})
    giga = gigatoken.Tokenizer.from_tiktoken(str(ranks_path))
    quick = quicktok.get_encoding("cl100k_base")
    return {
        "glassmill": (ours.encode, lambda texts, threads: ours.encode_flat(texts, threads)),
        "tiktoken": (
            lambda text: reference.encode_to_numpy(text, disallowed_special=()),
            lambda texts, threads: reference.encode_ordinary_batch(texts, num_threads=threads),
        ),
        "gigatoken": (giga.encode, lambda texts, threads: giga.encode_batch(texts, parallel=threads > 1)),
        "quicktok": (quick.encode_ordinary, None),
    }


def compare_encoding(arguments: argparse.Namespace) -> None:
    engines = encoders(DATA / "tokenizers" / "cl100k_base.tiktoken")
    for path in arguments.texts:
        texts = list(documents([path], arguments.encode_megabytes))
        size = sum(len(text.encode()) for text in texts) / 1e6
        print(f"\nencoding {path.name}, {size:.1f} MB, cl100k: MB/s, first pass and median")
        print("  (one thread: of CPU time; more: of wall time)")
        for threads in arguments.num_threads:
            rates: dict[str, list[float]] = {name: [] for name in engines}
            for _ in range(arguments.pairs + 1):
                for name, (one, batch) in engines.items():
                    copies = [text.encode().decode() for text in texts]  # no engine may profit from a cached UTF-8
                    if threads > 1 and batch is None:
                        continue
                    clock = time.process_time if threads == 1 else time.perf_counter
                    start = clock()
                    if threads == 1:
                        for text in copies:
                            one(text)
                    else:
                        assert batch is not None
                        batch(copies, threads)
                    rates[name].append(size / (clock() - start))
            row = [f"{name} {r[0]:.0f}, {median(r[1:]):.0f}" for name, r in rates.items() if r]
            ours = median(rates["glassmill"][1:])
            ratios = [f"{ours / median(r[1:]):.2f}x {name}" for name, r in rates.items() if r and name != "glassmill"]
            print(f"  {threads} thread(s): {'; '.join(row)}: {', '.join(ratios)}", flush=True)
    prompt = next(documents(arguments.texts, 1))[2000:2100]
    print("\na prompt of 100 characters: microseconds, median of 20,000")
    for name, (one, _) in engines.items():
        times = []
        for _ in range(20_000):
            start = time.perf_counter_ns()
            one(prompt)
            times.append(time.perf_counter_ns() - start)
        print(f"  {name} {median(times) / 1000:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--encode-megabytes", type=float, default=20)
    parser.add_argument("--vocabularies", type=int, nargs="*", default=[32_000, 100_000])
    parser.add_argument("--num-threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--skip-encoding", action="store_true")
    parser.add_argument("--trainers", nargs="*", default=["glassmill", "rustbpe", "tokenizers"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.texts = [
        file for path in arguments.texts for file in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]
    arguments.texts = arguments.texts or [DATA / "text" / "classics.train.txt"]
    if arguments.only:
        train(arguments.only, arguments.texts, arguments.megabytes, arguments.vocabularies[0], arguments.threads)
        return
    peers = ("rustbpe", "tokenizers", "tiktoken", "gigatoken", "quicktok-v1")
    print(machine())
    print(", ".join(f"{name} {version(name)}" for name in peers))
    if arguments.vocabularies:
        compare_training(arguments)
    if not arguments.skip_encoding:
        compare_encoding(arguments)


if __name__ == "__main__":
    main()
