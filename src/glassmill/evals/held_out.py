"""The held-out documents of a tokens run, in the ids of the model that is to be measured on them.

In: a tokens run, and a model's vocabulary. Out: ids and the bytes of text that each id stands for. Ids of another
vocabulary mean something else, or nothing, to the model; their text is what they share, and bits per byte of it compare
whatever the vocabularies are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glassmill.errors import UserError
from glassmill.run.folder import is_done, read_manifest
from glassmill.run.given import with_content
from glassmill.tokens.shards import Shards
from glassmill.tokens.tokenizer import Tokenizer


def held_out(tokens: Path, vocabulary: Tokenizer) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Ids of all held-out documents, shape `(n,)`, and UTF-8 bytes of every id, shape `(V,)`.

    Raises:
        UserError: the run is encoded with another vocabulary, and the run of that vocabulary is gone.
    """
    shards = Shards(tokens, "validation")
    lengths = np.load(tokens / "token_bytes.npy", allow_pickle=False)
    if np.array_equal(lengths, vocabulary.text_lengths()):
        return shards.ids, lengths
    end = vocabulary.document_end_id
    encoded = [[*vocabulary.encode(text), end] for text in _texts(shards, _vocabulary_of(tokens))]
    return np.array([id for ids in encoded for id in ids], np.int64), vocabulary.text_lengths()


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
