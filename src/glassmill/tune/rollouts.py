"""Answers drawn from a model in training, by the engine's batch over the native decoder.

In: the model as it is now, and prompts. Out: for every prompt so many answers, each with its ids and a mask of the
tokens that the model chose itself: not those that the calculator wrote. Rows join in one order and no clock decides, so
equal weights and seeds give equal answers.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import save_file

from glassmill import native
from glassmill.infer.batch import Batch
from glassmill.infer.completion import Completion
from glassmill.infer.decoder import Decoder
from glassmill.infer.sampling import SamplingParams
from glassmill.infer.torch_decoder import TorchDecoder
from glassmill.infer.weights import WEIGHTS
from glassmill.model.transformer import Transformer
from glassmill.run.files import atomic_json
from glassmill.tokens.tokenizer import Tokenizer
from glassmill.tune.rewards import Said

ROWS = 64
"""Answers that are written at once."""
PIECE_TOKENS = 4096
"""Prompt tokens that are read at once."""


class Drawing(NamedTuple):
    """How answers are drawn: `temperature` 0 takes the likeliest token."""

    max_tokens: int
    temperature: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Attributes:
        ids: Its tokens, with the one that ends it.
        chosen: Of each, whether the model chose it.
        said: What a reader sees, and the calculator's uses.
    """

    ids: tuple[int, ...]
    chosen: tuple[bool, ...]
    said: Said


@contextmanager
def decoder_of(model: Transformer, scratch: Path, threads: int) -> Iterator[Decoder]:
    """The native decoder with the weights of `model`; torch's where there is no native core, or the model has adapters.

    Args:
        scratch: A folder; what is written there is gone afterwards.
    """
    state = model.state_dict()
    if not native.available() or any("lora_" in name for name in state):
        yield TorchDecoder(model, ROWS)
        return
    from glassmill.infer.native_decoder import NativeDecoder

    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        atomic_json(folder / "config.json", model.config.to_hf())
        save_file({name: weight.detach().cpu().contiguous() for name, weight in state.items()}, folder / WEIGHTS)
        decoder = NativeDecoder(folder, ROWS, threads=threads)
    yield decoder


def draw(
    decoder: Decoder, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], seeds: Sequence[int], how: Drawing
) -> list[Answer]:
    """One answer to every prompt, drawn with its own seed."""
    completions = [
        Completion(
            tuple(prompt),
            SamplingParams(max_tokens=how.max_tokens, temperature=how.temperature, seed=seed, tools=True),
        )
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    batch, waiting = Batch(decoder, tokenizer), deque(completions)
    while waiting or batch.rows:
        joining: list[Completion] = []
        while waiting and len(batch.rows) + len(joining) < batch.max_rows and batch.has_room([*joining, waiting[0]]):
            joining.append(waiting.popleft())
        batch.join(joining)
        batch.step(PIECE_TOKENS)
    return [_answer(completion) for completion in completions]


def _answer(completion: Completion) -> Answer:
    reply = completion.reply()
    ids = tuple(record.token for record in reply.tokens)
    chosen = tuple(not record.forced for record in reply.tokens)
    uses = tuple(part for part in reply.parts if not isinstance(part, str))
    said = Said(reply.text, uses, reply.finish_reason == "stop")
    return Answer(ids, chosen, said)


def seed_of(*numbers: int) -> int:
    """A seed for a draw that these numbers name."""
    digest = hashlib.blake2b(",".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
