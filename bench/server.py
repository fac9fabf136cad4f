"""The server beside its engine, and in a crowd: `python bench/server.py speed`, `python bench/server.py crowd`.

speed   8 streams through HTTP against the same 8 completions given to the engine alone, in turn, tokens a second.
        Random weights of two shapes; `--model FOLDER` measures a model of yours instead. The clients run in a process
        of their own, on the same cores.
crowd   `--clients 300 --seconds 300`: streaming clients, a tenth of which leave in the middle. The model computes a
        chain in which every token follows from the one before, so each client knows its answer to the byte: a token of
        another stream would be seen at once. Prints wrong and broken streams, rows that were never given back, the
        server's memory at the beginning and the end, and the time to the first token.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from machine import machine

STREAMS, NEW_TOKENS, PAIRS = 8, 128, 5
LEAVING = 0.1
CHAIN = 251
"""Bytes of the chain: from `b` to `(7 b + 3) mod 251`, which visits all but one of them."""
HEAD = (
    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
)
SHAPES = {
    "1.7M": {"d_model": 160, "num_layers": 5, "num_heads": 5, "num_kv_heads": 5, "head_dim": 32, "d_ff": 448},
    "106M": {"d_model": 576, "num_layers": 30, "num_heads": 9, "num_kv_heads": 3, "head_dim": 64, "d_ff": 1536},
}


# --- the server's process ---------------------------------------------------------------------------------------------


def serve(folder: str, rows: int, pipe: Connection) -> None:
    """Serves a model folder; sends its port, then answers commands: engine, rows, end."""
    import threading

    from glassmill.infer.generate import Model
    from glassmill.serve.api import create_api
    from glassmill.serve.server import bind, make_server

    model = Model.load(folder, max_batch=rows)
    model.engine.max_waiting = 4 * rows
    listener = bind("127.0.0.1", 0)
    server = make_server(create_api(lambda: model))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    pipe.send(listener.getsockname()[1])
    while (command := pipe.recv()) != "end":
        if command == "engine":
            pipe.send(engine_alone(model))
        elif command == "cpu":
            pipe.send(time.process_time())
        else:
            stats = model.engine.stats()
            pipe.send((stats.running + stats.waiting, resident_mb()))


def engine_alone(model: Any) -> float:
    """Tokens a second of 8 greedy completions."""
    from glassmill.infer.sampling import SamplingParams

    params = SamplingParams(max_tokens=NEW_TOKENS, temperature=0.0, ignore_eos=True)
    start = time.perf_counter()
    running = model.engine.submit_all(prompts(), [params] * STREAMS)
    made = sum(completion.reply().num_completion_tokens for completion in running)
    return made / (time.perf_counter() - start)


def prompts() -> list[list[int]]:
    """Different for every stream, the same in both ways."""
    return [[1 + (7 * i + k) % 200 for k in range(32)] for i in range(STREAMS)]


def resident_mb() -> float:
    """Memory of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
    except OSError:
        return 0.0


# --- models -----------------------------------------------------------------------------------------------------------


def save_model(folder: Path, shape: dict[str, int] | None) -> None:
    """Random weights of a shape, or the chain."""
    import torch

    from glassmill.infer.folder import save_folder
    from glassmill.model.config import ModelConfig
    from glassmill.model.initial import initialize
    from glassmill.model.transformer import Transformer
    from glassmill.tokens.specials import special_ids
    from glassmill.tokens.split import OWN_PATTERN, PATTERNS
    from glassmill.tokens.tokenizer import Tokenizer

    symbols = {bytes([byte]): byte for byte in range(256)}
    tokenizer = Tokenizer.from_ranks(symbols, PATTERNS[OWN_PATTERN], special_ids(256))
    size = tokenizer.vocab_size
    if shape is not None:
        model = Transformer(ModelConfig(vocab_size=size, **{"context_length": 1024, **shape}))
        initialize(model, seed=0)
    else:
        blocks = {"num_layers": 1, "num_heads": 1, "num_kv_heads": 1, "head_dim": 8, "d_ff": 8, "context_length": 1024}
        model = Transformer(ModelConfig(vocab_size=size, d_model=size, tie_embeddings=False, **blocks))
        initialize(model, seed=0)
        assert model.lm_head is not None
        with torch.no_grad():
            model.model.embed_tokens.weight.copy_(torch.eye(size))
            model.lm_head.weight.zero_()
            for name, weight in model.named_parameters():
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    weight.zero_()
            for byte in range(CHAIN):
                model.lm_head.weight[(7 * byte + 3) % CHAIN, byte] = 10.0
    save_folder(folder, model, tokenizer, {})


# --- clients ----------------------------------------------------------------------------------------------------------


async def stream(port: int, body: dict[str, Any], leave_after: int | None = None) -> tuple[list[int], float, bool]:
    """Token ids of a streamed completion, seconds to the first, and whether it came to its end."""
    written = json.dumps(body | {"stream": True, "return_token_ids": True, "temperature": 0}).encode()
    start, first, ids = time.perf_counter(), 0.0, list[int]()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HEAD.format(len(written)).encode() + written)
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if "error" in event:
                    raise ConnectionError(event["error"]["message"])
                first = first or time.perf_counter() - start
                ids += event["choices"][0]["token_ids"]
                if leave_after is not None and len(ids) >= leave_after:
                    return ids, first, False
            elif line.startswith(b"data: [DONE]"):
                return ids, first, True
            elif line.startswith(b'{"error"'):
                raise ConnectionError(line.decode())
        raise ConnectionError("a stream ended early")
    finally:
        writer.close()


