"""How a model is trained on where the recipe leaves it open: by optimizer and rates that suit where it comes from.

A model trained here is young: a few thousand steps of Muon at a high rate, and it is tuned the same way. Published
weights saw a million times as much text; steps of that size wipe it out within a dozen. They get AdamW at the rate that
SmolLM2-135M keeps its knowledge with (`docs/log.md`), and larger models the smaller rate that is usual for them, by the
root of their size (compare 2e-5 for 7 billion: Taori et al. 2023, Alpaca; Touvron et al. 2023, Llama 2, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from glassmill.model.config import ModelConfig
from glassmill.model.sizes import num_parameters
from glassmill.recipe import DpoSettings, RlSettings, SftSettings, TrainSettings

Preferring = TypeVar("Preferring", DpoSettings, RlSettings)
OWN_LR, OWN_EMBEDDING_LR, OWN_HEAD_LR = 0.006, 0.0012, 0.0004
"""The last one of everything but the matrices, if the head is the model's own: it forgets more quickly."""
OWN_ADAMW_LR = 0.001
IMPORTED_LR, IMPORTED_PARAMETERS = 1e-4, 135e6
IMPORTED_MUON_LR = 0.0005
LORA_LR = 1e-3
"""Of adapters, which begin as nothing and move far: about ten times that of the weights (Hu et al. 2021, table 11)."""
RL_OWN_LR, DPO_OWN_LR, PREFERRING_IMPORTED_LR, PREFERRING_LORA_LR = 1e-3, 1e-4, 1e-6, 1e-5
"""Of rewards and preferences: measured for models trained here (`bench/preferences.py`); for published ones what is
usual (Rafailov et al. 2023, arXiv 2305.18290, appendix B), ten times that for adapters."""
PAGES_TO_CONVERSATIONS = 3.0
"""Times the rate of tuning, for continued pretraining: a batch teaches something at every token."""
ROW_TOKENS = 256


def is_own(meta: Mapping[str, Any]) -> bool:
    """Whether a model was trained here from the start, by its `glassmill.json`; tuned here does not count."""
    while isinstance(meta.get("base"), Mapping):
        meta = meta["base"]
    return meta.get("stage") == "train" and "base" not in meta


def rates_for(config: ModelConfig, own: bool, optimizer: str) -> tuple[float, float]:
    """Learning rates of the matrices and of everything else, for tuning a finished model."""
    smaller = min(1.0, (IMPORTED_PARAMETERS / num_parameters(config)) ** 0.5)
    imported = float(f"{IMPORTED_LR * smaller:.2g}")
    if own:
        return (
            OWN_LR if optimizer == "muon" else OWN_ADAMW_LR,
            OWN_EMBEDDING_LR if config.tie_embeddings else OWN_HEAD_LR,
        )
    return float(f"{IMPORTED_MUON_LR * smaller:.2g}") if optimizer == "muon" else imported, imported


def continuing_rates(settings: TrainSettings, config: ModelConfig, meta: Mapping[str, Any]) -> dict[str, object]:
    """Optimizer and rates for continuing a model's pretraining; what the recipe sets by hand stays."""
    own = is_own(meta)
    optimizer = settings.optimizer if "optimizer" in settings.model_fields_set else "muon" if own else "adamw"
    peak, other = rates_for(config, own, optimizer)
    if not own:
        peak, other = (float(f"{PAGES_TO_CONVERSATIONS * rate:.2g}") for rate in (peak, other))
    if settings.lora.rank:
        peak = other = LORA_LR
    chosen = {"optimizer": optimizer, "peak_lr": peak, "embedding_lr": other}
    return {name: value for name, value in chosen.items() if name not in settings.model_fields_set}


def preferring(settings: Preferring, meta: Mapping[str, Any]) -> Preferring:
    """The settings of `rl` or `dpo` with optimizer and rates filled in for the model to start from."""
    own = RL_OWN_LR if isinstance(settings, RlSettings) else DPO_OWN_LR
    rate = PREFERRING_LORA_LR if settings.lora.rank else own if is_own(meta) else PREFERRING_IMPORTED_LR
    return settings.model_copy(
        update={
            "peak_lr": rate if settings.peak_lr is None else settings.peak_lr,
            "embedding_lr": rate if settings.embedding_lr is None else settings.embedding_lr,
        }
    )


def settled(settings: SftSettings, config: ModelConfig, meta: Mapping[str, Any]) -> SftSettings:
    """The settings with optimizer, rates and length filled in for the model to start from."""
    own = is_own(meta)
    optimizer = settings.optimizer if settings.optimizer != "auto" else "muon" if own else "adamw"
    rates = (LORA_LR, LORA_LR) if settings.lora.rank else rates_for(config, own, optimizer)
    return settings.model_copy(
        update={
            "optimizer": optimizer,
            "peak_lr": rates[0] if settings.peak_lr is None else settings.peak_lr,
            "embedding_lr": rates[1] if settings.embedding_lr is None else settings.embedding_lr,
            "length": min(ROW_TOKENS, config.context_length) if settings.length is None else settings.length,
        }
    )
