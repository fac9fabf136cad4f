"""The native core, in C++20: the tokenizer, the corpus stage's inner loops, the decoder, kernels for training.

`pip install` compiles it. Where it was not compiled (no compiler), `available()` is False and slower code takes over.
The tokenizer, language scores and MinHash keys then stay the same, byte for byte, and so do word counts, except for
letters newer than Python's Unicode tables. Extracted text does not: HTML extraction has no twin in Python, resiliparse
does the work. The run's identity has both facts. Models are then trained by autograd and answer through torch.

    ranks = {b"a": 0, ...}                                  # symbol -> id; all 256 single bytes must be there
    encoder = Encoder(ranks, "cl100k_base", special={"<|endoftext|>": 100257})
    encoder.encode("hello world")                           # np.ndarray uint32; text never encodes to special tokens
    trainer = Trainer("llama3", threads=2)
    trainer.add(documents)                                  # any iterable of str; streamed, none is kept
    pairs, counts = trainer.train(32_768)                   # (merges, 2) uint32, (merges,) uint64

The C++, in reading order: base/unicode.hpp, then bpe/: split.hpp, cut_one.cpp (the patterns, one piece at a time),
split.cpp (the same, 64 bytes at a time), train.hpp, count.cpp, merge.cpp, encode.hpp, vocabulary.cpp, encode.cpp. The
corpus stage: html/ (main content), words/, language/, dedup/. Models: gguf/ (weights in blocks), model/ (the decoder),
train/ (between a training step's products). trace/ has suffix arrays of token ids, base/pool.hpp and base/team.hpp the
threads, base/processor.hpp the choice of instructions. Only bind/ includes Python's headers.
"""

from __future__ import annotations

import warnings
from pathlib import Path

try:
    import glassmill.native._core  # noqa: F401  (the error tells a missing core from a broken one)
    from glassmill.native import _core
    from glassmill.native._core import PAGE_TOKENS, UNICODE_VERSION, Encoder, Trainer, split

    _BUILT = True
except ModuleNotFoundError:  # installed without a compiler, or run from the sources
    _BUILT = False
except ImportError as error:
    raise RuntimeError(f"the native core does not load: {error}") from error

WITHOUT = (
    "no native core: tokenizer, languages, MinHash and word counts (but for letters newer than Python's Unicode) give "
    "the same results, slower; HTML is extracted by resiliparse, which gives other text and so other documents and run "
    "names; models train and answer through torch, slower; to get the core, install a C++20 compiler and reinstall "
    "glassmill"
)

__all__ = [
    "BRANCHES",
    "PAGE_TOKENS",
    "SCHEMES",
    "UNICODE_VERSION",
    "Encoder",
    "Trainer",
    "available",
    "instruction_set",
    "split",
    "trains",
]

SCHEMES = ("cl100k_base", "llama3", "gpt2", "gpt2_digits", "o200k_base", "whitespace", "none")
# What the branch numbers of `split` mean.
BRANCHES = ("contraction", "letters", "number", "punctuation", "end_space", "newlines", "spaces", "space")


def available() -> bool:
    """Whether the native core was built for this installation."""
    return _BUILT


def trains() -> bool:
    """Whether it was built by a compiler that has the vector types of the kernels for training."""
    return _BUILT and hasattr(_core, "Bf16Step")


def instruction_set() -> str | None:
    """The instructions that the core uses: `scalar`, `neon`, `avx2`, `avx512` or `avx512_bf16`; `None` without a core.

    The best that the processor has, or the one that the environment variable `GLASSMILL_ISA` names. All of them give
    the same results, but the decoder's logits, which differ in their last bits.
    """
    return _core.INSTRUCTION_SET if _BUILT else None


def _warn_of_an_old_core() -> None:
    """In a checkout: a pull or an edit may have changed the sources since the core was built."""
    built = Path(str(_core.__file__)).stat().st_mtime
    newer = [file.name for file in Path(__file__).parent.rglob("*.[ch]pp") if file.stat().st_mtime > built]
    if newer:
        warnings.warn(f"the native core is older than {newer[0]}; `make native` rebuilds it", stacklevel=4)


if _BUILT:
    _warn_of_an_old_core()
