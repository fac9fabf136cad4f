"""Planted contamination: how much of it is found, how much is found that nobody planted, and what a document costs.

    python bench/contamination.py runs/corpus/web-3f9a1c --tasks copa,piqa,arc_easy,openbook_qa --task-files tasks

Rows of the tasks with 20 words or more are written into copies of the corpus's documents, each into one: as they are;
in other case and with other punctuation; with every tenth word replaced. As many rows are planted nowhere. Prints the
share found of each kind, and microseconds of processor time for a document.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from machine import machine

from glassmill.evals.contamination import Contamination, _pieces, look_into
from glassmill.evals.task_files import find_tasks
from glassmill.run.shards import find_shards, shard_name

LEAST_WORDS = 20
SHARD_ROWS = 5_000


def as_it_is(text: str, generator: random.Random) -> str:
    return text


def other_case(text: str, generator: random.Random) -> str:
    marks = (", ", " — ", " ", "; ", "\n", ": “", ".” ")
    return "".join(
        generator.choice((str.upper, str.title, str.lower))(word) + generator.choice(marks) for word in text.split()
    )


def words_changed(text: str, generator: random.Random) -> str:
    words = text.split()
    for place in range(generator.randrange(10), len(words), 10):
        words[place] = generator.choice(("otherwise", "windmill", "seven", "quietly"))
    return " ".join(words)


KINDS = {"as it is": as_it_is, "case and marks changed": other_case, "every tenth word changed": words_changed}


def timed(corpus: Path, texts: list[str]) -> tuple[Contamination, str]:
    """What was found, and the times in words: the least of three."""
    reading, ready, whole = [], [], []
    for _ in range(3):
        began = time.process_time()
        for shard in find_shards(corpus, "documents"):
            for _piece in _pieces(shard):
                pass
        reading.append(time.process_time() - began)
        Contamination(texts)
        ready.append(time.process_time() - began - reading[-1])
        began = time.process_time()
        found = look_into(corpus, texts, lambda done, total: None)
        whole.append(time.process_time() - began)
    looking = (min(whole) - min(ready) - min(reading)) / max(1, found.documents) * 1e6
    read = min(reading) / max(1, found.documents) * 1e6
    return found, f"{min(ready):.2f} s for the rows, a document {looking:.1f} µs and {read:.1f} to read it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--tasks", required=True)
    parser.add_argument("--task-files", type=Path, default=Path("tasks"))
    parser.add_argument("--each", type=int, default=500, help="rows planted of each kind")
    args = parser.parse_args()
    print(machine())
    generator = random.Random(7)
    tasks, _ = find_tasks(args.tasks.split(","), args.task_files, shots=0)
    everything = [f"{item.question} {item.answer}" for task in tasks for item in task.items]
    found, told = timed(args.corpus, everything)
    before = [verdict.state for verdict in found.verdicts]
    print(f"{len(everything):,} rows, {found.documents:,} documents: {told}, found {before.count('exact')} exact")
    long = [
        place for place, text in enumerate(everything) if before[place] == "clean" and len(text.split()) >= LEAST_WORDS
    ]
    chosen = generator.sample(long, min(len(long), args.each * (len(KINDS) + 1)))
    each = len(chosen) // (len(KINDS) + 1)
    shards = find_shards(args.corpus, "documents")
    documents = [text for shard in shards for text in pq.read_table(shard, columns=["text"])["text"].to_pylist()]
    characters = sum(map(len, documents)) / len(documents)
    planted_in = generator.sample(range(len(documents)), min(len(documents), each * len(KINDS)))
    for number, place in enumerate(planted_in):
        text = everything[chosen[number]]
        words = documents[place].split(" ")
        cut = generator.randrange(len(words))
        planted = list(KINDS.values())[number // each](text, generator)
        documents[place] = " ".join([*words[:cut], planted, *words[cut:]])
    with tempfile.TemporaryDirectory() as folder:
        for begin in range(0, len(documents), SHARD_ROWS):
            rows = documents[begin : begin + SHARD_ROWS]
            table = pa.table({"url": [str(begin + number) for number in range(len(rows))], "text": rows})
            shard = Path(folder) / shard_name("documents", begin // SHARD_ROWS)
            shard.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, shard)
        found, told = timed(Path(folder), everything)
    print(f"planted {len(planted_in):,}: {told}, {characters:,.0f} characters")
    for kind, name in enumerate(KINDS):
        its = [found.verdicts[chosen[number]] for number in range(len(planted_in)) if number // each == kind]
        where = [place for number, place in enumerate(planted_in) if number // each == kind]
        states = [verdict.state for verdict in its]
        named = sum(
            str(place) in {page.url for page in verdict.pages} for verdict, place in zip(its, where, strict=True)
        )
        exact, fuzzy, right = states.count("exact"), states.count("fuzzy"), named / len(its)
        print(
            f"{name:<26} {(exact + fuzzy) / len(its):.1%} found: {exact} exact, {fuzzy} fuzzy; page named {right:.1%}"
        )
    others = [found.verdicts[place].state for place in chosen[len(planted_in) :]]
    print(f"{'planted nowhere':<26} {1 - others.count('clean') / max(1, len(others)):.1%} of {len(others)} found")
    print(f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB, with the copies")


if __name__ == "__main__":
    main()
