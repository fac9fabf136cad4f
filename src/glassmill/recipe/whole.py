"""The whole line as one immutable value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from glassmill.recipe.base import Settings, user_file
from glassmill.recipe.collecting import CrawlSettings, FetchSettings, ListsSettings, MiniwebSettings
from glassmill.recipe.depth import follow_depth
from glassmill.recipe.filters import CorpusSettings
from glassmill.recipe.learning import (
    EvalSettings,
    ModelSettings,
    RunSettings,
    SftSettings,
    TokenizerSettings,
    TokensSettings,
    TrainSettings,
)


def stage_section(settings: type[Settings]) -> Any:
    """The section of a stage, which has the stage's name (see `glassmill.stages`)."""
    return Field(default_factory=settings, json_schema_extra={"stage": True})


class Recipe(Settings):
    """The whole line."""

    name: str = Field("recipe", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="names the run folders")
    seed: int = Field(7, ge=0, lt=2**31)
    stages: tuple[str, ...] = Field(default_factory=lambda: stage_names(), description="what to run, in any order")
    given: Mapping[str, str] = user_file(
        {}, description="finished runs that stand in for stages, such as given.tokens = tokens/mine-f9da91"
    )
    fetch: FetchSettings = FetchSettings()
    crawl: CrawlSettings = CrawlSettings()
    lists: ListsSettings = ListsSettings()
    miniweb: MiniwebSettings = stage_section(MiniwebSettings)
    corpus: CorpusSettings = stage_section(CorpusSettings)
    tokenizer: TokenizerSettings = stage_section(TokenizerSettings)
    tokens: TokensSettings = stage_section(TokensSettings)
    model: ModelSettings = ModelSettings()
    train: TrainSettings = stage_section(TrainSettings)
    sft: SftSettings = stage_section(SftSettings)
    eval: EvalSettings = stage_section(EvalSettings)
    run: RunSettings = RunSettings()

    @model_validator(mode="before")
    @classmethod
    def _rates_follow_depth(cls, values: object) -> object:
        return follow_depth(values, TokenizerSettings().vocab_size)

    @model_validator(mode="after")
    def _batches_hold_windows(self) -> Recipe:
        if "train" in self.stages:
            _check_batch(
                "train.batch_tokens", self.train.batch_tokens, "model.context_length", self.model.context_length
            )
        return self

    @field_validator("stages")
    @classmethod
    def _known(cls, stages: tuple[str, ...]) -> tuple[str, ...]:
        for name in stages:
            if name not in stage_names():
                near = difflib.get_close_matches(name, stage_names(), n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(stage_names())}"
                raise ValueError(f"no stage {name!r}; {hint}")
        return stages


def _check_batch(name: str, batch_tokens: int, unit: str, length: int) -> None:
    """Refuses a batch that isn't a whole number of rows: training would take another one than the recipe says."""
    if batch_tokens % length:
        near = max(1, round(batch_tokens / length)) * length
        raise ValueError(f"{name} = {batch_tokens} is not a multiple of {unit} = {length}; set {name}={near}")


def stage_names() -> tuple[str, ...]:
    """The stages that a recipe can name: its sections that are declared with `stage_section`."""
    extras = ((name, field.json_schema_extra) for name, field in Recipe.model_fields.items())
    return tuple(name for name, extra in extras if isinstance(extra, dict) and extra.get("stage"))
