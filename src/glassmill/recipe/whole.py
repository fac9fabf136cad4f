"""The whole line as one immutable value."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from glassmill.recipe.base import Settings
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

StageName = Literal["miniweb", "corpus", "tokenizer", "tokens", "train", "sft", "eval"]
STAGES: tuple[StageName, ...] = get_args(StageName)


class Recipe(Settings):
    """The whole line."""

    name: str = Field("recipe", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="names the run folders")
    seed: int = Field(7, ge=0, lt=2**31)
    stages: tuple[StageName, ...] = STAGES
    fetch: FetchSettings = FetchSettings()
    crawl: CrawlSettings = CrawlSettings()
    lists: ListsSettings = ListsSettings()
    miniweb: MiniwebSettings = MiniwebSettings()
    corpus: CorpusSettings = CorpusSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    tokens: TokensSettings = TokensSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    sft: SftSettings = SftSettings()
    eval: EvalSettings = EvalSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="before")
    @classmethod
    def _rates_follow_depth(cls, values: object) -> object:
        return follow_depth(values, TokenizerSettings().vocab_size)
