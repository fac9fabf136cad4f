"""Damaged and hostile files, by the thousand: what is accepted with other content, crashes, hangs or eats memory?

    python bench/mutants.py                 10,000 mutants, about ten minutes on two cores; prints one table
    python bench/mutants.py --count 500 --seed 3 --kinds gguf,recipe

Good files of every kind are made once. A mutant is a copy with a few changes drawn from a seed: bits flipped, ranges
cut, zeroed, swapped or spliced, sizes that lie, JSON values replaced by extreme ones, keys doubled, nests of brackets,
files missing or exchanged. The real loader reads it in a process of its own, with limits of memory and time.

    refused     one line (UserError), as it should be
    same        accepted, and the content is that of the good file (the change was in something that says nothing)
    valid       accepted, with exactly what the changed file says, where there is no checksum to know better
    other       accepted, with content that is neither: a failure, as are tracebacks, hangs and more than 1 GB
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

TIME_S = 30.0
MEMORY = 1 << 30
OUTCOMES = ("refused", "same", "valid", "other", "traceback", "hang", "memory")
FAILURES = OUTCOMES[3:]

# --- good files -------------------------------------------------------------------------------------------------------


def make_samples(folder: Path) -> None:
    """One good file or folder of every kind."""
    import numpy as np
    import torch
    from safetensors.torch import save_file

    from glassmill.export.gguf_file import export_gguf
    from glassmill.infer.folder import save_folder
    from glassmill.model.config import ModelConfig
    from glassmill.model.transformer import Transformer
    from glassmill.recipe import Recipe
    from glassmill.run.files import atomic_write
    from glassmill.run.folder import Identity, open_run
    from glassmill.tokens.split import PATTERNS
    from glassmill.tokens.tokenizer import Tokenizer
    from glassmill.train.checkpoint import Checkpoint, save_checkpoint

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    ranks = {bytes([value]): value for value in range(256)} | {b"th": 256, b"the": 257}
    tokenizer = Tokenizer.from_ranks(ranks, PATTERNS["llama3"], special={"<|endoftext|>": 258}, eos="<|endoftext|>")
    model = Transformer(ModelConfig(260, 16, 2, 2, 1, 8, 24, 64, qk_norm=False))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_folder(folder / "model", model.eval(), tokenizer, {"made_by": "bench/mutants.py", "steps": 3})
    export_gguf(folder / "model", folder / "gguf" / "model.gguf", "f16")
    foreign = Path(shutil.copytree(folder / "model", folder / "foreign"))
    for name in ("glassmill.json", "model.safetensors", "vocab.tiktoken", "meta.json"):
        (foreign / name).unlink()
    weights = dict(model.state_dict())
    places = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(weights)}
    for file in set(places.values()):
        save_file({name: weights[name] for name in weights if places[name] == file}, foreign / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": places}
    (foreign / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    tokenizer.save(folder / "vocabulary")
    for name in ("vocab.tiktoken", "meta.json"):
        (folder / "vocabulary" / name).unlink()
    state = {"w": torch.randn(40), "b": torch.randn(3, 4)}
    for step in (10, 20):
        save_checkpoint(
            folder / "checkpoint", Checkpoint(step, state, {f"adamw.{name}": t for name, t in state.items()})
        )
    shutil.rmtree(folder / "checkpoint" / "step-00000010")
    with open_run(folder / "ids", Identity("tokens", 1, {}), Recipe()) as run:
        index = {"dtype": "uint16", "vocab_size": 260, "eos_id": 258}
        for split, count in (("train", 400), ("validation", 50)):
            ids = np.random.default_rng(count).integers(0, 258, count).astype("<u2")
            atomic_write(run.shard_path(f"{split}-00000.bin"), ids.tobytes())
            np.save(
                run.shard_path(f"{split}-00000.documents.npy"), np.array([[0, 0], [count // 2, 1]], dtype=np.uint64)
            )
            totals = {"tokens": count, "documents": 2, "bytes": 3 * count}
            names = {"file": f"shards/{split}-00000.bin", "documents_file": f"shards/{split}-00000.documents.npy"}
            index[split] = {**totals, "shards": [{**names, "corpus": "shards/documents-00000.parquet", **totals}]}
        run.write_json("index.json", index)
        run.finish({"seconds": 1})
    shutil.copy(Path(__file__).parents[1] / "recipes" / "demo.toml", _made(folder / "recipe") / "mine.toml")
    rows = [{"messages": _talk(number), "kind": "fact"} for number in range(12)]
    rows += [
        {"prompt": "Say hello", "completion": "hello"},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (_made(folder / "jsonl") / "talk.jsonl").write_text(lines, encoding="utf-8")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _talk(number: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"What is {number} plus 1? — é 水"},
        {"role": "assistant", "content": f"{number + 1}"},
    ]


# --- readers: what is read, as a digest -------------------------------------------------------------------------------


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()


def _tensors(tensors: dict[str, Any]) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    return [(name, str(t.dtype), tuple(t.shape), t.float().numpy().tobytes()) for name, t in sorted(tensors.items())]


def _loaded(folder: Path) -> str:
    from glassmill.infer.folder import load_folder

    loaded = load_folder(folder)
    tokenizer = loaded.tokenizer
    words = [tokenizer.encode(text).tolist() for text in ("the thing", "été 水\n 12")]
    facts = (loaded.config, words, tokenizer.special, tokenizer.eos_token, tokenizer.stop_ids, tokenizer.chat_template)
    return _digest((facts, _tensors(loaded.model.state_dict())))


def read_checkpoint(folder: Path) -> str:
    from glassmill.errors import UserError
    from glassmill.train.checkpoint import newest_checkpoint

    found = newest_checkpoint(folder)
    if found is None:
        raise UserError("no checkpoint can be read")
    return _digest((found.step, _tensors(found.weights), _tensors(found.optimizer)))


def read_ids(folder: Path) -> str:
    from glassmill.tokens.shards import Shards

    both = [Shards(folder, "train"), Shards(folder, "validation")]
    return _digest([(one.vocab_size, one.eos_id, one.num_bytes, one.ids.tobytes(), one.documents()) for one in both])


def read_gguf(folder: Path) -> str:
    from glassmill.export.importing import import_weights

    out = folder / "imported"
    import_weights(folder / "model.gguf", out, "float32")
    return _loaded(out)


def read_vocabulary(folder: Path) -> str:
    from glassmill.tokens.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder)
    ids = [tokenizer.encode(text).tolist() for text in ("the thing", "été 水\n 12")]
    return _digest((ids, [tokenizer.decode(one) for one in ids], tokenizer.special, tokenizer.eos_token))


def read_recipe(folder: Path) -> str:
    from glassmill.recipe import load_recipe

    return _digest(load_recipe(folder / "mine.toml").model_dump())


def read_jsonl(folder: Path) -> str:
    from glassmill.tune.reading import read_conversations

    return _digest([placed.conversation for placed in read_conversations([str(folder / "talk.jsonl")])])


READERS: dict[str, Callable[[Path], str]] = {
    "checkpoint": read_checkpoint,
    "ids": read_ids,
    "model": _loaded,
    "foreign": _loaded,
    "gguf": read_gguf,
    "vocabulary": read_vocabulary,
    "recipe": read_recipe,
    "jsonl": read_jsonl,
}
WITHOUT_CHECKSUM = ("foreign", "vocabulary", "recipe", "jsonl")


def says_the_same(kind: str, folder: Path) -> bool:
    """Whether a simple reader of the changed file agrees with what was accepted; only weights can be compared so."""
    if kind != "foreign":
        return True
    from safetensors.torch import load_file

    from glassmill.infer.folder import load_folder

    loaded = load_folder(folder)
    stored: dict[str, Any] = {}
    for file in folder.glob("*.safetensors"):
        stored |= load_file(file)
    config = json.loads((folder / "config.json").read_bytes())
    ours = loaded.model.state_dict()
    return (
        all(name in stored and bool((stored[name].float() == weight).all()) for name, weight in ours.items())
        and all(bool(weight.isfinite().all()) for weight in ours.values())
        and len(config["architectures"]) >= 1
        and config["num_hidden_layers"] == loaded.config.num_layers
        and config["num_attention_heads"] == loaded.config.num_heads
        and loaded.tokenizer.vocab_size <= loaded.config.vocab_size
    )


# --- mutations --------------------------------------------------------------------------------------------------------

EXTREME: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 10**9, 10**30, -(10**30), 2**63, 1.5, -0.0, 1e308, 1e-308, "", "x", "\0", "\ud800",
    "../../etc/passwd", "/dev/zero", "a" * 10_000, [], {}, [[]], {"a": {}}, [None] * 50,
)  # fmt: skip
WORDS = (
    b"inf", b"nan", b"-inf", b"9" * 400, b"-1", b"0", b"1e999", b'"x"', b"[]", b"{}", b"true", b"\xff\xfe",
    b"\0", b"\x1b[31m",    b"[" * 3000, b'{"a":' * 3000, b"''", b'"""', b"1979-05-27T07:32:00Z", b"0x7fffffffffffffff",
    "\u2028\u202e".encode(), b"\r",
)  # fmt: skip


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """One change anywhere."""
    size = len(data)
    begin = chance.randrange(size + 1)
    if chance.random() < 0.4:  # headers are at the front
        begin = min(begin, chance.randrange(min(size, 2000) + 1))
    end = min(size, begin + chance.choice((1, 2, 8, 64, 1000)))
    part = data[begin:end]
    kind = chance.randrange(11)
    if kind <= 1 and size:
        place = begin % size
        return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]
    if kind == 2:
        return data[:begin]
    if kind == 3:
        return data[:begin] + bytes(len(part)) + data[end:]
    if kind == 4:
        other = chance.randrange(size + 1)
        return data[:begin] + data[other : other + len(part)] + data[end:]
    if kind == 5:
        return data[:begin] + chance.randbytes(len(part)) + data[begin:]
    if kind == 6:
        return data[:begin] + data[end:]
    if kind == 7:
        return data + chance.choice((b"\0", b"\n", data[:100], chance.randbytes(50)))
    if kind == 8:
        lie = chance.choice((0, 1, 2**31, 2**32 - 1, 2**40, 2**60, 2**63, 2**64 - 1)).to_bytes(8, "little")
        return data[:begin] + lie + data[begin + 8 :]
    if kind == 9:
        return data[:begin] + chance.choice(WORDS) + data[end if chance.random() < 0.5 else begin :]
    return data[:begin] + part * chance.choice((2, 3, 200)) + data[end:]


