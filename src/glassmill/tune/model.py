"""The model of a tuning: as its first step finds it, and as it is published."""

from __future__ import annotations

import torch

from glassmill.infer.folder import load_folder, save_folder
from glassmill.model.transformer import Transformer
from glassmill.recipe import LoopSettings
from glassmill.run.folder import RunFolder
from glassmill.train.adapting import adapt, publish_adapter
from glassmill.train.base import Base
from glassmill.train.plan import Setup


def fresh(start: Base, settings: LoopSettings, setup: Setup, seed: int) -> Transformer:
    """The model to start from, with its adapters if there are any; in float32, where the steps are computed."""
    model = load_folder(start.folder, setup.device.torch_device, torch.float32).model
    adapt(model, settings.lora, seed)
    return model


def publish(run: RunFolder, start: Base, settings: LoopSettings, model: Transformer, told: dict[str, object]) -> None:
    """Write `model/`, and `adapter/` if there is one; `told` goes into `glassmill.json` with where it came from."""
    publish_adapter(run, model, settings, str(start.folder))
    provenance = {"run": run.name, "stage": run.stage, **told, "base": start.meta}
    save_folder(run.path / "model", model, start.tokenizer, provenance)
