"""What a model thinks of any prompt, beyond OpenAI's API: the routes behind the studio's pages about its inside.

    POST /internal/next-tokens   the likeliest next tokens after a prompt, and how unsure the model is
    POST /internal/trace         layer by layer: what the model would say (logit lens), where its heads look
                                 (attention), how long its vectors are (norms, added), what each head and layer adds
                                 to one token's logit (attribution), and the model's shape

A prompt is a text, a conversation, or token ids. Bounds: `MAX_TRACE_TOKENS` tokens for a trace, and `MAX_NUMBERS`
numbers in an answer; who wants more asks for fewer layers, heads or positions. See `glassmill.model.trace`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from glassmill.errors import ApiError, ContextOverflow, EngineClosed, QueueFull, UserError
from glassmill.infer.compose import piece_of
from glassmill.infer.decoder import Piece, new_row
from glassmill.infer.sampling import log_normalizers, token_logprobs
from glassmill.model.sizes import num_attention_parameters, num_feed_forward_parameters
from glassmill.serve.bodies import apart, leaving, read, takes
from glassmill.serve.errors import from_engine, json_response
from glassmill.serve.inside import compute, look
from glassmill.serve.messages import to_internal
from glassmill.serve.provider import Provider, current_model
from glassmill.serve.replies import token_key
from glassmill.serve.schema import MAX_MESSAGES

if TYPE_CHECKING:
    from glassmill.infer.decoder import Decoder
    from glassmill.infer.generate import Model
    from glassmill.infer.sampling import Floats
    from glassmill.model.attribution import Attribution
    from glassmill.model.trace import Trace
    from glassmill.model.transformer import Transformer

MAX_TRACE_TOKENS = 512
MAX_NEXT_TOKENS = 2048
"""A prompt is read in one go, and the streams wait for it."""
MAX_NUMBERS = 2_000_000
DIGITS = 5
"""Decimals in an answer; the model itself computes with fewer."""

View = Literal["lens", "attention", "norms", "added", "attribution", "shape"]


class PromptRequest(BaseModel):
    """A prompt in one of three forms."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    prompt: str | None = None
    messages: list[dict[str, object]] | None = Field(None, min_length=1, max_length=MAX_MESSAGES)
    tokens: list[int] | None = Field(None, min_length=1)


class NextTokensRequest(PromptRequest):
    """`POST /internal/next-tokens`."""

    top: int = Field(50, ge=1, le=1000)
    whole: bool = Field(False, description="also the log-probability of every token, by id")


class TraceRequest(PromptRequest):
    """`POST /internal/trace`."""

    views: list[View] = Field(["lens", "norms"], min_length=1)
    top: int = Field(5, ge=1, le=50, description="tokens that the lens names at each position")
    layers: list[int] | None = Field(None, description="for attention; from 0; all if omitted")
    heads: list[int] | None = Field(None, description="for attention; from 0; all if omitted")
    query: int | None = Field(None, description="a position: attention of it alone; attribution behind it, or the last")
    token: int | None = Field(None, description="for attribution; the likeliest if omitted")
    against: int | None = Field(None, description="for attribution; the mean of the vocabulary if omitted")


def add_research(app: FastAPI, provider: Provider) -> None:
    """Add the routes."""

    @app.post("/internal/next-tokens", openapi_extra=takes(NextTokensRequest))
    async def next_tokens(request: Request) -> Response:
        body = await read(request, NextTokensRequest)
        return await apart(request, _next_tokens, await current_model(provider, body.model, request), body)

    @app.post("/internal/trace", openapi_extra=takes(TraceRequest))
    async def trace(request: Request) -> Response:
        body = await read(request, TraceRequest)
        model = await current_model(provider, body.model, request)
        async with leaving(request) as gone:
            return await apart(request, _traced, model, body, gone)