def mutate_json(data: bytes, chance: random.Random) -> bytes:
    """One value replaced, removed, renamed, doubled or wrapped."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, chance)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = (
            list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
        )
        for key, child in items[:200] if len(items) < 400 else chance.sample(items, 60):
            places.append((node, key))
            walk(child)

    walk(value)
    if not places:
        return json.dumps(chance.choice(EXTREME)).encode()
    node, key = chance.choice(places)
    kind = chance.randrange(8)
    if kind <= 3:
        node[key] = chance.choice(EXTREME)
    elif kind == 4:
        del node[key]
    elif kind == 5 and isinstance(node, dict):
        node[chance.choice((str(key) + "x", str(key).upper(), ""))] = node.pop(key)
    elif kind == 6:
        text = json.dumps(value)
        spelled = json.dumps(key) + ": "
        return text.replace(spelled, f"{spelled}{json.dumps(chance.choice(EXTREME))}, {spelled}", 1).encode()
    else:
        node[key] = [node[key]] if chance.random() < 0.5 else {"a": node[key]}
    text = json.dumps(value)
    return re.sub(r"\b1e\+308\b", chance.choice(("NaN", "Infinity", "1e999", "[" * 5000)), text).encode()


def mutate_text(data: bytes, chance: random.Random) -> bytes:
    """One line of a recipe or of JSONL changed as a whole."""
    lines = data.split(b"\n")
    place = chance.randrange(len(lines))
    line = lines[place]
    kind = chance.randrange(6)
    if kind == 0:
        lines.insert(chance.randrange(len(lines) + 1), line)
    elif kind == 1:
        lines[place] = chance.choice(WORDS)
    elif kind == 2 and b"=" in line:
        lines[place] = line.split(b"=")[0] + b"= " + chance.choice(WORDS)
    elif kind == 3 and line.startswith(b"{"):
        lines[place] = mutate_json(line, chance)
    elif kind == 4:
        lines[place], lines[-place - 1] = lines[-place - 1], line
    else:
        lines[place] = mutate_bytes(line, chance)
    return (b"\r\n" if chance.random() < 0.1 else b"\n").join(lines)


def mutate(folder: Path, chance: random.Random) -> None:
    """Changes a copy of a good file or folder in place."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "events.jsonl"))
    files = [path for path in files if path.name not in ("recipe.toml", "stats.json")]  # say nothing of the content
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        file = chance.choice(files)
        if len(files) > 1 and chance.random() < 0.06:
            other = chance.choice(files)
            how = chance.randrange(4)
            if how == 0:
                file.unlink(missing_ok=True)
                return
            if how == 1 and other.is_file():
                file.write_bytes(other.read_bytes())
            elif how == 2:
                file.unlink(missing_ok=True)
                file.mkdir(exist_ok=True)
                return
            else:
                file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
            continue
        data = file.read_bytes()
        if file.suffix == ".json" and chance.random() < 0.6:
            file.write_bytes(mutate_json(data, chance))
        elif file.suffix in (".toml", ".jsonl") and chance.random() < 0.7:
            file.write_bytes(mutate_text(data, chance))
        elif file.suffix == ".safetensors" and chance.random() < 0.4:
            length = int.from_bytes(data[:8], "little")
            header = mutate_json(data[8 : 8 + length], chance)
            size = len(header) if chance.random() < 0.8 else length
            file.write_bytes(size.to_bytes(8, "little") + header + data[8 + length :])
        else:
            file.write_bytes(mutate_bytes(data, chance))


