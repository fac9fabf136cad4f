"""The native core: training and using a byte-level BPE at the speed of memory, in C++20.

`pip install` compiles it. Where it could not (no compiler), `available()` is False and plain Python twins do the
same work: a test compares each. One part has no twin, the extractor of main content; there resiliparse does the work,
and the run's identity says so.

    ranks = {b"a": 0, ...}                                  # symbol -> id; every single byte must be there
    encoder = Encoder(ranks, "cl100k_base", special={"<|endoftext|>": 100257})
    encoder.encode("hello world")                           # np.ndarray uint32; special tokens never arise from text
    trainer = Trainer("llama3", threads=2)
    trainer.add(documents)                                  # any iterable of str; streamed, counted, forgotten
    pairs, counts = trainer.train(32_768)                   # (merges, 2) uint32, (merges,) uint64

Read the C++ in this order: base/unicode.hpp, then bpe/: split.hpp, cut_one.cpp (the patterns in plain words), split.cpp
(the same, 64 bytes at once), train.hpp, count.cpp, merge.cpp, encode.hpp, vocabulary.cpp, encode.cpp.
The corpus stage's loops: html/ (main content), words/, language/, dedup/. bind/ holds all that knows Python.
"""

from __future__ import annotations

import warnings
from pathlib import Path

try:
    from glassmill.native import _core
    from glassmill.native._core import UNICODE_VERSION, Encoder, Trainer, split

    _BUILT = True
except ImportError:  # installed without a compiler, or run from the sources
    _BUILT = False

WITHOUT = (
    "no native core: plain Python does the work, slower, and pages are extracted with resiliparse, which gives other "
    "documents; install a C++20 compiler and install glassmill again"
)

__all__ = ["BRANCHES", "SCHEMES", "UNICODE_VERSION", "Encoder", "Trainer", "available", "split"]

SCHEMES = ("cl100k_base", "llama3", "gpt2", "gpt2_digits", "o200k_base", "whitespace", "none")
# What the branch numbers of `split` mean.
BRANCHES = ("contraction", "letters", "number", "punctuation", "end_space", "newlines", "spaces", "space")


def available() -> bool:
    """Whether the native core was built for this installation."""
    return _BUILT


def _warn_of_an_old_core() -> None:
    """In a checkout: sources that came after the core was built, by a pull or an edit."""
    built = Path(str(_core.__file__)).stat().st_mtime
    newer = [file.name for file in Path(__file__).parent.rglob("*.[ch]pp") if file.stat().st_mtime > built]
    if newer:
        warnings.warn(f"the native core is older than {newer[0]}; `make native` builds it again", stacklevel=4)


if _BUILT:
    _warn_of_an_old_core()
