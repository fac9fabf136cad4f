"""Random text that is hard on a splitter, and the published patterns it is judged by."""

from __future__ import annotations

import base64
import gzip
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
NANOCHAT = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}{1,2}")
WHITESPACE = r" ?\S+|\s+(?!\S)|\s"

# Pattern, and what the native splitter calls it.
SCHEMES = {
    "cl100k_base": (CL100K, ("cl100k_base", 3)),
    "llama3": (LLAMA3, ("llama3", 3)),
    "qwen2": (QWEN2, ("llama3", 1)),
    "nanochat": (NANOCHAT, ("llama3", 2)),
    "gpt2": (GPT2, ("gpt2", 3)),
    "o200k_base": (O200K, ("o200k_base", 3)),
    "whitespace": (WHITESPACE, ("whitespace", 3)),
}

# Edges of every class and branch: contractions with the long s, digits and spaces of other scripts, title case, marks.
FRAGMENTS = [
    "a", "A", "'", "s", "S", "t", "ll", "VE", "re", "d", "m", " ", "  ", "\n", "\r\n", "\r", "\t", "1", "23", "4567",
    "!", "?", ".", "/", "é", "ß", "ſ", "'ſ", "中", "文", "\u00a0", "\u3000", "\u0301", "²", "½", "Ⅷ", "١", "٣٤", "😀",
    "’", "“", "—", "\x00", "\x0b", "\x1c", "\x85", "\u2028", "foo", "Bar", "ñ", "İ", "\u212a", "'ll", "'S", "ǅ", "ʰ",
    "HELLO", "World", "\n\n\n", "\u088f", "\U0001f1e9", "\u200d", "x" * 30, "y" * 70, " " * 70, "!" * 66, "é" * 40,
]  # fmt: skip


def random_strings(seed: int, count: int) -> Iterator[str]:
    """Mixtures of the fragments and of any code points but surrogates."""
    source = random.Random(seed)
    for _ in range(count):
        yield "".join(
            source.choice(FRAGMENTS) if source.random() < 0.9 else any_character(source)
            for _ in range(source.randrange(1, 40))
        )


def any_character(source: random.Random) -> str:
    first, last = source.choice([(0, 0x250), (0x250, 0x3000), (0x3000, 0xD800), (0xE000, 0x110000)])
    return chr(source.randrange(first, last))


def real_texts(shared_data: Path, megabytes: float) -> Iterator[str]:
    """Real documents: prose, the rights of man in 388 languages, manuals with their markup in nine languages, code."""
    left = megabytes * 1e6
    for text in _all_texts(shared_data):
        yield text
        left -= len(text.encode())
        if left <= 0:
            return


def _all_texts(shared_data: Path) -> Iterator[str]:
    with zipfile.ZipFile(shared_data / "text" / "udhr2.zip") as files:
        yield from (files.read(name).decode("utf-8", "replace") for name in sorted(files.namelist()))
    yield from (shared_data / "text" / "tales.train.txt").read_text(encoding="utf-8").split("\n\n\n")
    for archive in sorted(shared_data.glob("docs/*.warc.gz")):
        with gzip.open(archive, "rt", encoding="utf-8", errors="replace", newline="") as lines:
            while part := lines.read(50_000):
                yield part


def read_ranks(path: Path) -> dict[bytes, int]:
    """The symbols of a `.tiktoken` file."""
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(symbol): int(rank) for symbol, rank in lines}
