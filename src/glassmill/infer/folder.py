"""Model folders: the Hugging Face layout, read and written.

    config.json  model.safetensors  generation_config.json  glassmill.json (provenance)
    tokenizer.json  tokenizer_config.json  and whatever else the tokenizer saves

transformers, vLLM, SGLang and ctranslate2 open what is written here; folders from the hub in the two supported shapes
can be read. Safetensors and JSON only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassmill.errors import UserError
from glassmill.infer.find import find_model_folder, read_config, read_json, read_meta
from glassmill.model.config import ModelConfig
from glassmill.model.transformer import Transformer
from glassmill.run.files import atomic_path
from glassmill.tokens.tokenizer import Tokenizer

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"


@dataclass(slots=True)
class LoadedModel:
    """A model folder in memory; `meta` is its `glassmill.json`, empty for a folder from elsewhere."""

    model: Transformer
    tokenizer: Tokenizer
    config: ModelConfig
    meta: dict[str, object] = field(default_factory=dict)


def load_folder(path: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> LoadedModel:
    """Read a model folder, or a run folder that contains one.

    Args:
        path: The folder.
        device: Where the weights go.
        dtype: Their type; by default float32 on a CPU (which computes other types slower or not at all), and as stored
            elsewhere.

    Raises:
        UserError: No such folder, a missing or damaged file, or an unsupported model.
    """
    folder = find_model_folder(path)
    config = read_config(folder)
    if dtype is None and torch.device(device).type == "cpu":
        dtype = torch.float32
    model = _model_from_weights(config, _read_weights(folder), folder, device, dtype)
    return LoadedModel(model, Tokenizer.load(folder), config, read_meta(folder))


def save_folder(path: str | Path, model: Transformer, tokenizer: Tokenizer, provenance: Mapping[str, object]) -> None:
    """Write a model folder atomically; an older one at `path` is replaced.

    The bytes depend on the arguments alone: no times, no paths.
    """
    config = model.config.to_hf() | {"torch_dtype": str(model.head_weight.dtype).removeprefix("torch.")}
    eos_id = tokenizer.eos_id
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    with atomic_path(Path(path)) as folder:
        folder.mkdir()
        tokenizer.save(folder)
        _write_json(folder / "config.json", config | {"bos_token_id": tokenizer.bos_id, "eos_token_id": eos_id})
        ends = {"eos_token_id": sorted(tokenizer.stop_ids)}
        _write_json(folder / "generation_config.json", {"pad_token_id": eos_id} | tokenizer.generation | ends)
        _write_json(folder / "glassmill.json", provenance)
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder, from one file or from the shards that an index names."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / WEIGHTS_INDEX).exists():
        shards = set(read_json(folder / WEIGHTS_INDEX)["weight_map"].values())
        names = sorted(Path(shard).name for shard in shards)
    weights: dict[str, Tensor] = {}
    for name in names:
        if not (folder / name).is_file():
            raise UserError(f"{folder} has a config.json but no {name}; only safetensors weights are supported")
        try:
            weights |= load_file(folder / name)
        except Exception as error:  # safetensors raises its own class for every kind of damage
            raise UserError(f"{folder / name} is damaged: {error}") from None
    return weights


def _model_from_weights(
    config: ModelConfig, weights: dict[str, Tensor], folder: Path, device: torch.device | str, dtype: torch.dtype | None
) -> Transformer:
    with torch.device("meta"):
        model = Transformer(config)
    if config.tie_embeddings:
        weights.pop("lm_head.weight", None)
    weights = {
        name: weight.to(device=device, dtype=dtype) for name, weight in weights.items() if "rotary_emb" not in name
    }
    try:
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise UserError(f"{folder}: the weights do not fit config.json: {' '.join(str(error).split())[:300]}") from None
    return model.eval()


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(dict(value), indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
