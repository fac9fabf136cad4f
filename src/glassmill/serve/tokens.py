"""What the model reads: text to token ids and back, and a conversation in the form of the model's template.

    POST /tokenize   POST /detokenize   POST /apply-template

All of it grows with the request, so all of it runs in a worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.responses import Response

from glassmill.errors import ApiError, UserError
from glassmill.serve.bodies import apart, read, takes
from glassmill.serve.errors import from_engine, json_response
from glassmill.serve.messages import to_internal
from glassmill.serve.provider import Provider, current_model
from glassmill.serve.schema import DetokenizeRequest, TemplateRequest, TokenizeRequest, template_options
from glassmill.tokens.chat import render_text

if TYPE_CHECKING:
    from glassmill.infer.generate import Model


def add_tokens(app: FastAPI, provider: Provider) -> None:
    """Add the routes."""

    @app.post("/tokenize", openapi_extra=takes(TokenizeRequest))
    async def tokenize(request: Request) -> Response:
        body = await read(request, TokenizeRequest)
        return await apart(request, _tokenized, await current_model(provider, body.model, request), body)

    @app.post("/detokenize", openapi_extra=takes(DetokenizeRequest))
    async def detokenize(request: Request) -> Response:
        body = await read(request, DetokenizeRequest)
        return await apart(request, _detokenized, await current_model(provider, body.model, request), body)

    @app.post("/apply-template", openapi_extra=takes(TemplateRequest))
    async def apply_template(request: Request) -> Response:
        body = await read(request, TemplateRequest)
        return await apart(request, _rendered, await current_model(provider, body.model, request), body)


def _tokenized(model: Model, body: TokenizeRequest) -> Response:
    text = body.prompt if body.prompt is not None else body.content
    if (text is None) == (body.messages is None):
        raise ApiError(400, "give exactly one of prompt, content and messages", param="prompt")
    if body.messages is not None:
        ids = _chat_ids(model, body.messages, template_options(body.chat_template_kwargs, body.documents))
    else:
        encode = model.tokenizer.framed if body.as_prompt else model.tokenizer.encode
        ids = [int(token) for token in encode(text or "")]
    answer: dict[str, object] = {"tokens": ids, "count": len(ids), "max_model_len": model.engine.max_length}
    if body.with_pieces:
        answer["pieces"] = [model.tokenizer.decode([token]) for token in ids]
    return json_response(answer)


def _detokenized(model: Model, body: DetokenizeRequest) -> Response:
    try:
        text = model.tokenizer.decode(body.tokens)
    except (ValueError, OverflowError) as error:
        raise ApiError(400, f"tokens: {error}", param="tokens") from None
    return json_response({"prompt": text, "content": text})


def _rendered(model: Model, body: TemplateRequest) -> Response:
    options = template_options(body.chat_template_kwargs, body.documents)
    ids = _chat_ids(model, body.messages, options)
    text = render_text(model.tokenizer, [dict(message) for message in to_internal(body.messages)], options)
    return json_response({"prompt": text, "tokens": ids})


def _chat_ids(model: Model, messages: Sequence[Mapping[str, object]], options: Mapping[str, object]) -> list[int]:
    try:
        return model.chat_ids(to_internal(messages), options=options)
    except UserError as error:
        raise from_engine(error, "messages") from None