def _next_tokens(model: Model, body: NextTokensRequest) -> Response:
    ids = _ids(model, body, min(MAX_NEXT_TOKENS, model.engine.max_length))

    def last(decoder: Decoder) -> Floats:
        with new_row(decoder) as row:
            logits: Floats = decoder.forward([Piece(row, ids)])[0].logits_WV[-1]
            return logits

    try:
        logits_V = model.engine.call(last)
    except EngineClosed as error:
        raise from_engine(error) from None
    found = token_logprobs(logits_V, ids[-1], min(body.top, len(logits_V)))
    logprobs_V = logits_V.astype(np.float64) - log_normalizers(logits_V[None])[0]
    entropy = float(-(np.exp(logprobs_V) * logprobs_V).sum())
    top = [{**_token(model, token), "logprob": round(value, DIGITS)} for token, value in found.top]
    pieces = [_token(model, token)["token"] for token in ids]
    answer = {"model": model.name, "tokens": ids, "pieces": pieces, "entropy": round(entropy, DIGITS), "top": top}
    return json_response({**answer, **({"logprobs": _rounded(logprobs_V)} if body.whole else {})})


def _traced(model: Model, body: TraceRequest, gone: Callable[[], bool]) -> Response:
    from glassmill.model.attribution import attribute

    ids = _ids(model, body, min(MAX_TRACE_TOKENS, model.engine.max_length))
    layers = _chosen(body.layers, model.config.num_layers, "layers")
    heads = _chosen(body.heads, model.config.num_heads, "heads")
    position = _within(body.query, len(ids), "query", len(ids) - 1)
    for field in ("token", "against"):
        _within(getattr(body, field), model.config.vocab_size, field, 0)
    sizes = {
        "lens": 2 * (model.config.num_layers + 1) * len(ids) * body.top,
        "norms": (model.config.num_layers + 1) * len(ids),
        "added": 2 * model.config.num_layers * len(ids),
        "attention": len(layers) * len(heads) * len(ids) * (len(ids) if body.query is None else 1),
    }
    if (total := sum(sizes.get(view, 0) for view in set(body.views))) > MAX_NUMBERS:
        why = f"{total:,} numbers; at most {MAX_NUMBERS:,} are sent: choose fewer layers or heads, or a shorter prompt"
        raise ApiError(400, f"the answer would have {why}", param="views", code="too_large")
    wanted = set(body.views)

    def inside(transformer: Transformer) -> tuple[Trace, Attribution | None]:
        seen = look(model, transformer, ids, body.top, "attention" in wanted)
        explained = "attribution" in wanted
        return seen, attribute(transformer, seen, position, body.token, body.against) if explained else None

    try:
        seen, parts = compute(model, inside, len(ids), gone)
    except (UserError, QueueFull, EngineClosed) as error:
        raise from_engine(error, "model") from None
    answer: dict[str, Any] = {"model": model.name, "tokens": [_token(model, token) for token in ids]}
    if "shape" in wanted:
        answer["shape"] = _shape(model)
    if parts is not None:
        answer["attribution"] = _attribution(model, parts, position, body.against)
    arrays: dict[View, Callable[[], object]] = {
        "lens": lambda: _lens(model, seen, body.top),
        "norms": lambda: _rounded(seen.norms_RT),
        "added": lambda: _added(seen),
        "attention": lambda: _attention(seen, layers, heads, body.query),
    }
    answer |= {view: made() for view, made in arrays.items() if view in wanted}
    return json_response(answer)


def _lens(model: Model, seen: Trace, top: int) -> list[list[Mapping[str, object]]]:
    """For every reading of the residual stream, the embedding first, and every position, the likeliest tokens."""
    found_RTK, logprobs_RTK = seen.lens_ids_RTK[:, :, :top], seen.lens_logprobs_RTK[:, :, :top]
    words = {int(token): _token(model, int(token))["token"] for token in np.unique(found_RTK)}
    return [
        [
            {"ids": ids_K, "tokens": [words[token] for token in ids_K], "logprobs": logprobs_K}
            for ids_K, logprobs_K in zip(ids_TK, logprobs_TK, strict=True)
        ]
        for ids_TK, logprobs_TK in zip(found_RTK.tolist(), _rounded(logprobs_RTK), strict=True)
    ]