async def through_http(port: int) -> float:
    """Tokens a second of 8 streams."""
    body = {"max_tokens": NEW_TOKENS, "ignore_eos": True}
    start = time.perf_counter()
    answers = await asyncio.gather(*(stream(port, body | {"prompt": prompt}) for prompt in prompts()))
    return sum(len(ids) for ids, _, _ in answers) / (time.perf_counter() - start)


class Crowd:
    """What happened to all clients."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.end = port, time.monotonic() + seconds
        self.right = self.wrong = self.left = 0
        self.broken = collections.Counter[str]()
        self.first: list[float] = []

    async def client(self, number: int) -> None:
        """Ask, compare with what has to come, ask again."""
        chance = random.Random(number)
        while time.monotonic() < self.end:
            byte, length = chance.randrange(1, CHAIN), chance.randrange(20, 300)
            wanted = [byte]
            for _ in range(length):
                wanted.append((7 * wanted[-1] + 3) % CHAIN)
            leaves = chance.randrange(1, length) if chance.random() < LEAVING else None
            body = {"prompt": [chance.randrange(1, 200) for _ in range(chance.randrange(1, 60))] + [byte]}
            try:
                ids, first, whole = await stream(self.port, body | {"max_tokens": length, "ignore_eos": True}, leaves)
            except OSError as error:
                self.broken[str(error)[:80]] += 1
                await asyncio.sleep(0.5)
                continue
            self.first.append(first)
            same = ids == wanted[1 : len(ids) + 1] and (len(ids) == length or not whole)
            self.right, self.wrong, self.left = self.right + same, self.wrong + (not same), self.left + (not whole)


# --- the two measurements ---------------------------------------------------------------------------------------------


def started(folder: Path, rows: int) -> tuple[Any, Connection, int]:
    """The server's process, the pipe to it, and its port."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(str(folder), rows, there), daemon=True)
    server.start()
    return server, here, here.recv()


def asked(pipe: Connection, command: str) -> Any:
    """What the server's process says."""
    pipe.send(command)
    return pipe.recv()


def speed(folder: Path, name: str, pairs: int) -> None:
    """Prints the two speeds, their ratio, and what a token costs."""
    server, pipe, port = started(folder, STREAMS)
    speeds: dict[str, list[float]] = {"engine": [], "http": []}
    costs: dict[str, list[float]] = {"engine": [], "http": []}
    try:
        for pair in range(pairs + 1):
            for way in ("engine", "http"):
                before = asked(pipe, "cpu")
                made = asked(pipe, "engine") if way == "engine" else asyncio.run(through_http(port))
                if pair:  # the first one warms up
                    speeds[way].append(made)
                    costs[way].append((asked(pipe, "cpu") - before) / (STREAMS * NEW_TOKENS))
    finally:
        server.terminate()
        server.join(20)
    ratio = statistics.median(b / a for a, b in zip(speeds["engine"], speeds["http"], strict=True))
    alone, served = (statistics.median(speeds[way]) for way in ("engine", "http"))
    print(f"{name}: engine alone {alone:,.0f} tokens/s, {STREAMS} HTTP streams {served:,.0f}: {ratio:.2f}")
    alone, served = (1e6 * statistics.median(costs[way]) for way in ("engine", "http"))
    print(f"   CPU time of the process for a token, us: alone {alone:,.0f}, with HTTP {served:,.0f}")


def crowd(folder: Path, clients: int, seconds: float) -> None:
    """Prints what the clients saw."""
    server, pipe, port = started(folder, 64)

    async def run() -> tuple[Crowd, list[float]]:
        memory: list[float] = []

        async def watch(end: float) -> None:
            while time.monotonic() < end:
                memory.append((await asyncio.to_thread(asked, pipe, "rows"))[1])
                await asyncio.sleep(max(1.0, seconds / 60))

        all_of_them = Crowd(port, seconds)
        await asyncio.gather(watch(all_of_them.end), *(all_of_them.client(i) for i in range(clients)))
        return all_of_them, memory

    try:
        seen, memory = asyncio.run(run())
        time.sleep(2)
        rows, last = asked(pipe, "rows")
    finally:
        server.terminate()
        server.join(20)
    first = sorted(seen.first)
    print(f"{clients} clients, {seconds:.0f} s: {seen.right:,} right streams, {seen.left:,} of them left early")
    print(f"wrong streams {seen.wrong}, broken {seen.broken.total()}, rows not given back {rows}")
    for error, count in seen.broken.most_common():
        print(f"   {count} x {error}")
    third = len(memory) // 3
    early, late = statistics.median(memory[third : 2 * third]), statistics.median(memory[2 * third :])
    print(f"server's memory, MB: second third {early:.0f}, last third {late:.0f}, after it {last:.0f}")
    print(f"first token, ms: p50 {1e3 * first[len(first) // 2]:.0f}, p99 {1e3 * first[len(first) * 99 // 100]:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("what", choices=["speed", "crowd"])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--shape", choices=list(SHAPES), action="append", help="by default all")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=300.0)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "crowd":
            save_model(Path(folder) / "chain", None)
            crowd(Path(folder) / "chain", options.clients, options.seconds)
        elif options.model:
            speed(options.model, options.model.name, options.pairs)
        else:
            for name in options.shape or SHAPES:
                save_model(Path(folder) / "model", SHAPES[name])
                speed(Path(folder) / "model", name, options.pairs)


if __name__ == "__main__":
    main()
