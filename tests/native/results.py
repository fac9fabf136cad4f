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


def training_step() -> list[str]:
    """Hashes of what the kernels of a training step give, at widths that are no multiples of 16."""
    import torch

    from glassmill.train.kernels import Heads, Kernels

    generator, found = torch.Generator().manual_seed(SEED), []
    for dtype in (torch.float32, torch.bfloat16):
        kernels = Kernels(dtype, 2)

        def some(*shape: int, dtype: torch.dtype = dtype) -> torch.Tensor:
            return torch.randn(*shape, generator=generator).to(dtype)

        M, D, V, T, N, K, H = 150, 37, 67, 50, 4, 2, 12
        x, inverse, nats, gains = some(M, D).float(), torch.empty(M), torch.empty(M), torch.zeros(2, H)
        kept = [some(M, D), some(M, D), some(M, V), some(M, 2 * D), some(M, (N + 2 * K) * H)]
        kernels.norm(x, kept[0], kept[1], inverse, 1e-6)
        kernels.norm_back(x, kept[0], kept[1].clone(), inverse, kept[1])
        kernels.cross_entropy(kept[2], torch.arange(M) % V, torch.linspace(0, 1, M), nats)
        kernels.swiglu(kept[3], kept[0])
        kernels.swiglu_back(kept[3].clone(), kept[1], kept[3])
        angles = torch.linspace(0, 6, T * H // 2).view(T, H // 2)
        heads = Heads(3, T, N, K, angles * 0.1, 1 - angles * 0.1, 1e-6, 0.3, 16)
        q, k, v, turned = some(M * N * H), some(3 * K, T, H), some(3 * K, T, H), torch.empty(M, N + K)
        both = (torch.linspace(0.5, 2, H), torch.linspace(2, 0.5, H))
        kernels.heads(heads, both, kept[4], q, k, v, turned)
        kernels.heads_back(
            heads, both, kept[4], turned, q.clone(), k.clone(), v.clone(), grad := kept[4].clone(), gains
        )
        weights = some(6, 32, 48)
        kernels.softmax(weights, 16, 32)
        kernels.softmax_back(scores := some(6, 32, 48), weights, 16, 32)
        tensors = [x, inverse, nats, gains, *kept, q, k, v, turned, grad, weights, scores]
        found += [hashlib.sha256(t.view(torch.uint8).numpy().tobytes()).hexdigest() for t in tensors]
    return found


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
        "training step": training_step(),
    }
    print(native.instruction_set())
    for name, result in results.items():
        print(name, hashlib.sha256(repr(result).encode()).hexdigest())


if __name__ == "__main__":
    main()