def _attention(seen: Trace, layers: Sequence[int], heads: Sequence[int], query: int | None) -> list[dict[str, object]]:
    """Of each layer and head, how much each position, or `query` alone, looks at each earlier one."""
    weights_LNTS = seen.attention_LNTS if query is None else seen.attention_LNTS[:, :, query, : query + 1]
    return [
        {"layer": layer, "head": head, "weights": _rounded(weights_LNTS[layer, head])}
        for layer in layers
        for head in heads
    ]


def _added(seen: Trace) -> dict[str, object]:
    """Lengths of what each layer's two parts add to the residual stream at each position, `(L, T)` each."""
    parts = {"attention": seen.attention_out_LTD, "feed_forward": seen.feed_forward_out_LTD}
    return {name: _rounded(np.linalg.norm(out_LTD, axis=-1)) for name, out_LTD in parts.items()}


def _attribution(model: Model, parts: Attribution, position: int, against: int | None) -> dict[str, object]:
    return {
        "position": position,
        "token": _token(model, parts.token),
        "against": None if against is None else _token(model, against),
        "embedding": round(parts.embedding, DIGITS),
        "heads": _rounded(parts.heads_LN),
        "feed_forward": _rounded(parts.feed_forward_L),
        "total": round(parts.total, DIGITS),
    }


def _shape(model: Model) -> dict[str, object]:
    """The numbers that a picture of the model needs; `parameters` of one layer's parts, the embedding and all."""
    config = model.config
    names = ("vocab_size", "d_model", "num_layers", "num_heads", "num_kv_heads", "head_dim", "d_ff", "context_length")
    kinds = ("qk_norm", "qkv_bias", "tie_embeddings")
    parameters = {
        "attention": num_attention_parameters(config),
        "feed_forward": num_feed_forward_parameters(config),
        "embedding": config.vocab_size * config.d_model,
        "all": model.num_parameters,
    }
    return {**{name: getattr(config, name) for name in (*names, *kinds)}, "parameters": parameters}


def _ids(model: Model, body: PromptRequest, longest: int) -> list[int]:
    """The prompt as token ids.

    Raises:
        ApiError: 400: Not exactly one form is given, an id is unknown, or it is too long.
    """
    if sum(given is not None for given in (body.prompt, body.messages, body.tokens)) != 1:
        raise ApiError(400, "give exactly one of prompt, messages and tokens", param="prompt", code="invalid_value")
    try:
        if body.messages is not None:
            ids = model.chat_ids(to_internal(body.messages), continue_last=True)
        else:
            ids = body.tokens or model.prompt_ids(body.prompt or "")
    except (UserError, ContextOverflow) as error:
        raise from_engine(error, "messages") from None
    if not all(0 <= token < model.config.vocab_size for token in ids):
        raise ApiError(400, "tokens: an id is out of range", param="tokens", code="invalid_value")
    if len(ids) > longest:
        message = f"the prompt has {len(ids)} tokens; at most {longest} are possible here"
        raise ApiError(400, message, param="prompt", code="context_length_exceeded")
    return ids


def _chosen(given: Sequence[int] | None, number: int, field: str) -> list[int]:
    if given is None:
        return list(range(number))
    if not all(0 <= one < number for one in given):
        raise ApiError(400, f"{field}: the model has {number}, counted from 0", param=field, code="invalid_value")
    return sorted(set(given))


def _within(given: int | None, number: int, field: str, default: int) -> int:
    if given is not None and not 0 <= given < number:
        raise ApiError(400, f"{field} = {given}: must be from 0 to {number - 1}", param=field, code="invalid_value")
    return default if given is None else given


def _token(model: Model, token: int) -> dict[str, object]:
    return {"id": token, "token": token_key(piece_of(model.tokenizer, token))}


def _rounded(array: Floats) -> Any:
    return np.round(array.astype(np.float64), DIGITS).tolist()
