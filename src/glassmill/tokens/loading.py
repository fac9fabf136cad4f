"""Finding and reading tokenizer files: from a path or a known name to the arguments of a `Tokenizer`.

Our own folders are read from their rank file, imported ones from their `tokenizer.json`, which is saved unchanged.
Byte-level BPE runs in the native core; any other form (SentencePiece's words, unusual normalizers) in Hugging Face's
`tokenizers`, if that is installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np

from glassmill.errors import UserError
from glassmill.run.integrity import check_run_files
from glassmill.tokens import formats
from glassmill.tokens.bpe import Merge, recover_merges
from glassmill.tokens.codecs import Codec, HuggingFaceCodec, bpe_codec
from glassmill.tokens.foreign import byte_level
from glassmill.tokens.known import KNOWN, Known, by_hash, find_ranks
from glassmill.tokens.plain_split import unicode_version
from glassmill.tokens.schema import check_tokenizer_json

Content = str | bytes | np.ndarray

META_FORMAT = 1
TOKENIZER_FILES = ("vocab.tiktoken", "meta.json", "tokenizer.json", "tokenizer_config.json")
WORD_MARK = "▁"  # SentencePiece's space


class Files(Protocol):
    """What a tokenizer writes when it is saved."""

    def contents(self) -> dict[str, Content]:
        """File name -> content."""

    def order(self) -> Mapping[bytes, int]:
        """Symbol -> rank of its merge, for the symbols that merges of bytes make."""


class Parts(TypedDict):
    """The arguments of `Tokenizer`."""

    codec: Codec
    symbols: Mapping[int, bytes]
    special: Mapping[str, int]
    eos: str | None
    bos: NotRequired[str | None]
    chat_template: str | None
    files: Files
    strip_prefix_space: NotRequired[bool]


@dataclass(frozen=True)
class OwnFiles:
    """A tokenizer defined by ranks and a split pattern."""

    ranks: Mapping[bytes, int]
    pattern: str
    special: Mapping[str, int]
    eos: str | None
    chat_template: str | None
    training: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def merges(self) -> list[Merge]:
        """The two parts of every merged symbol, in rank order; takes seconds for a large vocabulary."""
        return recover_merges(self.ranks)

    def contents(self) -> dict[str, Content]:
        config = formats.tokenizer_config(self.chat_template, bos_token=None, eos_token=self.eos, pad_token=self.eos)
        meta = {
            "format": META_FORMAT,
            "pattern": self.pattern,
            "special_tokens": dict(self.special),
            "eos_token": self.eos,
            "chat_template": self.chat_template,
            "num_merges": len(self.merges),
            "unicode": unicode_version(),
            "training": dict(self.training),
        }
        full = formats.tokenizer_json(self.ranks, self.merges, self.pattern, self.special)
        return {
            "vocab.tiktoken": formats.rank_lines(self.ranks),
            "meta.json": formats.dump_json(meta),
            "tokenizer.json": formats.dump_json(full),
            "tokenizer_config.json": formats.dump_json(config),
        }

    def order(self) -> Mapping[bytes, int]:
        return self.ranks


@dataclass(frozen=True, slots=True)
class ForeignFiles:
    """An imported tokenizer: its two files, unchanged."""

    full: Mapping[str, Any]
    config: Mapping[str, object]

    def contents(self) -> dict[str, Content]:
        return {
            "tokenizer.json": formats.dump_json(self.full),
            "tokenizer_config.json": formats.dump_json(self.config),
        }

    def order(self) -> Mapping[bytes, int]:
        merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in self.full["model"]["merges"])
        made = [(formats.from_alphabet(left), formats.from_alphabet(right)) for left, right in merges]
        return {
            left + right: place for place, (left, right) in enumerate(made) if left is not None and right is not None
        }


def load_parts(path_or_name: str | Path) -> Parts:
    """The arguments of `Tokenizer` for a path or a known name. See `Tokenizer.load`."""
    if str(path_or_name) in KNOWN and not Path(path_or_name).exists():
        return _known_parts(find_ranks(str(path_or_name)), KNOWN[str(path_or_name)])
    path = Path(path_or_name)
    if path.is_dir():
        return _folder_parts(path)
    if not path.is_file():
        names = ", ".join(sorted(KNOWN))
        raise UserError(f"no tokenizer at {path}; give a folder, a .tiktoken or tokenizer.json file, or one of {names}")
    if path.suffix == ".json":
        return foreign_parts(formats.read_json(path), _sibling_config(path.parent), str(path))
    if (path.parent / "meta.json").is_file():
        return _rank_parts(path, path.parent / "meta.json")
    content = path.read_bytes()
    known = by_hash(content)
    if known is None:
        raise UserError(f"{path} has no split pattern and no meta.json next to it; give the folder or a tokenizer.json")
    return _known_parts(content, known)


def own_parts(files: OwnFiles) -> Parts:
    """A tokenizer from ranks and a pattern."""
    return {
        "codec": bpe_codec(files.ranks, files.pattern, files.special),
        "symbols": {rank: symbol for symbol, rank in files.ranks.items()},
        "special": files.special,
        "eos": files.eos,
        "chat_template": files.chat_template,
        "files": files,
    }


def foreign_parts(full: object, config: Mapping[str, object], where: str) -> Parts:
    """A tokenizer described by a `tokenizer.json`.

    Added tokens are removed from the engine, so that no text can become one. Those of white space only stay (some
    vocabularies keep runs of spaces there): they are text.

    Raises:
        UserError: not BPE, or damaged.
    """
    model = full.get("model") if isinstance(full, dict) else None
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if (
        not isinstance(full, dict)
        or not isinstance(model, dict)
        or kind != "BPE"
        or not isinstance(model.get("vocab"), dict)
    ):
        raise UserError(f"{where}: not a BPE tokenizer ({kind or 'no model'}); only BPE is supported")
    check_tokenizer_json(full, where)
    try:
        added = {str(token["content"]): int(token["id"]) for token in full.get("added_tokens") or []}
        vocab = {str(spelled): int(number) for spelled, number in model["vocab"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where} is damaged: {error}") from None
    by_word = '"ByteFallback"' in json.dumps(full.get("decoder"))
    spell = _word_bytes if by_word else _alphabet_bytes
    special = {name: number for name, number in added.items() if name.strip()}
    symbols = {number: spell(spelled) for spelled, number in vocab.items() if spelled not in special}
    symbols |= {number: name.encode() for name, number in added.items() if not name.strip()}
    known = byte_level(full, symbols)
    return {
        "codec": bpe_codec(special=special, **known) if known else _hugging_face(full, where),
        "symbols": symbols,
        "special": special,
        "eos": token_text(config.get("eos_token")),
        "bos": token_text(config.get("bos_token")),
        "chat_template": _default_template(config.get("chat_template")),
        "files": ForeignFiles(full, config),
        "strip_prefix_space": by_word,
    }


def _hugging_face(full: Mapping[str, Any], where: str) -> Codec:
    """The engine that supports every form. Text-only added tokens stay in it."""
    try:
        import tokenizers
    except ImportError:
        raise UserError(
            f"{where}: this kind of tokenizer needs another engine: `pip install tokenizers`, then try again"
        ) from None
    model = full["model"]
    text_only = [token for token in full.get("added_tokens") or [] if not token["content"].strip()]
    numbered = {**model["vocab"], **{token["content"]: token["id"] for token in text_only}}  # or it would renumber them
    changed = {**full, "added_tokens": text_only, "model": {**model, "vocab": numbered}}
    try:
        return HuggingFaceCodec(tokenizers.Tokenizer.from_str(json.dumps(changed)))
    except Exception as error:  # the engine raises bare Exception for anything it cannot read
        raise UserError(f"{where} is damaged: {error}") from None


def token_text(entry: object) -> str | None:
    """A special token in `tokenizer_config.json`: a string, an object with `content`, or null."""
    name = entry.get("content") if isinstance(entry, dict) else entry
    return name if isinstance(name, str) else None


def _folder_parts(folder: Path) -> Parts:
    for place in (folder, folder / "model"):
        check_run_files(place, TOKENIZER_FILES)
        if (place / "vocab.tiktoken").is_file() and (place / "meta.json").is_file():
            return _rank_parts(place / "vocab.tiktoken", place / "meta.json")
        if (place / "tokenizer.json").is_file():
            path = place / "tokenizer.json"
            return foreign_parts(formats.read_json(path), _sibling_config(place), str(path))
        if (place / "vocab.json").is_file() and (place / "merges.txt").is_file():
            full = formats.gpt2_json(formats.read_json(place / "vocab.json"), (place / "merges.txt").read_text("utf-8"))
            return foreign_parts(full, _sibling_config(place), str(place / "vocab.json"))
    raise UserError(
        f"no tokenizer in {folder} (no vocab.tiktoken with meta.json, no tokenizer.json, no vocab.json with merges.txt)"
    )


def _rank_parts(ranks: Path, meta_path: Path) -> Parts:
    meta = formats.read_json(meta_path)
    try:
        pattern, special = (
            str(meta["pattern"]),
            {str(name): int(number) for name, number in meta["special_tokens"].items()},
        )
        eos, template = meta["eos_token"], meta["chat_template"]
        training = dict(meta.get("training", {}))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise UserError(f"{meta_path} is not a tokenizer's meta.json: pattern or special_tokens are missing") from None
    symbols = formats.parse_ranks(ranks.read_bytes(), str(ranks))
    return own_parts(OwnFiles(symbols, pattern, special, eos, template, training))


def _known_parts(content: bytes, known: Known) -> Parts:
    ranks = formats.parse_ranks(content, "the rank file")
    return own_parts(OwnFiles(ranks, known.pattern, known.special, "<|endoftext|>", None))


def _sibling_config(folder: Path) -> dict[str, object]:
    """`tokenizer_config.json`, with the chat template that newer folders keep in a separate file."""
    path = folder / "tokenizer_config.json"
    config: dict[str, object] = formats.read_json(path) if path.is_file() else {}
    template = folder / "chat_template.jinja"
    if template.is_file():
        config["chat_template"] = template.read_text(encoding="utf-8")
    return config


def _default_template(entry: object) -> str | None:
    """The chat template; of a list of named ones, the one called `default`."""
    if isinstance(entry, list):
        entry = {one.get("name"): one.get("template") for one in entry if isinstance(one, dict)}.get("default")
    return entry if isinstance(entry, str) else None


def _alphabet_bytes(spelled: str) -> bytes:
    symbol = formats.from_alphabet(spelled)
    return spelled.encode() if symbol is None else symbol


def _word_bytes(spelled: str) -> bytes:
    if len(spelled) == 6 and spelled.startswith("<0x") and spelled.endswith(">"):
        return bytes([int(spelled[3:5], 16)])
    return spelled.replace(WORD_MARK, " ").encode()
