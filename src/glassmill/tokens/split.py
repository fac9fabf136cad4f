"""How text is split into pieces before BPE: a merge never crosses the border of a piece.

In: text. Out: pieces, which concatenated give the text. Our vocabularies use `llama3`, the form of cl100k's pattern
that llama.cpp knows as `pre = "dbrx"`. It differs from `cl100k_base` only at the end of a text, where cl100k keeps
newline and space together; llama.cpp would split such a vocabulary's text differently. Training and encoding use the
same pattern. The native core has every pattern of the table hand-written; any other regex, and all patterns without
the core, go through `plain_split`.

Sources: tiktoken_ext/openai_public.py (tiktoken 0.14), llama.cpp src/llama-vocab.cpp.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from glassmill import native
from glassmill.errors import UserError
from glassmill.recipe import Recipe
from glassmill.tokens.plain_split import plain_pieces, portable

OWN_PATTERN = "llama3"

PATTERNS = {
    "llama3": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "cl100k_base": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k_base": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    # SmolLM first isolates every digit, then splits the rest like GPT-2, which sees the end of the text before a digit.
    "smollm": r"'(?:[sdmt]|ll|ve|re)|\p{N}| ?\p{L}++| ?[^\s\p{L}\p{N}]++|\s++(?![^\p{N}])|\s+(?!\S)|\s",
    "qwen2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "whitespace": r" ?\S++|\s++$|\s+(?!\S)|\s",
}

_CL100K = ("contraction", "letters", "number", "punctuation", "end_space", "newlines", "spaces", "space")
_LLAMA3 = tuple(branch for branch in _CL100K if branch != "end_space")


class Scheme(NamedTuple):
    """The native core's name for a pattern of the table, and the names of its branches."""

    name: str
    digits: int
    branches: tuple[str, ...]


_SCHEMES = {
    "llama3": Scheme("llama3", 3, _LLAMA3),
    "cl100k_base": Scheme("cl100k_base", 3, _CL100K),
    "o200k_base": Scheme("o200k_base", 3, ("letters", *_LLAMA3[1:])),
    "gpt2": Scheme("gpt2", 3, tuple(branch for branch in _CL100K if branch != "newlines")),
    "smollm": Scheme(
        "gpt2_digits", 3, ("contraction", "number", "letters", "punctuation", *_CL100K[4:5], *_CL100K[6:])
    ),
    "qwen2": Scheme("llama3", 1, _LLAMA3),
    "whitespace": Scheme("whitespace", 3, ("letters", "end_space", "spaces", "space")),
}
_BY_REGEX = {portable(PATTERNS[name]): scheme for name, scheme in _SCHEMES.items()}
# The spelling in GPT-2's own code and its copies; nanochat's two digits.
_BY_REGEX[r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"] = _SCHEMES["gpt2"]
_BY_REGEX[PATTERNS["llama3"].replace("{1,3}", "{1,2}")] = Scheme("llama3", 2, _LLAMA3)


def resolved(recipe: Recipe) -> dict[str, str | int]:
    """What decides a vocabulary's or a token shard's bytes besides settings and inputs.

    Nothing, for a pattern of the table: the native core and its plain twin cut by one frozen Unicode table, and a test
    compares them. Any other regex is cut by the library `regex`, which has case folding and classes of its own.
    """
    return {"regex": version("regex")} if scheme_of(pattern_of(recipe.tokenizer.pattern)) is None else {}


class Piece(NamedTuple):
    """A piece, and the branch of the pattern that matched it: its name, or the alternative itself."""

    text: str
    branch: str


def pattern_of(name: str) -> str:
    """The pattern with this name, or `name` itself if it is a regex.

    Raises:
        UserError: unknown pattern name.
    """
    if name not in PATTERNS and re.fullmatch(r"[\w-]+", name):
        raise UserError(f"unknown split pattern {name!r}; use one of {', '.join(PATTERNS)}, or a regex")
    return PATTERNS.get(name, name)


def check_pattern(name: str) -> None:
    """Whether a text can be split by the pattern `name`, or by the regex that it is.

    Raises:
        UserError: it is neither.
    """
    if scheme_of(pattern_of(name)) is None:
        list(plain_pieces("", pattern_of(name)))


def scheme_of(pattern: str) -> Scheme | None:
    """The native core's scheme for this pattern, in any of its spellings; None if it is not in the table."""
    return _BY_REGEX.get(portable(pattern))


def split_pieces(text: str, pattern: str) -> list[str]:
    """The pieces of `text`, in order; text that no branch matches is a piece too, so nothing is lost.

    >>> split_pieces("Don't pay 12345", PATTERNS["llama3"])
    ['Don', "'t", ' pay', ' ', '123', '45']
    """
    return [piece.text for piece in named_pieces(text, pattern)]


def named_pieces(text: str, pattern: str) -> list[Piece]:
    """The pieces with the branch that matched each. `text` must not contain lone surrogates."""
    scheme = scheme_of(pattern)
    if scheme is None or not native.available():
        names = scheme.branches if scheme else None
        return [Piece(piece, names[place] if names else branch) for piece, branch, place in plain_pieces(text, pattern)]
    data = text.encode()
    ends, branches = native.split(data, scheme.name, scheme.digits)
    starts = [0, *ends.tolist()]
    return [
        Piece(data[start:end].decode(), native.BRANCHES[branch])
        for start, end, branch in zip(starts, ends.tolist(), branches.tolist(), strict=False)
    ]


def piece_ends(text: str, pattern: str) -> np.ndarray:
    """The end of each piece in bytes of UTF-8, uint64: the native core needs this for a pattern it does not know."""
    lengths = [len(piece.encode()) for piece, _, _ in plain_pieces(text, pattern)]
    return np.cumsum(np.array(lengths, dtype=np.uint64), dtype=np.uint64)
