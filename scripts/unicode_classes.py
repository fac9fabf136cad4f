"""Writes native/base/unicode_table.inc: the class of every code point, as tiktoken's regex engine sees it.

The Unicode version is part of a tokenizer: an upgrade of a regex library changes what counts as a letter, and with it
the ids of some texts. So the classes are frozen here, once, from the engine that everybody compares with. Run it only
to move to another Unicode version on purpose: `python scripts/unicode_classes.py`.
"""

from __future__ import annotations

from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import tiktoken

TARGET = Path(__file__).resolve().parents[1] / "src" / "glassmill" / "native" / "base" / "unicode_table.inc"
SURROGATES = range(0xD800, 0xE000)
# Order as in `enum Class` of unicode.hpp; the first is for everything else.
CLASSES = {"other": None, "space": r"\s", "number": r"\p{N}", "upper": r"[\p{Lu}\p{Lt}]", "lower": r"\p{Ll}",
           "caseless": r"[\p{Lm}\p{Lo}]", "mark": r"\p{M}"}  # fmt: skip
LAST_OF_VERSION = {"16.0": 0x1C89, "17.0": 0x088F}  # a letter that came with it


def members(pattern: str) -> set[int]:
    """The code points that `pattern` matches: the engine drops what no branch matches, so what comes back did."""
    engine = tiktoken.Encoding("probe", pat_str=pattern, mergeable_ranks=BYTES, special_tokens={})
    found: set[int] = set()
    for first in range(0, 0x110000, 0x1000):
        text = "".join(chr(point) for point in range(first, first + 0x1000) if point not in SURROGATES)
        found |= {ord(char) for char in engine.decode(engine.encode_ordinary(text))}
    return found


BYTES = {bytes([value]): value for value in range(256)}


def main() -> None:
    classes = [0] * 0x110000
    for number, pattern in enumerate(CLASSES.values()):
        for point in members(pattern) if pattern else ():
            assert not classes[point], f"U+{point:04X} is in two classes"
            classes[point] = number
    letters = members(r"\p{L}")
    assert letters == {point for point, kind in enumerate(classes) if 3 <= kind <= 5}
    folded = {letter: sorted(members(f"(?i:{letter})") - {ord(letter), ord(letter.upper())}) for letter in "sdmtlver"}
    assert folded == {letter: [0x17F] if letter == "s" else [] for letter in "sdmtlver"}, folded
    unicode = max(name for name, point in LAST_OF_VERSION.items() if point in letters)
    runs, start = [], 0
    for number, group in groupby(classes):
        length = len(list(group))
        runs.append((start, number))
        start += length
    # One number a run: its first code point * 8 + its class.
    words = [f"0x{point * 8 + number:06x}," for point, number in runs]
    lines = [" ".join(words[place : place + 12]) for place in range(0, len(words), 12)]
    TARGET.write_text(
        f"// Made by scripts/unicode_classes.py from tiktoken {version('tiktoken')}: Unicode {unicode}.\n"
        f"// {len(runs)} runs of code points, each as its first code point * 8 + class ({', '.join(CLASSES)}).\n"
        f'constexpr const char* kUnicodeVersion = "{unicode}";\n'
        "constexpr std::uint32_t kRuns[] = {\n    " + "\n    ".join(lines) + "\n};\n",
        encoding="utf-8",
    )
    print(f"{TARGET.name}: Unicode {unicode}, {len(runs)} runs, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
