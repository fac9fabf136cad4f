"""Every setting of the line: frozen pydantic models, filled from defaults, a TOML file, then `key=value` overrides.

base.py        what a section is           filters.py    the corpus stage, step by step
collecting.py  what comes before it        learning.py   tokenizer to eval, and who does the work
                                             preferring.py  preferences and rewards
whole.py       `Recipe`                    reading.py    a path and overrides to one immutable `Recipe`
"""

from glassmill.recipe.base import Settings
from glassmill.recipe.collecting import (
    CrawlSettings,
    DownloadSettings,
    FetchSettings,
    FilesSettings,
    ListsSettings,
    MiniwebSettings,
)
from glassmill.recipe.filters import (
    C4Settings,
    ClassifierSettings,
    CorpusSettings,
    DedupSettings,
    ExtractSettings,
    FinewebSettings,
    GopherQualitySettings,
    GopherRepetitionSettings,
    LanguageSettings,
    PiiSettings,
    UrlSettings,
)
from glassmill.recipe.learning import (
    EvalSettings,
    LoopSettings,
    LoraSettings,
    ModelSettings,
    RunSettings,
    SftSettings,
    TokenizerSettings,
    TokensSettings,
    TrainSettings,
)
from glassmill.recipe.preferring import DpoSettings, RlSettings
from glassmill.recipe.reading import find_recipe, load_recipe, make_recipe
from glassmill.recipe.whole import Recipe, stage_names

__all__ = [
    "C4Settings",
    "ClassifierSettings",
    "CorpusSettings",
    "CrawlSettings",
    "DedupSettings",
    "DownloadSettings",
    "DpoSettings",
    "EvalSettings",
    "ExtractSettings",
    "FetchSettings",
    "FilesSettings",
    "FinewebSettings",
    "GopherQualitySettings",
    "GopherRepetitionSettings",
    "LanguageSettings",
    "ListsSettings",
    "LoopSettings",
    "LoraSettings",
    "MiniwebSettings",
    "ModelSettings",
    "PiiSettings",
    "Recipe",
    "RlSettings",
    "RunSettings",
    "Settings",
    "SftSettings",
    "TokenizerSettings",
    "TokensSettings",
    "TrainSettings",
    "UrlSettings",
    "find_recipe",
    "load_recipe",
    "make_recipe",
    "stage_names",
]
