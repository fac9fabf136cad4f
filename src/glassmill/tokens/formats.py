"""Reading and writing tokenizer files of transformers, vLLM, tiktoken and llama.cpp. No pickle.

vocab.tiktoken         base64 of a symbol's bytes, space, rank; has neither pattern nor special tokens
meta.json              the rest: pattern, special tokens, chat template
tokenizer.json         the same tokenizer for Hugging Face's `tokenizers` (byte-level BPE)
tokenizer_config.json  the roles of special tokens (eos, bos, ...) and the chat template
token_bytes.npy        uint16, bytes of text per id (0 for special tokens), for bits per byte
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glassmill.errors import UserError
from glassmill.foreign_json import load_json
from glassmill.run.files import atomic_path, atomic_write
from glassmill.tokens.bpe import Merge
from glassmill.tokens.plain_split import portable

Ranks = Mapping[bytes, int]


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for every byte: printable Latin-1 stays, the rest moves to U+0100 and up."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(moved)) for byte in range(256)]


BYTE_TO_CHAR = _byte_alphabet()
_TO_ALPHABET = str.maketrans(dict(enumerate(BYTE_TO_CHAR)))
_FROM_ALPHABET = str.maketrans(dict.fromkeys(range(256), "\uffff") | {ord(c): i for i, c in enumerate(BYTE_TO_CHAR)})
"""Latin-1's characters are bytes; one that is not of the alphabet becomes no byte."""


def to_alphabet(symbol: bytes) -> str:
    """A symbol as `tokenizer.json` and GGUF spell it.

    >>> to_alphabet(b" the")
    'Ġthe'
    """
    return symbol.decode("latin-1").translate(_TO_ALPHABET)


def from_alphabet(spelled: str) -> bytes | None:
    """The bytes of a spelled symbol; None if it has a character outside the alphabet (an added token, say)."""
    try:
        return spelled.translate(_FROM_ALPHABET).encode("latin-1")
    except UnicodeEncodeError:
        return None


def show(symbol: bytes) -> str:
    r"""A symbol for people: as text, or `\xNN` for bytes that are part of a character.

    >>> show(b"caf\xc3")
    'caf\\xc3'
    """
    return symbol.decode("utf-8", "backslashreplace")


def rank_lines(ranks: Ranks) -> bytes:
    """The content of a `.tiktoken` file."""
    ordered = sorted(ranks.items(), key=lambda entry: entry[1])
    return b"".join(base64.b64encode(symbol) + b" %d\n" % rank for symbol, rank in ordered)


def parse_ranks(content: bytes, where: str) -> dict[bytes, int]:
    """Symbols and ranks of a `.tiktoken` file.

    Raises:
        UserError: a line is not `base64 rank`, a symbol or rank is repeated, or a single byte is missing.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line:
            continue
        try:
            symbol, rank = line.split()
            ranks[base64.b64decode(symbol, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise UserError(f"{where}, line {number}: not a line of a .tiktoken file: {line[:40]!r}") from None
    if len(set(ranks.values())) != len(ranks):
        raise UserError(f"{where}: duplicate rank")
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise UserError(
            f"{where}: not a byte-level vocabulary: {len(missing)} single bytes are missing, first {missing[0]:#04x}"
        )
    return ranks


def tokenizer_json(
    ranks: Ranks, merges: Sequence[Merge], pattern: str, special: Mapping[str, int]
) -> dict[str, object]:
    """The same tokenizer for Hugging Face: Split by our pattern, byte alphabet, BPE merges, special tokens.

    Unused ids (GPT-4's vocabulary has some) get placeholders, or the engine would renumber what follows them.
    """
    spelled = {rank: to_alphabet(symbol) for symbol, rank in ranks.items()}
    names = {number: name for name, number in special.items()}
    unused = set(range(max([*spelled, *names]))) - spelled.keys() - names.keys()
    names |= {number: f"<|unused_{number}|>" for number in unused}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": name, **flags} for number, name in sorted(names.items())],
        "normalizer": None,
        "pre_tokenizer": split_pre_tokenizer(pattern),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": bpe_model(
            {spelled[rank]: rank for rank in sorted(spelled)}, [(spelled[a], spelled[b]) for a, b in merges]
        ),
    }


def gpt2_json(vocab: object, merges: str) -> dict[str, object]:
    """A `tokenizer.json` from GPT-2's older two files, `vocab.json` and `merges.txt`."""
    if not isinstance(vocab, dict):
        raise UserError("vocab.json must be an object that maps symbols to ids")
    lines = (line.split(" ") for line in merges.splitlines() if line and not line.startswith("#version"))
    ends = [name for name in vocab if name.startswith("<|") and name.endswith("|>")]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spell = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocab[name], "content": name, **flags} for name in ends],
        "normalizer": None,
        "pre_tokenizer": spell,
        "post_processor": None,
        "decoder": spell,
        "model": bpe_model(vocab, [(left, right) for left, right in lines]),
    }


def split_pre_tokenizer(pattern: str) -> dict[str, object]:
    """The `pre_tokenizer` entry that splits by `pattern` and then maps bytes to the alphabet."""
    split = {"type": "Split", "pattern": {"Regex": portable(pattern)}, "behavior": "Isolated", "invert": False}
    spell = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [split, spell]}


def bpe_model(
    vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], ignore_merges: bool = False
) -> dict[str, object]:
    """The `model` entry of a byte-level BPE."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": ignore_merges,
        "vocab": dict(vocab),
        "merges": [list(merge) for merge in merges],
    }


def tokenizer_config(chat_template: str | None, **roles: str | None) -> dict[str, object]:
    """The content of `tokenizer_config.json`; `roles` map `eos_token` and the like to special tokens."""
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **roles,
    }
    if chat_template is not None:
        config["chat_template"] = chat_template
    return config


def dump_json(value: object) -> str:
    """JSON with a fixed layout: equal values give equal bytes."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """The value in a JSON file, see `glassmill.foreign_json`."""
    return load_json(path)


def write_files(folder: Path, files: Mapping[str, str | bytes | np.ndarray]) -> None:
    """Writes each file atomically; arrays as .npy."""
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        if isinstance(content, np.ndarray):
            with atomic_path(folder / name) as temporary, temporary.open("wb") as file:
                np.save(file, content, allow_pickle=False)
        else:
            atomic_write(folder / name, content)
