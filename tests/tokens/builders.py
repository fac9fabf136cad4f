"""Small vocabularies and corpus runs for the tests of the tokens stage."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from glassmill.recipe import Recipe
from glassmill.run import kinds
from glassmill.run.events import Entry
from glassmill.run.folder import Identity, RunFolder, open_run
from glassmill.tokens.bpe import train
from glassmill.tokens.specials import layout, special_ids
from glassmill.tokens.split import OWN_PATTERN, PATTERNS
from glassmill.tokens.tokenizer import Tokenizer

PROSE = [
    "The miller of Alderbrook grinds rye on Mondays and wheat on Thursdays. Don't ask him on Sunday!",
    "In 1871 the town had 2,345 people; today it's home to 17,000.\n\n  - bakers\n  - smiths\n",
    "Die Mühle steht am Fluß, 水車 turns slowly — 50 % slower in winter.\r\n\tШирокая река.",
    "<|im_end|> is only text here, and so is <|endoftext|>. `x = [i**2 for i in range(10)]`  ",
]


def small_tokenizer(vocab_size: int = 512, documents: Sequence[str] = PROSE) -> Tokenizer:
    """A vocabulary trained on a few sentences, with our special tokens."""
    symbols = train(documents, layout(vocab_size).symbols, PATTERNS[OWN_PATTERN])
    ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
    return Tokenizer.from_ranks(ranks, PATTERNS[OWN_PATTERN], special_ids(len(ranks)))


def write_corpus(folder: Path, shards: Sequence[Sequence[str]]) -> Path:
    """A corpus run with one Parquet file for each list of texts."""
    (folder / "shards").mkdir(parents=True)
    for number, texts in enumerate(shards):
        ids = [hashlib.sha256(f"{number} {row}".encode()).hexdigest()[:16] for row in range(len(texts))]
        table = pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(list(texts), pa.string())})
        pq.write_table(table, folder / "shards" / f"documents-{number:05d}.parquet")
    return folder


def run_stage(verb: Any, folder: Path, settings: Any, **inputs: Path) -> list[kinds.Event]:
    """Runs a verb in `folder` as the line would, and returns its events."""
    entries: list[Entry] = []
    identity = Identity(folder.name, verb.VERSION, {}, {})
    with open_run(folder, identity, Recipe(), (entries.append,)) as run:
        assert isinstance(run, RunFolder)
        seed = {"seed": 7} if "seed" in inspect.signature(verb.make).parameters else {}
        verb.make(run, settings, **seed, **inputs)
    return [entry.event for entry in entries]
