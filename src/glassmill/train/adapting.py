"""Adapters in a training: put around the model before the first step, published and merged after the last."""

from __future__ import annotations

from glassmill.infer.peft import save_adapter
from glassmill.model.lora import add_lora, merge_lora
from glassmill.model.transformer import Transformer
from glassmill.recipe import LoopSettings, LoraSettings
from glassmill.run.folder import RunFolder


def adapt(model: Transformer, lora: LoraSettings, seed: int) -> None:
    """Give the model the adapters that the recipe asks for, if it asks for any."""
    if lora.rank:
        add_lora(model, lora.rank, lora.alpha or 2.0 * lora.rank, lora.targets, seed)


def publish_adapter(run: RunFolder, model: Transformer, settings: LoopSettings, base: str) -> None:
    """Write `adapter/` and merge the adapters into the model, if there are any."""
    if settings.lora.rank:
        save_adapter(run.path / "adapter", model, base)
        merge_lora(model)
