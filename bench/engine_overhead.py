"""What the engine adds to a decoder, in microseconds a token: `python bench/engine_overhead.py [batch ...]`.

The decoder here answers at once, from logits made beforehand. What is left is the engine's own work: a step, the draw,
text in whole characters, stop strings, and handing the deltas over. CPU time, best of 5.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from machine import machine

from glassmill.infer.decoder import Answer, Decoder, DecoderInfo, Piece
from glassmill.infer.engine import Engine
from glassmill.infer.sampling import SamplingParams
from glassmill.tokens.streams import ByteStream

NEW_TOKENS = 1000
WAYS = {
    "greedy": SamplingParams(temperature=0.0),
    "greedy, stop strings": SamplingParams(temperature=0.0, stop=("\n\nUser:", "###")),
    "temperature": SamplingParams(temperature=0.8, seed=1),
    "top_k 40": SamplingParams(temperature=0.8, top_k=40, seed=1),
    "top_p 0.9": SamplingParams(temperature=0.8, top_p=0.9, seed=1),
    "top_k 40, top_p 0.95, min_p": SamplingParams(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, seed=1),
    "min_p 0.05": SamplingParams(temperature=0.8, min_p=0.05, seed=1),
    "penalties": SamplingParams(temperature=0.8, top_p=0.9, frequency_penalty=0.5, repetition_penalty=1.1, seed=1),
    "top_p 0.9, logprobs 5": SamplingParams(temperature=0.8, top_p=0.9, logprobs=5, seed=1),
}


class Words:
    """A tokenizer whose ids are bytes and five-letter words."""

    stop_ids = ()

    def __init__(self, vocab_size: int) -> None:
        self.special = {f"<|{name}|>": vocab_size - 1 - name for name in range(6)}
        letters = np.random.default_rng(0).integers(97, 123, (vocab_size, 5), dtype=np.uint8)
        self.pieces = [b" " + word.tobytes() if i > 255 else bytes([i]) for i, word in enumerate(letters)]

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        return self.pieces[token]

    def stream(self, before: Sequence[int] = ()) -> ByteStream:
        return ByteStream(self)


class Instant(Decoder):
    """Answers from 64 rows of logits as peaked as a language model's."""

    def __init__(self, vocab_size: int, max_rows: int) -> None:
        self._info = DecoderInfo(vocab_size, 1 << 20, max_rows, 1)
        draw = np.random.default_rng(1)
        ranks = np.argsort(draw.random((64, vocab_size)), axis=1)
        self.logits = (12 - 1.6 * np.log1p(ranks) + 0.1 * draw.random(ranks.shape)).astype(np.float32)
        self.logits[:, -6:] = -30
        self.best = self.logits.argmax(-1).tolist()
        self.lengths: dict[int, int] = {}
        self.count = self.step = 0

    @property
    def info(self) -> DecoderInfo:
        return self._info

    @property
    def cache_bytes(self) -> int:
        return 0

    def open_row(self) -> int:
        self.count += 1
        self.lengths[self.count] = 0
        return self.count

    def close_row(self, row: int) -> None:
        del self.lengths[row]

    def length(self, row: int) -> int:
        return self.lengths[row]

    def truncate(self, row: int, length: int) -> None:
        self.lengths[row] = length

    def fork(self, row: int, length: int) -> int:
        fork = self.open_row()
        self.lengths[fork] = length
        return fork

    def fits(self, lengths: Sequence[int]) -> bool:
        return len(lengths) <= self.info.max_rows

    def forward(self, pieces: Sequence[Piece]) -> list[Answer]:
        answers = []
        for row, ids, want, greedy in pieces:
            self.lengths[row] += len(ids)
            self.step = (self.step + 1) % 64
            many = [(self.step + i) % 64 for i in range(want)]
            if greedy:
                answers.append(Answer(ids=tuple([self.best[i] for i in many])))
            else:
                answers.append(Answer(self.logits[self.step : self.step + 1] if want == 1 else self.logits[many]))
        return answers


@functools.cache
def parts(vocab_size: int, batch: int) -> tuple[Instant, Words]:
    return Instant(vocab_size, batch), Words(vocab_size)


def microseconds(vocab_size: int, params: SamplingParams, batch: int, streamed: bool) -> float:
    """Time of one token of one row."""
    engine = Engine(*parts(vocab_size, batch))
    own = [replace(params, max_tokens=NEW_TOKENS)]
    best = 1e9
    for _ in range(5):
        start = time.process_time()
        running = engine.submit_all([[1] * 16] * batch, own * batch)
        if streamed:
            for _ in running[0]:
                pass
        for completion in running:
            completion.reply()
        best = min(best, time.process_time() - start)
    engine.close()
    return best / NEW_TOKENS / batch * 1e6


def main(batches: list[int]) -> None:
    print(f"microseconds a token; {machine()}")
    for batch in batches:
        print(f"batch {batch}: {'':34} V = 8,192   V = 50,304  V = 151,936")
        for name, params in WAYS.items():
            cells = [microseconds(size, params, batch, streamed=False) for size in (8192, 50304, 151936)]
            print(f"  {name:<34}" + "".join(f"{cell:12.0f}" for cell in cells), flush=True)
        cell = microseconds(8192, WAYS["greedy"], batch, streamed=True)
        print(f"  {'greedy, read by another thread':<34}{cell:12.0f}", flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1, 16])
