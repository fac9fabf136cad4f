"""`POST /v1/embeddings`: a text as one vector, the mean of the model's last hidden states over its tokens, of length 1.

These models are trained to continue text, not to embed it: near texts get near vectors, but a model made for search
finds better. Everything is computed by the served weights; no other model is involved.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from glassmill.errors import ApiError, EngineClosed, QueueFull, UserError
from glassmill.serve.bodies import apart, read, takes
from glassmill.serve.errors import from_engine, json_response
from glassmill.serve.inside import compute
from glassmill.serve.provider import Provider, current_model

if TYPE_CHECKING:
    from glassmill.infer.generate import Model
    from glassmill.infer.sampling import Floats
    from glassmill.model.transformer import Transformer

MAX_INPUTS = 2048
MAX_TOKENS = 100_000
"""Of all texts of a request: minutes, for a large model on a laptop."""


class EmbeddingRequest(BaseModel):
    """`POST /v1/embeddings`."""

    model_config = ConfigDict(extra="allow", strict=True)

    input: str | list[str] | list[int] | list[list[int]]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


def add_embeddings(app: FastAPI, provider: Provider) -> None:
    """Add the route."""

    @app.post("/v1/embeddings", openapi_extra=takes(EmbeddingRequest))
    async def embeddings(request: Request) -> Response:
        body = await read(request, EmbeddingRequest)
        model = await current_model(provider, body.model, request)
        if body.dimensions not in (None, model.config.d_model):
            why = f"this model's vectors have {model.config.d_model} dimensions, and a part of them means nothing"
            raise ApiError(400, f"dimensions = {body.dimensions}: {why}", param="dimensions")
        texts = await apart(request, _all_ids, model, body.input)
        data: list[dict[str, Any]] = []
        for index, ids in enumerate(texts):
            if await request.is_disconnected():
                break
            try:
                vector = await apart(request, embed, model, ids)
            except (UserError, QueueFull, EngineClosed) as error:
                raise from_engine(error, "model") from None
            written = _as_base64(vector) if body.encoding_format == "base64" else vector.tolist()
            data.append({"object": "embedding", "index": index, "embedding": written})
        total = sum(map(len, texts))
        usage = {"prompt_tokens": total, "total_tokens": total}
        return json_response({"object": "list", "data": data, "model": model.name, "usage": usage})


def embed(model: Model, ids: list[int]) -> Floats:
    """The mean of the hidden states behind the last layer's norm, `(D,)` float32, of Euclidean length 1."""

    def mean(transformer: Transformer) -> Floats:
        import torch

        with torch.inference_mode():
            hidden_TD = transformer.hidden(torch.tensor([ids], device=transformer.head_weight.device))[0].float()
            vector: Floats = hidden_TD.mean(dim=0).cpu().numpy()
            return vector

    mean_D = compute(model, mean, len(ids))
    length = float(np.linalg.norm(mean_D))
    return mean_D / np.float32(length or 1.0)


def _all_ids(model: Model, given: str | list[str] | list[int] | list[list[int]]) -> list[list[int]]:
    """The token ids of every text.

    Raises:
        ApiError: 400: Nothing to embed, too much, or ids that the model does not have.
    """
    if not given:
        raise ApiError(400, "input: it is empty", param="input")
    many = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    if len(many) > MAX_INPUTS:
        raise ApiError(400, f"input: {len(many)} texts; at most {MAX_INPUTS} are allowed", param="input")
    texts = [model.prompt_ids(one) if isinstance(one, str) else [*map(int, one)] for one in many]
    for number, ids in enumerate(texts):
        if not 0 < len(ids) <= model.engine.max_length:
            bounds = f"from 1 to {model.engine.max_length} are allowed"
            code = "context_length_exceeded" if ids else "invalid_value"
            raise ApiError(400, f"input.{number}: {len(ids)} tokens; {bounds}", param="input", code=code)
        if not all(0 <= token < model.config.vocab_size for token in ids):
            raise ApiError(400, f"input.{number}: a token id is out of range", param="input", code="invalid_value")
    if (total := sum(map(len, texts))) > MAX_TOKENS:
        raise ApiError(400, f"input: {total:,} tokens; at most {MAX_TOKENS:,} are allowed", param="input")
    return texts


def _as_base64(vector: Floats) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
