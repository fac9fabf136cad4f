"""A conversation as stretches of text and control tokens, and their ids. Chat templates of both kinds produce these.

In: segments. Out: ids, and a mask of the ids that the assistant learns to write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from glassmill.tokens.tokenizer import Tokenizer


class Segment(NamedTuple):
    """A stretch of text, or the name of one control token; `learned`: the assistant learns to write it."""

    text: str
    control: bool = False
    learned: bool = False


def assemble(tokenizer: Tokenizer, parts: Iterable[Segment]) -> tuple[np.ndarray, np.ndarray]:
    """Ids (uint32) and mask (bool), both of shape `(T,)`.

    Adjacent texts are encoded as one, as transformers does, but never across a change of `learned`: at inference the
    prompt ends there, and training must see the same ids. (The two differ only if the answer starts with white space,
    or the template leaves a space before it.)
    """
    ids: list[np.ndarray] = []
    mask: list[np.ndarray] = []
    for text, control, learned in _joined(parts):
        piece = np.array([tokenizer.special[text]], dtype=np.uint32) if control else tokenizer.encode(text)
        ids.append(piece)
        mask.append(np.full(len(piece), learned))
    if not ids:
        return np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=bool)
    return np.concatenate(ids), np.concatenate(mask)


def _joined(parts: Iterable[Segment]) -> Iterator[Segment]:
    """`parts` with adjacent texts of the same kind joined, and empty texts dropped."""
    waiting = Segment("")
    for part in parts:
        if not part.control and not part.text:
            continue
        if not part.control and part.learned == waiting.learned:
            waiting = Segment(waiting.text + part.text, learned=part.learned)
            continue
        if waiting.text:
            yield waiting
        waiting = Segment("") if part.control else part
        if part.control:
            yield part
    if waiting.text:
        yield waiting
