"""Tokenizers in GGUF metadata and as `tokenizer.json`, both ways.

GGUF has the symbols, their token types and the merges, but only a name for the split pattern (`tokenizer.ggml.pre`),
whose regex is built into llama.cpp. The table below gives the same in terms of `tokenizer.json`. Other names are
refused: a guessed pattern would silently give other ids. llama.cpp never normalises text for such a tokenizer, so a
vocabulary without a normalizer is exact under every name, and `NORMALIZER` says so to whoever imports the file again.

Source: llama.cpp src/llama-vocab.cpp (pre-tokenizer table), gguf-py constants (token types).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gguf import TokenType

from glassmill.errors import UserError
from glassmill.export.gguf_reader import GgufFile
from glassmill.tokens.foreign import split_pattern
from glassmill.tokens.formats import bpe_model, from_alphabet, split_pre_tokenizer, tokenizer_config
from glassmill.tokens.imported import foreign_parts
from glassmill.tokens.split import PATTERNS, scheme_of
from glassmill.tokens.tokenizer import Tokenizer

GPT2_SPLIT = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DIGITS_THEN_GPT2 = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, GPT2_SPLIT]}


@dataclass(frozen=True, slots=True)
class Splitting:
    """What a value of `tokenizer.ggml.pre` stands for."""

    pre_tokenizer: Mapping[str, object]
    normalizer: Mapping[str, object] | None = None
    ignore_merges: bool = False


SPLITTINGS = {
    "dbrx": Splitting(split_pre_tokenizer(PATTERNS["llama3"])),
    "smaug-bpe": Splitting(split_pre_tokenizer(PATTERNS["llama3"])),
    "llama-bpe": Splitting(split_pre_tokenizer(PATTERNS["llama3"]), ignore_merges=True),
    "smollm": Splitting(DIGITS_THEN_GPT2),
    "gpt-2": Splitting(GPT2_SPLIT),
    "qwen2": Splitting(split_pre_tokenizer(PATTERNS["qwen2"]), normalizer={"type": "NFC"}),
    "gpt-4o": Splitting(split_pre_tokenizer(PATTERNS["o200k_base"])),
}
"""What each name stands for when a file is read."""

NAMES = {
    ("llama3", 3): "dbrx",
    ("llama3", 1): "qwen2",
    ("gpt2", 3): "gpt-2",
    ("gpt2_digits", 3): "smollm",
    ("o200k_base", 3): "gpt-4o",
    ("cl100k_base", 3): "dbrx",
}
"""Our scheme of a split pattern and its digits -> llama.cpp's name. `cl100k_base` keeps a line's end and the spaces
after it together at the end of a text, where `dbrx` cuts: the same ids, unless the vocabulary has a symbol for both."""

_ENDS_A_LINE = re.compile(r"[\r\n][^\S\r\n]")

NORMALIZER = "glassmill.normalizer"
"""Our own key: "none" if the tokenizer that was exported has no normalizer."""

ROLES = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}
ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")
SPECIAL_KINDS = (TokenType.CONTROL, TokenType.UNUSED, TokenType.UNKNOWN)


def read_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer of a GGUF file.

    Raises:
        UserError: not byte-level BPE, an unknown split pattern, or inconsistent lists.
    """
    model = file.get("tokenizer.ggml.model", str)
    if model != "gpt2":
        raise UserError(f"{file.path}: tokenizer {model!r} is not supported, only byte-level BPE ('gpt2')")
    pre = file.get("tokenizer.ggml.pre", str, "missing")
    if pre not in SPLITTINGS:
        raise UserError(f"{file.path}: unknown pre-tokenizer {pre!r}; supported are {', '.join(SPLITTINGS)}")
    tokens = file.get("tokenizer.ggml.tokens", list)
    if not tokens:
        raise UserError(f"{file.path}: tokenizer.ggml.tokens is empty")
    kinds = file.get("tokenizer.ggml.token_type", list, [int(TokenType.NORMAL)] * len(tokens))
    if not all(isinstance(one, str) for one in tokens) or len(set(tokens)) != len(tokens):
        raise UserError(f"{file.path}: duplicate tokens in tokenizer.ggml.tokens")
    if len(kinds) != len(tokens):
        raise UserError(f"{file.path}: {len(kinds)} token types for {len(tokens)} tokens")
    splitting = SPLITTINGS[pre]
    if file.get(NORMALIZER, str, "") == "none":
        splitting = replace(splitting, normalizer=None)
    full = _tokenizer_json(tokens, kinds, _merges(file), splitting, _first_token(file, tokens))
    names = {role: _role(file, key, tokens) for role, key in ROLES.items()}
    if names["eos_token"] is None or kinds[tokens.index(names["eos_token"])] not in SPECIAL_KINDS:
        raise UserError(f"{file.path}: the header has no end-of-text token (tokenizer.ggml.eos_token_id)")
    template = file.get("tokenizer.chat_template", str, "") or None
    ends = [file.get(f"tokenizer.ggml.{key}", int, -1) for key in ENDS]
    return Tokenizer(**foreign_parts(full, tokenizer_config(template, **names), str(file.path), {"ends": ends}))


