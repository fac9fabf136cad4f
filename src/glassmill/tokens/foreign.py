"""Byte-level BPE from a `tokenizer.json`, in the forms used by GPT-2, Llama 3, Qwen and SmolLM.

In: a parsed file. Out: the arguments of an engine, or None for anything else: an unknown step would change ids, so
nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from glassmill.tokens.codecs import Form
from glassmill.tokens.formats import to_alphabet
from glassmill.tokens.split import PATTERNS, scheme_of

_OFF = (None, False, 0.0, "")
_MODEL_OPTIONS = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")


class BpeArguments(TypedDict):
    """The arguments of `bpe_codec`, except the special tokens."""

    ranks: Mapping[bytes, int]
    pattern: str
    merges: list[tuple[int, int, int]]
    ignore_merges: bool
    form: Form | None
    missing: bytes


def byte_level(full: Mapping[str, Any], symbols: Mapping[int, bytes]) -> BpeArguments | None:
    """The engine's arguments. `symbols` holds the bytes of every ordinary id."""
    model = full["model"]
    if model.get("type", "BPE") != "BPE":
        return None
    pattern, form = split_pattern(full.get("pre_tokenizer")), _form(full.get("normalizer"))
    if pattern is None or form == "unknown" or any(model.get(name) not in _OFF for name in _MODEL_OPTIONS):
        return None
    ranks = {symbol: number for number, symbol in symbols.items()}
    missing = bytes(value for value in range(256) if bytes([value]) not in ranks)
    if len(ranks) != len(symbols) or (missing and model.get("unk_token") is not None):
        return None
    numbers = {to_alphabet(symbol): number for number, symbol in symbols.items()}
    merges = []
    for merge in model.get("merges") or []:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        first, second, made = numbers.get(left), numbers.get(right), numbers.get(left + right)
        if made is None or first is None or second is None:
            return None
        merges.append((first, second, made))
    if len({made for _, _, made in merges}) != len(merges):
        return None  # two ways to one symbol
    return {
        "ranks": ranks,
        "pattern": pattern,
        "merges": merges,
        "ignore_merges": bool(model.get("ignore_merges")),
        "form": form,
        "missing": missing,
    }


def split_pattern(step: Any) -> str | None:
    """The regex equivalent to the `pre_tokenizer`."""
    if not isinstance(step, dict):
        return None
    steps = step.get("pretokenizers") if step.get("type") == "Sequence" else [step]
    if not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps) or not steps:
        return None
    *first, last = steps
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if last.get("use_regex", True):
        digits = [{"type": "Digits", "individual_digits": True}]
        return PATTERNS["gpt2"] if not first else PATTERNS["smollm"] if first == digits else None
    if len(first) != 1 or first[0].get("type") != "Split":
        return None
    split, regex = first[0], first[0].get("pattern", {}).get("Regex")
    if split.get("invert") or split.get("behavior") != "Isolated" or regex is None or not scheme_of(regex):
        return None
    return str(regex)


def _form(step: Any) -> Form | Literal["unknown"] | None:
    """The Unicode normal form applied to texts first."""
    if step is None:
        return None
    kind = step.get("type") if isinstance(step, dict) else None
    return "NFC" if kind == "NFC" else "NFKC" if kind == "NFKC" else "unknown"
