"""How a model is tuned where the recipe leaves it open: by optimizer and rates that suit where it comes from.

A model trained here is young: a few thousand steps of Muon at a high rate, and it is tuned the same way. Published
weights saw a million times as much text; steps of that size wipe it out within a dozen. They get AdamW at the rate that
SmolLM2-135M keeps its knowledge with (`docs/log.md`), and larger models the smaller rate that is usual for them, by the
root of their size (compare 2e-5 for 7 billion: Taori et al. 2023, Alpaca; Touvron et al. 2023, Llama 2, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters
from glassmill.recipe import SftSettings

OWN_LR, OWN_EMBEDDING_LR = 0.006, 0.0012
OWN_ADAMW_LR = 0.001
IMPORTED_LR, IMPORTED_PARAMETERS = 1e-4, 135e6
IMPORTED_MUON_LR = 0.0005
ROW_TOKENS = 256


def is_own(meta: Mapping[str, Any]) -> bool:
    """Whether a model was trained here from the start, by its `glassmill.json`; tuned here does not count."""
    while meta.get("stage") == "sft" and isinstance(meta.get("base"), Mapping):
        meta = meta["base"]
    return meta.get("stage") == "train"


def settled(settings: SftSettings, config: ModelConfig, meta: Mapping[str, Any]) -> SftSettings:
    """The settings with optimizer, rates and length filled in for the model to start from."""
    own = is_own(meta)
    optimizer = settings.optimizer if settings.optimizer != "auto" else "muon" if own else "adamw"
    smaller = min(1.0, (IMPORTED_PARAMETERS / num_parameters(config)) ** 0.5)
    imported = float(f"{IMPORTED_LR * smaller:.2g}")
    if own:
        rates = (OWN_LR if optimizer == "muon" else OWN_ADAMW_LR, OWN_EMBEDDING_LR)
    else:
        rates = (float(f"{IMPORTED_MUON_LR * smaller:.2g}") if optimizer == "muon" else imported, imported)
    return settings.model_copy(
        update={
            "optimizer": optimizer,
            "peak_lr": rates[0] if settings.peak_lr is None else settings.peak_lr,
            "embedding_lr": rates[1] if settings.embedding_lr is None else settings.embedding_lr,
            "length": min(ROW_TOKENS, config.context_length) if settings.length is None else settings.length,
        }
    )