# --- processes --------------------------------------------------------------------------------------------------------


def examine(kind: str, seed: int, samples: Path, good: dict[str, str], room: Path) -> tuple[str, str]:
    """Outcome of one mutant, and what was said."""
    from glassmill.errors import UserError

    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(samples / kind, room)
    mutate(room, random.Random(f"{kind} {seed}"))
    try:
        digest = READERS[kind](room)
        if digest == good[kind]:
            return "same", ""
        return ("valid" if kind in WITHOUT_CHECKSUM and says_the_same(kind, room) else "other"), ""
    except UserError as error:
        return ("traceback", f"more than one line: {error!r}") if "\n" in str(error) else ("refused", str(error))
    except MemoryError:
        return "memory", traceback.format_exc()
    except BaseException:
        return "traceback", traceback.format_exc()


def work(link: Connection, samples: Path, good: dict[str, str]) -> None:
    """Answers to (kind, seed) until the link closes; measures its own peak memory above the start."""
    import resource
    import warnings

    import torch

    from glassmill.run.memory import peak_memory

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as own:
        os.environ["GLASSMILL_CACHE"] = f"{own}/cache"
        room = Path(own) / "room"
        for kind in READERS:
            shutil.copytree(samples / kind, room)
            READERS[kind](room)  # imports everything once
            shutil.rmtree(room)
        before = peak_memory()
        status = Path("/proc/self/status").read_text().splitlines()
        used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        while True:
            try:
                kind, seed = link.recv()
            except EOFError:
                return
            outcome, said = examine(kind, seed, samples, good, room)
            if peak_memory() - before > MEMORY:
                outcome, said = "memory", f"{peak_memory() - before:,} bytes more than at the start"
            link.send((outcome, said))


