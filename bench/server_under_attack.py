"""Are streams slowed by clients that never finish their requests? Loopback only, bounded in number and time.

    python bench/server_under_attack.py --streams 300 --attackers 200 --seconds 300

A server with a small random model in one process, the readers of the streams in another, the attackers in a third.
Quiet and attacked spells take turns, so that a busy machine and growing contexts touch both alike. Of every stream:
tokens a second in the quiet spells over tokens a second in the attacked ones. Each attacker connects and then does one
of three things until the server closes: sends its headers a byte at a time, sends its body a byte at a time, or is
silent; then it connects again. On a machine that does other work the ratios follow that work, which favours now the
quiet, now the attacked spells: there the server's CPU time for a token says more (where there is a /proc).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

SPELL_SECONDS = 10.0
DRIP_SECONDS = 0.5
MAX_STREAMS, MAX_ATTACKERS, MAX_SECONDS = 400, 1000, 600
HEAD = "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"


def serve(rows: int, pipe: Connection) -> None:
    """A server with room for `rows` requests at once; sends its port."""
    import torch

    from glassmill.infer.folder import save_folder
    from glassmill.infer.generate import Model
    from glassmill.model.config import ModelConfig
    from glassmill.model.initial import initialize
    from glassmill.model.transformer import Transformer
    from glassmill.serve.api import create_api
    from glassmill.serve.server import bind, make_server
    from glassmill.tokens.specials import special_ids
    from glassmill.tokens.split import OWN_PATTERN, PATTERNS
    from glassmill.tokens.tokenizer import Tokenizer

    torch.set_num_threads(1)
    symbols = {bytes([byte]): byte for byte in range(256)}
    tokenizer = Tokenizer.from_ranks(symbols, PATTERNS[OWN_PATTERN], special_ids(256))
    shape = {"d_model": 16, "num_layers": 1, "num_heads": 1, "num_kv_heads": 1, "head_dim": 16, "d_ff": 32}
    transformer = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size, context_length=1024, **shape))
    initialize(transformer, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        save_folder(Path(folder) / "small", transformer, tokenizer, {})
        model = Model.load(Path(folder) / "small", max_batch=rows)
    model.engine.max_waiting = 2 * rows
    listener = bind("127.0.0.1", 0)
    pipe.send(listener.getsockname()[1])
    make_server(create_api(lambda: model)).run(sockets=[listener])


def attack(port: int, number: int, begin: Event, end: Event) -> None:
    """Attackers while `begin` is set, until `end`."""
    asyncio.run(_attack(port, number, begin, end))


async def _attack(port: int, number: int, begin: Event, end: Event) -> None:
    attackers: list[asyncio.Task[None]] = []
    while not end.is_set():
        if begin.is_set() and not attackers:
            attackers = [asyncio.create_task(_attacker(port, i)) for i in range(number)]
        elif attackers and not begin.is_set():
            for task in attackers:
                task.cancel()
            await asyncio.gather(*attackers, return_exceptions=True)
            attackers = []
        await asyncio.sleep(0.05)


async def _attacker(port: int, number: int) -> None:
    text = HEAD.format(path="/v1/chat/completions", length=500)
    sent = [b"", text.encode(), b"POST"][number % 3]
    drip = [b"", b" ", b"x"][number % 3]
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(sent)
                while not reader.at_eof():
                    writer.write(drip)
                    await writer.drain()
                    try:
                        async with asyncio.timeout(DRIP_SECONDS):
                            await reader.read(1000)
                    except TimeoutError:
                        continue
            finally:
                writer.close()
        except OSError:
            await asyncio.sleep(DRIP_SECONDS)


class Stream:
    """One client that reads answers, one after the other, and counts their tokens."""

    def __init__(self, number: int) -> None:
        self.number, self.tokens, self.failed = number, 0, 0

    async def run(self, port: int) -> None:
        """Ask and read until cancelled."""
        question = [{"role": "user", "content": f"stream {self.number}"}]
        body = json.dumps({"messages": question, "stream": True, "ignore_eos": True, "temperature": 0}).encode()
        request = HEAD.format(path="/v1/chat/completions", length=len(body)).encode() + body
        while True:
            try:
                await self._answer(port, request)
            except OSError:
                self.failed += 1
                await asyncio.sleep(0.5)

    async def _answer(self, port: int, request: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            end = b""
            while part := await reader.read(65536):
                self.tokens += part.count(b"data: {")
                end = (end + part)[-40:]
                if b"[DONE]" in end:
                    return
            raise ConnectionError("a stream ended early")
        finally:
            writer.close()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Spells(NamedTuple):
    """Tokens a second of every stream in all quiet or all attacked spells, and the server's CPU seconds for a token."""

    speeds: list[float]
    cpu_per_token: float


