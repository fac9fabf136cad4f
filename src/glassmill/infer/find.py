"""Where a model is, from a path or the name of a run, and what its JSON files say. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassmill.errors import UserError
from glassmill.foreign_json import load_object
from glassmill.model.config import ModelConfig
from glassmill.run.names import find_folder
from glassmill.tokens.tokenizer import Tokenizer

MAX_CONFIG_BYTES = 4 << 20


def find_model(path: str | Path, runs: Path = Path("runs")) -> Path:
    """The model folder at a path, inside a run, inside the run of that name under `runs`, or of an imported model.

    Raises:
        UserError: There is none, or the name matches several runs; the message lists the nearest.
    """
    imported = Path("models") / path  # where `glassmill import` writes
    if not Path(path).exists() and (imported / "config.json").is_file():
        return imported
    return find_model_folder(find_folder(path, runs, _has_model, "model", "has a model"))


def _has_model(run: Path) -> bool:
    return (run / "model" / "config.json").is_file()


def find_model_folder(path: str | Path) -> Path:
    """`path` itself, or the `model` folder inside a train or sft run.

    Raises:
        UserError: Neither has a config.json; the message says what is there instead.
    """
    for folder in (Path(path), Path(path) / "model"):
        if (folder / "config.json").is_file():
            return folder
    instead = _instead(Path(path))
    raise UserError(
        f"{path} is not a model folder (no config.json{instead}); give a model folder, or a train or sft run"
    )


def _instead(folder: Path) -> str:
    """What a folder without config.json has."""
    if (folder / "adapter_config.json").is_file():
        return "; it is a LoRA adapter: merge it into its base model, and give that"
    if (folder / "params.json").is_file():
        return (
            "; it has params.json, the form of Meta's and Mistral's own code: give the one converted for transformers"
        )
    found = sorted(folder.glob("*.gguf"))
    return f", but the GGUF file {found[0].name}: give that to `glassmill import`" if found else ""


def read_config(folder: Path) -> ModelConfig:
    """The shape of the model in `folder`.

    Raises:
        UserError: `config.json` is missing or damaged, describes a model that is not supported, or names a token that
            has no embedding.
    """
    path = folder / "config.json"
    value = load_object(path, max_bytes=MAX_CONFIG_BYTES)
    config = ModelConfig.from_hf(value, str(path))
    check_token_ids(value, config, str(path))
    return config


def check_token_ids(value: Mapping[str, Any], config: ModelConfig, what: str) -> None:
    """Refuses ids of control tokens, in `config.json` or `generation_config.json`, that have no embedding.

    Raises:
        UserError: One is no whole number, or out of bounds.
    """
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        given = value.get(name)
        for number in given if isinstance(given, list) else [given]:
            if number is None or (number == -1 and name == "pad_token_id"):  # as old Llamas spell "none"
                continue
            if type(number) is not int:
                raise UserError(f"{what}: {name} = {str(number)[:60]!r} is not a whole number")
            if not 0 <= number < config.vocab_size:
                raise UserError(
                    f"{what}: {name} = {str(number)[:60]}, but the model has {config.vocab_size} embeddings"
                )


def check_embedded(folder: Path, config: ModelConfig, tokenizer: Tokenizer) -> None:
    """Every id that the folder can name has an embedding.

    Raises:
        UserError: One has none.
    """
    if tokenizer.vocab_size > config.vocab_size:
        raise UserError(
            f"{folder}: the tokenizer has ids up to {tokenizer.vocab_size - 1}, but the model {config.vocab_size} "
            "embeddings; they do not belong together"
        )
    path = folder / "generation_config.json"
    if path.exists():
        check_token_ids(load_object(path), config, str(path))


def read_meta(folder: Path) -> dict[str, object]:
    """Where the model in `folder` comes from, as `glassmill.json` has it; empty for a model from elsewhere."""
    path = folder / "glassmill.json"
    meta = load_object(path) if path.exists() else {}
    meta.pop("integrity", None)
    return meta