def gguf_pre(full: Mapping[str, Any]) -> str:
    """The name of llama.cpp's pre-tokenizer that splits like this `tokenizer.json`.

    Raises:
        UserError: llama.cpp has none.
    """
    normalizer, pattern = full.get("normalizer"), split_pattern(full.get("pre_tokenizer"))
    scheme = scheme_of(pattern) if pattern else None
    name = NAMES.get((scheme.name, scheme.digits)) if scheme else None
    if scheme and scheme.name == "cl100k_base" and any(map(_ENDS_A_LINE.search, _spaces(full))):
        name = None
    if name is None or normalizer not in (None, SPLITTINGS[name].normalizer):
        exportable = ", ".join(label for label, regex in PATTERNS.items() if _name_of(regex) in SPLITTINGS)
        raise UserError(
            "llama.cpp does not know this tokenizer's split pattern and normalizer; a vocabulary trained with "
            f"tokenizer.pattern = {exportable} can be exported"
        )
    return "llama-bpe" if name == "dbrx" and full["model"].get("ignore_merges") else name


def _name_of(regex: str) -> str | None:
    scheme = scheme_of(regex)
    return NAMES.get((scheme.name, scheme.digits)) if scheme and scheme.name != "cl100k_base" else None


def _spaces(full: Mapping[str, Any]) -> list[str]:
    """The symbols that are white space only."""
    symbols = (from_alphabet(spelled) for spelled in full["model"]["vocab"])
    return [symbol.decode("utf-8", "replace") for symbol in symbols if symbol and symbol.isspace()]


def token_table(full: Mapping[str, Any], vocab_size: int) -> tuple[list[str], list[int]]:
    """The spelling and token type of every id, in order; ids without a symbol are unused."""
    tokens = [f"<|unused_{number}|>" for number in range(vocab_size)]
    kinds = [int(TokenType.UNUSED)] * vocab_size
    for spelled, number in full["model"]["vocab"].items():
        tokens[number], kinds[number] = spelled, int(TokenType.NORMAL)
    for added in full.get("added_tokens") or []:
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[added["id"]], kinds[added["id"]] = added["content"], int(kind)
    return tokens, kinds


def merge_lines(full: Mapping[str, Any]) -> list[str]:
    """The merges as GGUF has them: two spellings separated by a space."""
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in full["model"]["merges"]]


def _tokenizer_json(
    tokens: list[str], kinds: list[int], merges: list[tuple[str, str]], splitting: Splitting, first: str | None
) -> dict[str, object]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": number, "content": token, **flags, "special": kind in SPECIAL_KINDS}
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in SPECIAL_KINDS or kind == TokenType.USER_DEFINED
    ]
    vocab = {token: number for number, token in enumerate(tokens)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": splitting.normalizer,
        "pre_tokenizer": splitting.pre_tokenizer,
        "post_processor": _adding(first, vocab[first]) if first else None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": bpe_model(vocab, merges, splitting.ignore_merges),
    }


def _adding(token: str, number: int) -> dict[str, object]:
    """A post-processor that prepends `token` to every text, as transformers does for models that ask for it."""
    begin = {"SpecialToken": {"id": token, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }


def _merges(file: GgufFile) -> list[tuple[str, str]]:
    pairs = [str(merge).split(" ") for merge in file.get("tokenizer.ggml.merges", list)]
    if any(len(pair) != 2 for pair in pairs):
        raise UserError(f"{file.path}: a merge is not two symbols separated by a space")
    return [(left, right) for left, right in pairs]


def _first_token(file: GgufFile, tokens: list[str]) -> str | None:
    return _role(file, "bos_token_id", tokens) if file.get("tokenizer.ggml.add_bos_token", bool, False) else None


def _role(file: GgufFile, key: str, tokens: list[str]) -> str | None:
    number = file.get(f"tokenizer.ggml.{key}", int, -1)
    if number in (-1, 0xFFFFFFFF):  # absent, and how llama.cpp spells it
        return None
    if not 0 <= number < len(tokens):
        raise UserError(f"{file.path}: tokenizer.ggml.{key} = {number}, but there are {len(tokens)} tokens")
    return str(tokens[number])
