"""The corpora that a training reads: the recipe's own text, and the tokens runs of `train.mixture` with their shares.

All that can be known before anything starts is looked at here, without torch: where the runs are, whether their ids
mean the same, and how often each will be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np

from glassmill.errors import UserError
from glassmill.recipe import Recipe, TrainSettings
from glassmill.run.names import find_folder
from glassmill.tokens.shards import read_index
from glassmill.tokens.tokenizer import Tokenizer

OWN = "own text"
LEAST_SHARE = 0.001
"""Below it, the recipe's own text is not read: what is left of 1 may be an error of rounding."""
MOST_EPOCHS = 4.0
"""Up to here, text read again teaches nearly as much as new text (Muennighoff et al. 2023, arXiv 2305.16264)."""


class Source(NamedTuple):
    """A tokens run and its share of the windows."""

    name: str
    folder: Path
    share: float


class Reading(TypedDict):
    """What a training reads of a source: its share of the windows, the ids it has, and how often each is read."""

    share: float
    tokens: int
    epochs: float


def prepared(recipe: Recipe, runs: Path) -> Recipe:
    """The recipe with the folders of `train.mixture`, once their vocabularies have been compared.

    Raises:
        UserError: no such tokens run, one that is named twice, or ids that mean something else than the recipe's.
    """
    if not recipe.train.mixture:
        return recipe
    found: dict[str, float] = {}
    for name, share in recipe.train.mixture.items():
        folder = find_folder(name, runs, _has_ids, "train.mixture:", "has token ids")
        if not _has_ids(folder):
            raise UserError(f"train.mixture: {name} is not a tokens run: it has no index.json")
        if str(folder) in found:
            raise UserError(f"train.mixture: {name} is named twice ({folder}); give it one share")
        found[str(folder)] = share
    if recipe.tokenizer.base is None:
        raise UserError(
            "train.mixture holds finished ids, and a vocabulary that is learned anew gives them another meaning; set "
            "tokenizer.base to the tokenizer that they were encoded with"
        )
    tokenizer, what = Tokenizer.load(recipe.tokenizer.base), f"tokenizer.base = {recipe.tokenizer.base}"
    for name in found:
        check_ids(Path(name), tokenizer.text_lengths(), tokenizer.document_end_id, what)
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"mixture": found})})


def check_ids(tokens: Path, lengths: np.ndarray, document_end: int, what: str) -> None:
    """Raises UserError where the ids of a tokens run are not those of `what`, whose ids stand for so many bytes."""
    theirs = id_lengths(tokens)
    if not np.array_equal(theirs, lengths) or read_index(tokens / "index.json")["eos_id"] != document_end:
        raise UserError(
            f"train.mixture: {tokens} is encoded with another vocabulary ({len(theirs)} tokens) than {what} "
            f"({len(lengths)}); encode its documents with that one (tokenizer.base)"
        )


def id_lengths(tokens: Path) -> np.ndarray:
    """Bytes of text of every id of a tokens run.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        lengths: np.ndarray = np.load(tokens / "token_bytes.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{tokens}/token_bytes.npy cannot be read: {' '.join(str(error).split())[:200]}") from None
    return lengths


def sources(settings: TrainSettings, own: Path) -> list[Source]:
    """What a training reads: the recipe's own tokens run first, with what the others leave of the windows."""
    rest = own_share(settings)
    others = [Source(name, Path(name), share) for name, share in settings.mixture.items()]
    return [Source(OWN, own, rest), *others] if rest else others


def own_share(settings: TrainSettings) -> float:
    """The share of the recipe's own text; 0 if the mixture takes all."""
    rest = 1 - sum(settings.mixture.values())
    return rest if rest >= LEAST_SHARE else 0.0


def readings(shares: Mapping[str, tuple[float, int]], tokens: float) -> dict[str, Reading]:
    """What a training of so many `tokens` reads of each source, from its share and the number of its ids."""
    return {
        name: {"share": round(share, 4), "tokens": own, "epochs": float(f"{share * tokens / max(1, own):.3g}")}
        for name, (share, own) in shares.items()
    }


def planned(settings: TrainSettings, own_tokens: int, tokens: float) -> dict[str, Reading]:
    """`readings` before anything is encoded: the recipe's own text has about `own_tokens`."""
    if not settings.mixture:
        return {}
    found = sources(settings, Path())
    shares = {name: (share, own_tokens if name == OWN else _num_ids(folder)) for name, folder, share in found}
    return readings(shares, tokens)


def warnings(read: Mapping[str, Reading]) -> Iterator[str]:
    """A sentence for every source that is read too often."""
    for name, reading in read.items():
        if reading["epochs"] > MOST_EPOCHS:
            yield (
                f"train.mixture: {name} is read {reading['epochs']:g} times; beyond {MOST_EPOCHS:g} times, the same "
                "text teaches little: lower its share, or give it more text"
            )


def described(read: Mapping[str, Reading]) -> str:
    """The sources in one line.

    >>> described({"own text": {"share": 0.7, "tokens": 1000, "epochs": 2.5}})
    'own text 70 % of the windows (2.5 times over)'
    """
    return ", ".join(
        f"{name} {100 * reading['share']:g} % of the windows ({reading['epochs']:g} times over)"
        for name, reading in read.items()
    )


def _has_ids(run: Path) -> bool:
    return (run / "index.json").is_file() and (run / "token_bytes.npy").is_file()


def _num_ids(tokens: Path) -> int:
    return read_index(tokens / "index.json")["train"]["tokens"]
