"""Finding and reading tokenizer files: from a path or a known name to the arguments of a `Tokenizer`.

Our own folders are read from their rank file, imported ones from their `tokenizer.json` (see `imported`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

import numpy as np

from glassmill.errors import UserError
from glassmill.run.integrity import check_run_files
from glassmill.textfiles import read_text
from glassmill.tokens import formats
from glassmill.tokens.bpe import Merge, recover_merges
from glassmill.tokens.codecs import Codec, bpe_codec
from glassmill.tokens.imported import foreign_parts, sayings
from glassmill.tokens.known import KNOWN, Known, by_hash, find_ranks
from glassmill.tokens.plain_split import unicode_version

if TYPE_CHECKING:
    from glassmill.tokens.hugging_face import Engine

Content = str | bytes | np.ndarray

META_FORMAT = 1
TOKENIZER_FILES = ("vocab.tiktoken", "meta.json", "tokenizer.json", "tokenizer_config.json")


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
    engine: NotRequired[Engine]
    templates: NotRequired[Mapping[str, str]]
    ends: NotRequired[tuple[int, ...]]
    generation: NotRequired[Mapping[str, Any]]


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
        return _file_parts(path)
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


def _folder_parts(folder: Path) -> Parts:
    for place in (folder, folder / "model"):
        check_run_files(place, TOKENIZER_FILES)
        if (place / "vocab.tiktoken").is_file() and (place / "meta.json").is_file():
            return _rank_parts(place / "vocab.tiktoken", place / "meta.json")
        if (place / "tokenizer.json").is_file():
            return _file_parts(place / "tokenizer.json")
        if (place / "vocab.json").is_file() and (place / "merges.txt").is_file():
            full = formats.gpt2_json(formats.read_json(place / "vocab.json"), read_text(place / "merges.txt"))
            return foreign_parts(full, _config(place), str(place / "vocab.json"), sayings(place), place)
    raise UserError(
        f"no tokenizer in {folder} (no vocab.tiktoken with meta.json, no tokenizer.json, no vocab.json with merges.txt)"
    )


def _file_parts(path: Path) -> Parts:
    folder = path.parent
    return foreign_parts(formats.read_json(path), _config(folder), str(path), sayings(folder), folder)


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


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    config = formats.read_json(path) if path.is_file() else {}
    return config if isinstance(config, dict) else {}
