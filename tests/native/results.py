"""Results of every native loop; run by test_instruction_sets.py once for each instruction set.

python results.py      # prints the instruction set, then a hash a loop
"""

from __future__ import annotations

import hashlib
import random

import numpy as np

from glassmill import native
from glassmill.corpus.dedup.keys import MinHasher
from glassmill.corpus.extract.content import extractor
from glassmill.corpus.judge.language import detect
from glassmill.corpus.judge.words import count_words
from glassmill.miniweb import questions
from glassmill.miniweb.records import body_of
from glassmill.miniweb.web import build
from glassmill.miniweb.world import make_world
from glassmill.model.blocks import FORMATS, WRITABLE, Format, dequantize, quantize
from glassmill.recipe import DedupSettings

SEED = 3


def pages() -> list[bytes]:
    rng = random.Random(SEED)
    world = make_world(SEED, num_people=12, num_false_claims=4)
    ghosts, sums = questions.make_ghosts(world, SEED), questions.make_sums(SEED, 40)
    return [body_of(page, rng) for page in build(world, ghosts.pages, sums.pages, 400, SEED)][:150]


def round_trip(form: Format) -> bytes:
    chance = np.random.default_rng(SEED)
    rows = chance.integers(0, 256, (20, form.block_bytes), dtype=np.uint8)
    read = dequantize(rows, form)
    written = quantize(chance.normal(size=(20, 256)).astype(np.float32), form) if form.name in WRITABLE else rows
    return read.tobytes() + written.tobytes()


def main() -> None:
    blocks = [extractor().blocks(page) for page in pages()]
    texts = [extractor().text(page) for page in pages()] + ["", "one", "word " * 10_000]
    hashers = [MinHasher(DedupSettings(num_bands=bands, rows_per_band=rows), SEED) for bands, rows in ((14, 8), (3, 1))]
    trainer = native.Trainer()
    trainer.add(texts)
    counted = [count_words(text) for text in texts]
    results: dict[str, object] = {
        "block probabilities": blocks,
        "extracted texts": texts,
        "MinHash keys": [hasher.keys(text).tolist() for hasher in hashers for text in texts],
        "languages": [detect(text) for text in texts],
        "words": [(words.num_words, words.duplicate_ngram_characters(5)) for words in counted],
        "merges": trainer.train(500)[0].tolist(),
        "weights in blocks": [round_trip(form) for form in FORMATS.values()],
    }
    print(native.instruction_set())
    for name, result in results.items():
        print(name, hashlib.sha256(repr(result).encode()).hexdigest())


if __name__ == "__main__":
    main()
