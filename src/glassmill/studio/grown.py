"""How a model came to read a text as it does: the same text in every snapshot of its training.

    POST /api/runs/{stage}/{run}/grown   attention at one token, and what each layer would say there, by step

Of heads, one kind is looked for by name. An induction head (Olsson et al. 2022, arXiv 2209.11895) looks, from a token
that stood in the text before, at what followed it then. Its score is the share of attention that it gives to that
place, over all tokens of the text that stood there before.

    S snapshots, L layers, N heads, T positions
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from glassmill.errors import ApiError, UserError
from glassmill.studio.routes import answer, run_folder
from glassmill.studio.watch import Watcher

Floats = npt.NDArray[np.float32]
MAX_TOKENS = 256
KEPT_BYTES = 128 << 20
"""Of attention in all snapshots of a text; a longer one is refused."""
DIGITS = 4
_turn = ThreadPoolExecutor(1, "glassmill-grown")
"""One at a time: a request computes as many passes as there are snapshots."""


class Grown(BaseModel):
    """A text to read in every snapshot."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tokens: list[int] = Field(min_length=1, max_length=MAX_TOKENS)
    query: int = Field(ge=0, description="the position that is looked at")


def grown_routes(watcher: Watcher) -> APIRouter:
    """The route over a runs folder."""
    router = APIRouter(prefix="/api/runs/{stage}/{run}")

    @router.post("/grown")
    async def grown(request: Request, stage: str, run: str, body: Grown) -> Response:
        folder = run_folder(watcher, stage, run)
        if body.query >= len(body.tokens):
            raise ApiError(400, f"query = {body.query}: must be from 0 to {len(body.tokens) - 1}", param="query")
        return await answer(request, _turn, lambda: _grown(folder, body))

    return router


def _grown(folder: Path, body: Grown) -> dict[str, object]:
    from glassmill.train.snapshots import snapshots

    kept = snapshots(folder)
    if not kept or not (folder / "model" / "config.json").is_file():
        return {"steps": []}
    found = tuple(Snapshot(step, path, path.stat().st_mtime_ns) for step, path in kept.items())
    ids = tuple(body.tokens)
    return _told(found, _passes(folder, found, ids), ids, body.query)


class Snapshot(NamedTuple):
    """One of a run's, as it was written at `time`."""

    step: int
    path: Path
    time: int


class Pass(NamedTuple):
    """What one snapshot makes of a text, for each of its positions; see `model.trace`."""

    attention_LNTS: Floats
    words_RT: list[list[str]]
    shares_RT: Floats


def _told(kept: tuple[Snapshot, ...], passes: Sequence[Pass], ids: tuple[int, ...], query: int) -> dict[str, object]:
    scores_SLN = np.stack([induction_scores(one.attention_LNTS, ids) for one in passes])
    layer, head = np.unravel_index(int(scores_SLN[-1].argmax()), scores_SLN.shape[1:])
    return {
        "steps": [snapshot.step for snapshot in kept],
        "attention": [_rounded(one.attention_LNTS[:, :, query, : query + 1]) for one in passes],
        "says": [
            {"tokens": [words_T[query] for words_T in one.words_RT], "shares": _rounded(one.shares_RT[:, query])}
            for one in passes
        ],
        "copied": len(copied(ids)),
        "best": {"layer": int(layer), "head": int(head), "scores": _rounded(scores_SLN[:, layer, head])},
    }


@lru_cache(maxsize=1)
def _passes(folder: Path, kept: tuple[Snapshot, ...], ids: tuple[int, ...]) -> list[Pass]:
    """The text in every snapshot; kept, for a reader goes from token to token."""
    from glassmill.infer.compose import piece_of
    from glassmill.infer.folder import load_folder
    from glassmill.model.threads import pinned_threads
    from glassmill.model.trace import trace
    from glassmill.serve.replies import token_key
    from glassmill.train.snapshots import read_snapshot

    loaded = load_folder(folder / "model")
    if len(ids) > loaded.config.context_length or not all(0 <= token < loaded.config.vocab_size for token in ids):
        raise UserError(f"{folder.name} cannot read this text: it is too long, or has another model's tokens")
    most = math.isqrt(KEPT_BYTES // (4 * len(kept) * loaded.config.num_layers * loaded.config.num_heads))
    if len(ids) > most:
        raise UserError(
            f"{len(ids)} tokens: at most {most} can be followed through {len(kept)} snapshots of this model"
        )
    passes = list[Pass]()
    with pinned_threads(1):
        for snapshot in kept:
            loaded.model.load_state_dict(read_snapshot(snapshot.path))
            seen = trace(loaded.model, ids, 1)
            words = [
                [token_key(piece_of(loaded.tokenizer, int(token))) for token in ids_T]
                for ids_T in seen.lens_ids_RTK[:, :, 0]
            ]
            passes.append(Pass(seen.attention_LNTS, words, np.exp(seen.lens_logprobs_RTK[:, :, 0])))
    return passes


def copied(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Positions whose token stood in the text before, each with the position behind that earlier one."""
    pairs, last = list[tuple[int, int]](), dict[int, int]()
    for position, token in enumerate(ids):
        if token in last and last[token] + 1 < position:
            pairs.append((position, last[token] + 1))
        last[token] = position
    return pairs


def induction_scores(weights_LNTS: Floats, ids: Sequence[int]) -> Floats:
    """Of every head, `(L, N)`, the mean attention from `copied` positions to what followed then; 0 without any."""
    pairs = np.array(copied(ids), dtype=np.int64).reshape(-1, 2)
    if not len(pairs):
        return np.zeros(weights_LNTS.shape[:2], dtype=np.float32)
    scores_LN: Floats = weights_LNTS[:, :, pairs[:, 0], pairs[:, 1]].mean(axis=-1)
    return scores_LN


def _rounded(array: Floats) -> object:
    return np.round(array.astype(np.float64), DIGITS).tolist()
