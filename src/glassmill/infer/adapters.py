"""LoRA adapters as folders of PEFT's form, which peft, transformers, vLLM and llama.cpp's converter open.

adapter_config.json  adapter_model.safetensors
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from glassmill.errors import UserError
from glassmill.foreign_json import load_object
from glassmill.model.lora import TARGETS, adapter_state, adapters, add_lora, load_adapter_state
from glassmill.model.transformer import Transformer
from glassmill.run.files import atomic_path

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
PLAIN = {"bias": "none", "fan_in_fan_out": False, "use_dora": False, "use_rslora": False, "modules_to_save": None}
"""What changes how PEFT computes, and the only values that we compute."""


def save_adapter(path: str | Path, model: Transformer, base: str) -> None:
    """Write the model's adapters; a folder at `path` is replaced.

    Args:
        path: The folder.
        model: With adapters, not merged.
        base: What the adapters belong to: a path or name that people find it by.
    """
    layers = dict(adapters(model))
    first = next(iter(layers.values()))
    rank = first.lora_A.shape[0]
    config: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": first.scale * rank,
        "lora_dropout": 0.0,
        "target_modules": sorted({name.rpartition(".")[2] for name in layers}),
        "inference_mode": True,
        **PLAIN,
    }
    weights = {PREFIX + name: tensor.cpu().contiguous() for name, tensor in adapter_state(model).items()}
    with atomic_path(Path(path)) as folder:
        folder.mkdir()
        (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True, allow_nan=False) + "\n", "utf-8")
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def load_adapter(path: str | Path, model: Transformer) -> None:
    """Put the adapters of a folder around a model; `merge_lora` then gives a plain model.

    Raises:
        UserError: no such folder, a form of adapter that isn't computed here, or one of another model.
    """
    folder = Path(path)
    config = load_object(folder / CONFIG)
    rank, alpha, targets = _read_config(config, str(folder / CONFIG))
    try:
        weights = load_file(folder / WEIGHTS)
        add_lora(model, rank, alpha, targets)
        load_adapter_state(model, {name.removeprefix(PREFIX): tensor for name, tensor in weights.items()})
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: the adapter cannot be read: {error}") from None


def _read_config(config: Mapping[str, Any], where: str) -> tuple[int, float, tuple[str, ...]]:
    """Rank, alpha and the names of the layers."""
    if config.get("peft_type") != "LORA":
        raise UserError(f"{where}: peft_type = {config.get('peft_type')!r}; only LORA is supported")
    for name, plain in PLAIN.items():
        if config.get(name, plain) != plain and config.get(name):
            raise UserError(f"{where}: {name} = {config[name]!r} is not supported; merge the adapter with peft")
    for name in ("rank_pattern", "alpha_pattern", "layers_to_transform"):
        if config.get(name):
            raise UserError(f"{where}: {name} is not supported; merge the adapter with peft")
    rank, alpha, targets = config.get("r"), config.get("lora_alpha"), config.get("target_modules")
    if type(rank) is not int or rank < 1 or not isinstance(alpha, (int, float)) or alpha <= 0:
        raise UserError(f"{where}: r = {rank!r} and lora_alpha = {alpha!r} must be numbers above 0")
    names = TARGETS if targets == "all-linear" else targets
    if not isinstance(names, (list, tuple)) or not names or not set(names) <= set(TARGETS):
        raise UserError(f"{where}: target_modules = {targets!r}; known are {', '.join(TARGETS)}, as a list")
    return rank, float(alpha), tuple(names)
