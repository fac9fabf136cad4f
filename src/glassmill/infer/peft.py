"""LoRA adapters as folders of the PEFT library: those of a training written, any merged into its base model.

    W + scale B A      for every adapted layer

    adapter_config.json  adapter_model.safetensors

Only what is exactly this sum is taken; DoRA, biases and other trained modules are refused by name.
Source: Hu et al. 2021 (arXiv 2106.09685); rank-stabilised scaling is Kalajdzievski 2023 (arXiv 2312.03732).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassmill.errors import UserError
from glassmill.foreign_json import load_object
from glassmill.infer.folder import load_folder, save_folder
from glassmill.model.lora import TARGETS, adapter_state, adapters
from glassmill.model.transformer import Transformer
from glassmill.run.device import inference_dtype
from glassmill.run.files import atomic_path

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MAX_ADAPTER_BYTES = 4 << 30
_NAME = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight")


def merge_adapter(base: Path, adapter: Path, out: Path) -> Path:
    """Writes the model folder of `base` with `adapter` merged in, and returns it.

    Raises:
        UserError: The adapter is damaged, does not fit the base, or does more than LoRA.
    """
    alpha, stabilised = _read_config(adapter / CONFIG)
    pairs = _read_pairs(adapter / WEIGHTS)
    loaded = load_folder(base, dtype=_dtype_of(base))
    merge_pairs(loaded.model, pairs, alpha, stabilised, str(adapter))
    save_folder(out, loaded.model, loaded.tokenizer, {"adapter": adapter.name, "base": base.name})
    return out


@torch.no_grad()
def merge_pairs(
    model: Transformer, pairs: Mapping[str, tuple[Tensor, Tensor]], alpha: float, stabilised: bool, what: str
) -> None:
    """Adds `scale B A` to each named layer, in float32; `scale` is `alpha / rank`, or `alpha / sqrt(rank)`.

    Args:
        model: Changed in place.
        pairs: A `(rank, in)` and B `(out, rank)` by the layer's name.
        alpha, stabilised: How strong they are.
        what: The adapter, for messages.

    Raises:
        UserError: A layer is missing or has another shape.
    """
    layers = dict(model.named_modules())
    for name, (first, second) in pairs.items():
        layer = layers.get(name)
        weight = getattr(layer, "weight", None)
        if name.rsplit(".", 1)[-1] not in TARGETS or not isinstance(weight, Tensor):
            raise UserError(f"{what}: {name[:80]} is no layer of this model that an adapter can change")
        if first.ndim != 2 or second.shape != (weight.shape[0], len(first)) or first.shape[1] != weight.shape[1]:
            shapes = f"{tuple(second.shape)} and {tuple(first.shape)} for {tuple(weight.shape)}"
            raise UserError(f"{what} does not fit this model: {name[:80]} is {shapes}")
        scale = alpha / (math.sqrt(len(first)) if stabilised else len(first))
        weight.copy_(weight.float() + scale * (second.float() @ first.float()))


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
        "bias": "none",
        "fan_in_fan_out": False,
    }
    weights = {f"base_model.model.{name}": tensor.cpu().contiguous() for name, tensor in adapter_state(model).items()}
    with atomic_path(Path(path)) as folder:
        folder.mkdir()
        (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True, allow_nan=False) + "\n", "utf-8")
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def _read_config(path: Path) -> tuple[float, bool]:
    config = load_object(path)
    if config.get("peft_type", "LORA") != "LORA":
        raise UserError(f"{path}: peft_type {str(config['peft_type'])[:20]}; only LORA is supported")
    for name, harmless in (("bias", "none"), ("use_dora", False), ("lora_bias", False), ("fan_in_fan_out", False)):
        if config.get(name, harmless) not in (harmless, None):
            raise UserError(f"{path}: {name} = {str(config[name])[:40]} is not supported")
    for name in ("modules_to_save", "rank_pattern", "alpha_pattern", "layer_replication", "trainable_token_indices"):
        if config.get(name):
            raise UserError(f"{path}: {name} is not supported")
    alpha: Any = config.get("lora_alpha", 8)
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise UserError(f"{path}: lora_alpha = {str(alpha)[:40]}: must be a number")
    return float(alpha), bool(config.get("use_rslora"))


def _read_pairs(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    if not path.is_file():
        raise UserError(f"{path} is missing; adapters are read from safetensors only")
    if path.stat().st_size > MAX_ADAPTER_BYTES:
        raise UserError(f"{path} has {path.stat().st_size:,} bytes; adapters up to {MAX_ADAPTER_BYTES:,} are read")
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors raises its own class for every kind of damage
        raise UserError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from None
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None or not tensor.dtype.is_floating_point:
            raise UserError(f"{path}: {name[:80]} is no part of a LoRA adapter")
        if not torch.isfinite(tensor).all():
            raise UserError(f"{path}: {name[:80]} has numbers that are NaN or infinite")
        halves.setdefault(match[1], {})[match[2]] = tensor
    for name, both in halves.items():
        if both.keys() != {"A", "B"}:
            raise UserError(f"{path}: {name[:80]} has only one half of its adapter")
    if not halves:
        raise UserError(f"{path} has no adapters")
    return {name: (both["A"], both["B"]) for name, both in halves.items()}


def _dtype_of(base: Path) -> torch.dtype | None:
    """The type in which the base would be computed here; the sum itself is made in float32."""
    num_bytes = sum(file.stat().st_size for file in base.glob("*.safetensors"))
    name = inference_dtype("cpu", num_bytes)
    return None if name is None else getattr(torch, name)
