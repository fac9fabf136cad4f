"""The held-out documents of a tokens run, in the ids of the model that is to be measured on them.

In: a tokens run, and a model's vocabulary. Out: ids and the bytes of text that each id stands for. Ids of another
vocabulary mean something else, or nothing, to the model; their text is what they share, and bits per byte of it compare
whatever the vocabularies are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glassmill.errors import UserError
from glassmill.run.finished import is_done, read_manifest
from glassmill.run.given import with_content
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer


class HeldOut(NamedTuple):
    """Ids of all held-out documents, shape `(n,)`; UTF-8 bytes of every id of the vocabulary, `(V,)`; and the number of
    the document that each of the ids is of, `(n,)`."""

    ids: npt.NDArray[Any]
    token_bytes: npt.NDArray[Any]
    document_n: npt.NDArray[Any]


def held_out(tokens: Path, vocabulary: Tokenizer) -> HeldOut:
    """The held-out documents of a tokens run, in order.

    Raises:
        UserError: the run is encoded with another vocabulary, and the run of that vocabulary is gone.
    """
    shards = Shards(tokens, "validation")
    lengths = np.load(tokens / "token_bytes.npy", allow_pickle=False)
    if np.array_equal(lengths, vocabulary.text_lengths()):
        return HeldOut(shards.ids, lengths, _documents(shards.ids, shards.eos_id))
    end = vocabulary.document_end_id
    encoded = [[*vocabulary.encode(text), end] for text in _texts(shards, _vocabulary_of(tokens))]
    ids = np.array([id for ids in encoded for id in ids], np.int64)
    return HeldOut(ids, vocabulary.text_lengths(), _documents(ids, end))


def _documents(ids: npt.NDArray[Any], end: int) -> npt.NDArray[np.int64]:
    ends = ids == end
    numbers: npt.NDArray[np.int64] = np.cumsum(ends) - ends
    return numbers


def _texts(shards: Shards, vocabulary: Tokenizer) -> list[str]:
    ends = np.flatnonzero(shards.ids == shards.eos_id)
    return [vocabulary.decode(ids[ids != shards.eos_id]) for ids in np.split(shards.ids, ends + 1) if len(ids)]


def _vocabulary_of(tokens: Path) -> Tokenizer:
    content = read_manifest(tokens)["inputs"].get("tokenizer") if is_done(tokens) else None
    found = next(with_content(content, tokens.parent.parent / "tokenizer"), None)
    if found is None:
        raise UserError(
            f"{tokens} is encoded with another vocabulary than the model's, and the tokenizer run that it was made "
            f"with is not under {tokens.parent.parent}; copy it there, or encode with the model's vocabulary "
            "(tokenizer.base=MODEL)"
        )
    return Tokenizer.load(found)