def run(count: int, seed: int, kinds: list[str], workers: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Outcomes by kind, and the failures in words."""
    context = multiprocessing.get_context("spawn")
    table: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        samples = Path(base) / "samples"
        make_samples(samples)
        good: dict[str, str] = {}
        for kind in READERS:
            room = Path(shutil.copytree(samples / kind, Path(base) / "good" / kind))
            good[kind] = READERS[kind](room)
        todo = [(kinds[number % len(kinds)], seed * 10**6 + number) for number in range(count)]
        crew: list[tuple[Any, Connection, list[Any]]] = []

        def hire() -> tuple[Any, Connection, list[Any]]:
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, samples, good), daemon=True)
            process.start()
            theirs.close()
            return process, ours, []

        crew = [hire() for _ in range(min(workers, count))]
        while todo or any(job for _, _, job in crew):
            for place, (process, link, job) in enumerate(crew):
                if not job and todo:
                    task = todo.pop()
                    link.send(task)
                    job += [
                        task,
                        time.monotonic() + TIME_S + (60 if not sum(map(Counter.total, table.values())) else 0),
                    ]
                elif job:
                    (kind, number), limit = job
                    outcome, said = "", ""
                    try:
                        if link.poll(0.002):
                            outcome, said = link.recv()
                    except (EOFError, OSError):
                        outcome, said = "traceback", "the process died"
                        process.kill()
                        process.join(5)
                    if not outcome and time.monotonic() > limit:
                        outcome, said = "hang", f"more than {TIME_S} s"
                    if outcome:
                        table[kind][outcome] += 1
                        job.clear()
                        if outcome in FAILURES:
                            failures.append(f"{kind} {number}: {outcome}\n{said}")
                        if outcome in ("hang", "memory") or not process.is_alive():
                            process.kill()
                            crew[place] = hire()
        for process, link, _ in crew:
            link.close()
            process.join(5)
            process.kill()
    return table, failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(READERS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--show", type=int, default=10, help="failures to print")
    given = parser.parse_args()
    begin = time.monotonic()
    table, failures = run(given.count, given.seed, given.kinds.split(","), given.workers)
    for text in failures[: given.show]:
        print(text, file=sys.stderr)
    print(f"{'kind':<12}" + "".join(f"{name:>10}" for name in OUTCOMES))
    for kind, outcomes in [*table.items(), ("all", sum(table.values(), Counter()))]:
        print(f"{kind:<12}" + "".join(f"{outcomes[name]:>10,}" for name in OUTCOMES))
    print(f"{time.monotonic() - begin:.0f} s; failures: {len(failures)}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