async def measure(port: int, server: int, streams: list[Stream], seconds: float, attacked: Event) -> list[Spells]:
    """The quiet spells and the attacked ones."""
    tasks = [asyncio.create_task(stream.run(port)) for stream in streams]
    while sum(stream.tokens > 5 for stream in streams) < len(streams):
        await asyncio.sleep(0.1)
    tokens = {False: [0] * len(streams), True: [0] * len(streams)}
    spent, used = {False: 0.0, True: 0.0}, {False: 0.0, True: 0.0}
    for is_attacked in spells(seconds):
        (attacked.set if is_attacked else attacked.clear)()
        await asyncio.sleep(1.0)  # attackers come and go
        before, begin, cpu = [stream.tokens for stream in streams], time.perf_counter(), cpu_seconds(server)
        await asyncio.sleep(SPELL_SECONDS - 1.0)
        spent[is_attacked] += time.perf_counter() - begin
        used[is_attacked] += cpu_seconds(server) - cpu
        for stream, was in zip(streams, before, strict=True):
            tokens[is_attacked][stream.number] += stream.tokens - was
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [
        Spells([count / spent[one] for count in tokens[one]], used[one] / max(1, sum(tokens[one])))
        for one in (False, True)
    ]


def spells(seconds: float) -> Iterator[bool]:
    """Quiet, attacked, attacked, quiet, ...: a drift touches both alike."""
    pairs = max(1, round(seconds / SPELL_SECONDS / 2))
    for pair in range(pairs):
        yield from (pair % 2 == 1, pair % 2 == 0)


def main() -> None:
    """Run it and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--attackers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    if not (0 < options.streams <= MAX_STREAMS and 0 < options.attackers <= MAX_ATTACKERS):
        parser.error(f"at most {MAX_STREAMS} streams and {MAX_ATTACKERS} attackers")
    if not 0 < options.seconds <= MAX_SECONDS:
        parser.error(f"at most {MAX_SECONDS} seconds")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    attacked, end = context.Event(), context.Event()
    server = context.Process(target=serve, args=(options.streams, there), daemon=True)
    server.start()
    port = here.recv()
    attackers = context.Process(target=attack, args=(port, options.attackers, attacked, end), daemon=True)
    attackers.start()
    streams = [Stream(number) for number in range(options.streams)]
    try:
        quiet, under = asyncio.run(measure(port, server.pid or 0, streams, options.seconds, attacked))
    finally:
        end.set()
        attackers.join(10)
        server.terminate()
        server.join(20)
    slowed = sorted(a / max(b, 1e-9) for a, b in zip(quiet.speeds, under.speeds, strict=True))
    middle, broken = statistics.median, sum(stream.failed for stream in streams)
    print(
        f"{options.streams} streams, {options.attackers} attackers, {options.seconds:.0f} s; broken streams: {broken}"
    )
    print(f"tokens a second of a stream, median: quiet {middle(quiet.speeds):.2f}, attacked {middle(under.speeds):.2f}")
    if quiet.cpu_per_token:
        ratio = under.cpu_per_token / quiet.cpu_per_token
        micros = 1e6 * quiet.cpu_per_token
        print(f"CPU time of the server for a token: {micros:.0f} us when quiet, times {ratio:.2f} when attacked")
    print(f"slowed by: median {middle(slowed):.2f}, worst {slowed[-1]:.2f}")


if __name__ == "__main__":
    main()
