"""Tokenizers from elsewhere: a folder's or file's descriptions to the arguments of a `Tokenizer`.

`tokenizer.json` says how text becomes ids. Beside it, `tokenizer_config.json`, `special_tokens_map.json` and
`added_tokens.json` name special tokens, `chat_template.jinja` and `additional_chat_templates/` hold templates, and
`generation_config.json` and `config.json` name the tokens that end an answer. All of them are saved as they came.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassmill.errors import UserError
from glassmill.textfiles import read_text
from glassmill.tokens import formats
from glassmill.tokens.codecs import AddedWords, Codec, HuggingFaceCodec, bpe_codec
from glassmill.tokens.foreign import byte_level
from glassmill.tokens.schema import check_tokenizer_json

if TYPE_CHECKING:
    from glassmill.tokens.hugging_face import Engine
    from glassmill.tokens.loading import Parts

MODELS = ("BPE", "WordPiece", "Unigram", "WordLevel")
WORD_MARK = "▁"  # SentencePiece's space
KEPT = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
TEMPLATES = "additional_chat_templates"
MAX_TEMPLATE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ForeignFiles:
    """An imported tokenizer: `raw` holds its files by name, unchanged."""

    full: Mapping[str, Any]
    config: Mapping[str, object]
    raw: Mapping[str, bytes] = field(default_factory=dict)

    def contents(self) -> dict[str, str | bytes | np.ndarray]:
        made = {"tokenizer.json": self.full, "tokenizer_config.json": self.config}
        return {**{name: formats.dump_json(value) for name, value in made.items() if name not in self.raw}, **self.raw}

    def order(self) -> Mapping[bytes, int]:
        merges = self.full["model"].get("merges") or []
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
        made = [(formats.from_alphabet(left), formats.from_alphabet(right)) for left, right in pairs]
        return {
            left + right: place for place, (left, right) in enumerate(made) if left is not None and right is not None
        }


def foreign_parts(
    full: object,
    config: Mapping[str, Any],
    where: str,
    said: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Parts:
    """A tokenizer described by a `tokenizer.json`.

    Args:
        full: What it says.
        config: What `tokenizer_config.json` says.
        where: The file, for messages.
        said: What the other files say, see `sayings`.
        folder: Where the files are, to be saved as they came.

    Raises:
        UserError: no tokenizer of a known kind, or damaged.
    """
    from glassmill.tokens.hugging_face import Engine

    model = full.get("model") if isinstance(full, dict) else None
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if not isinstance(full, dict) or not isinstance(model, dict) or kind not in MODELS or not model.get("vocab"):
        raise UserError(
            f"{where}: not a tokenizer of a known kind ({kind or 'no model'}); known are {', '.join(MODELS)}"
        )
    check_tokenizer_json(full, where)
    said = said or {}
    try:
        vocab = _vocabulary(model["vocab"])
        engine = Engine({"added_tokens": [], **full}, {**config, **said}, where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where} is damaged: {error}") from None
    spell = _spelling(full)
    names = {**engine.control, **engine.words}
    symbols = {number: spell(spelled) for spelled, number in vocab.items() if spelled not in names}
    words = {
        number: spell(text) if spell is _alphabet_bytes else text.encode() for text, number in engine.words.items()
    }
    eos, bos = engine.names.get("eos_token"), engine.names.get("bos_token")
    templates = _templates(said.get("chat_template", config.get("chat_template")))
    return {
        "codec": _codec(full, engine, symbols),
        "symbols": {**symbols, **words},
        "special": engine.control,
        "eos": eos,
        "bos": bos,
        "chat_template": templates.get("default"),
        "files": ForeignFiles(full, config, _raw(folder) if folder else {}),
        "engine": engine,
        "templates": templates,
        "ends": _ends(said, engine, {*symbols, *names.values()}),
        "generation": dict(said.get("generation", {})),
    }


def _codec(full: Mapping[str, Any], engine: Engine, symbols: Mapping[int, bytes]) -> Codec:
    """The native engine where it gives the same ids."""
    known = byte_level(full, symbols) if engine.plain_words else None
    if known is None:
        return HuggingFaceCodec(engine)
    codec = bpe_codec(special={**engine.control, **engine.words}, **known)
    return AddedWords(codec, engine.words) if engine.words else codec


def sayings(folder: Path) -> dict[str, Any]:
    """What the files beside `tokenizer.json` and `tokenizer_config.json` say.

    `special_tokens_map`, `added_tokens`, `model_type`, `chat_template` (texts by name), `generation` (the whole
    `generation_config.json`), `ends` and `doubtful_ends` (ids).
    """
    said: dict[str, Any] = {}
    for name in ("special_tokens_map", "added_tokens"):
        if (folder / f"{name}.json").is_file() and isinstance(
            value := formats.read_json(folder / f"{name}.json"), dict
        ):
            said[name] = value
    templates = {}
    if (folder / "chat_template.jinja").is_file():
        templates["default"] = read_text(folder / "chat_template.jinja", MAX_TEMPLATE_BYTES)
    for path in sorted((folder / TEMPLATES).glob("*.jinja")):
        templates[path.stem] = read_text(path, MAX_TEMPLATE_BYTES)
    if templates:
        said["chat_template"] = templates
    files = {name: folder / f"{name}.json" for name in ("generation_config", "config")}
    generation, config = (formats.read_json(path) if path.is_file() else {} for path in files.values())
    if isinstance(config, dict) and isinstance(config.get("model_type"), str):
        said["model_type"] = config["model_type"]
    if isinstance(generation, dict) and generation:
        said["generation"] = generation
    named, doubtful = (_ids(one.get("eos_token_id") if isinstance(one, dict) else None) for one in (generation, config))
    said["ends"], said["doubtful_ends"] = (named, doubtful) if named else (doubtful, [])
    return said


def _ends(said: Mapping[str, Any], engine: Engine, known: Collection[int]) -> tuple[int, ...]:
    """The ids that end an answer. Beside those of `generation_config.json`, `config.json` only adds control tokens.

    (transformers writes the defaults of a model's class into `config.json`, whatever the vocabulary is.)
    """
    control = engine.control.values()
    named = [*said.get("ends", ()), *(number for number in said.get("doubtful_ends", ()) if number in control)]
    return tuple(dict.fromkeys(number for number in named if number in known))


def token_text(entry: object) -> str | None:
    """A special token in `tokenizer_config.json`: a string, an object with `content`, or null."""
    name = entry.get("content") if isinstance(entry, dict) else entry
    return name if isinstance(name, str) else None


def _ids(entry: object) -> list[int]:
    entries = entry if isinstance(entry, list) else [entry]
    return [one for one in entries if isinstance(one, int) and not isinstance(one, bool)]


def _vocabulary(vocab: Any) -> dict[str, int]:
    """Spelled symbol -> id, of a table or of Unigram's list with scores."""
    if isinstance(vocab, dict):
        return {str(spelled): int(number) for spelled, number in vocab.items()}
    return {str(entry[0]): number for number, entry in reversed(list(enumerate(vocab)))}


def _templates(entry: object) -> dict[str, str]:
    """Chat templates by name, of a text, a list of `{name, template}`, or a table."""
    if isinstance(entry, str):
        return {"default": entry}
    if isinstance(entry, list):
        entry = {one.get("name"): one.get("template") for one in entry if isinstance(one, dict)}
    texts = entry if isinstance(entry, dict) else {}
    return {name: text for name, text in texts.items() if isinstance(name, str) and isinstance(text, str)}


def _raw(folder: Path) -> dict[str, bytes]:
    found = [name for name in KEPT if (folder / name).is_file()]
    found += [f"{TEMPLATES}/{path.name}" for path in sorted((folder / TEMPLATES).glob("*.jinja"))]
    return {name: (folder / name).read_bytes() for name in found}


def _spelling(full: Mapping[str, Any]) -> Any:
    """How to read a spelled symbol, by the decoder's steps."""
    decoder = full.get("decoder") or {}
    steps = decoder.get("decoders", [decoder]) if isinstance(decoder, dict) else []
    kinds = {step.get("type"): step for step in steps if isinstance(step, dict)}
    if "WordPiece" in kinds:
        prefix = str(kinds["WordPiece"].get("prefix", "##"))
        return lambda spelled: (spelled[len(prefix) :] if spelled.startswith(prefix) else f" {spelled}").encode()
    if "BPEDecoder" in kinds:
        return lambda spelled: spelled.replace(str(kinds["BPEDecoder"].get("suffix", "</w>")), " ").encode()
    return _alphabet_bytes if "ByteLevel" in kinds else _word_bytes


def _alphabet_bytes(spelled: str) -> bytes:
    symbol = formats.from_alphabet(spelled)
    return spelled.encode() if symbol is None else symbol


def _word_bytes(spelled: str) -> bytes:
    if len(spelled) == 6 and spelled.startswith("<0x") and spelled.endswith(">"):
        with contextlib.suppress(ValueError):
            return bytes([int(spelled[3:5], 16)])
    return spelled.replace(WORD_MARK, " ").encode()
