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
from glassmill.recipe.preferring import DpoSettings, RlSettings


def stage_section(settings: type[Settings], asked_for: bool = False) -> Any:
    """The section of a stage, which has the stage's name (see `glassmill.stages`).

    `asked_for`: a recipe that names no stages is without this one.
    """
    return Field(default_factory=settings, json_schema_extra={"stage": True, "asked_for": asked_for})


class Recipe(Settings):
    """The whole line."""

    name: str = Field("recipe", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="names the run folders")
    seed: int = Field(7, ge=0, lt=2**31)
    stages: tuple[str, ...] = Field(
        default_factory=lambda: stage_names(asked_for=False), description="what to run, in any order"
    )
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
    dpo: DpoSettings = stage_section(DpoSettings, asked_for=True)
    rl: RlSettings = stage_section(RlSettings, asked_for=True)
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

    def with_stage(self, name: str) -> Recipe:
        """The recipe with the stage `name`, if it is one that runs only where it is asked for."""
        asked_for = {*stage_names()} - {*stage_names(asked_for=False)} - {*self.stages}
        return self.model_copy(update={"stages": (*self.stages, name)}) if name in asked_for else self


def _check_batch(name: str, batch_tokens: int, unit: str, length: int) -> None:
    """Refuses a batch that isn't a whole number of rows: training would take another one than the recipe says."""
    if batch_tokens % length:
        near = max(1, round(batch_tokens / length)) * length
        raise ValueError(f"{name} = {batch_tokens} is not a multiple of {unit} = {length}; set {name}={near}")


def stage_names(asked_for: bool = True) -> tuple[str, ...]:
    """The stages that a recipe can name: its sections that are declared with `stage_section`; `asked_for`: those too
    that run only where a recipe names them."""
    extras = ((name, field.json_schema_extra) for name, field in Recipe.model_fields.items())
    found = [(name, extra) for name, extra in extras if isinstance(extra, dict) and extra.get("stage")]
    return tuple(name for name, extra in found if asked_for or not extra.get("asked_for"))
