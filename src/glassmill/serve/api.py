"""The OpenAI-compatible API over one model.

    POST /v1/chat/completions   POST /v1/completions   GET /v1/models   GET /v1/models/{id}
    POST /tokenize   POST /detokenize   POST /apply-template   GET /health   GET /metrics

The model comes from a `provider`, which is called on every request. While it has none, the response is 503 in OpenAI's
form. Nothing here imports torch; the provider does, once there is something to load.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from glassmill.errors import ApiError, UserError
from glassmill.serve.errors import add_error_handlers, json_response, to_json
from glassmill.serve.guard import LOOPBACK, Guard, Limits
from glassmill.serve.messages import to_internal
from glassmill.serve.replies import ChatShape, CompletionShape, Envelope, usage_of
from glassmill.serve.schema import (
    KNOWN_FIELDS,
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    TemplateRequest,
    TokenizeRequest,
    template_options,
)
from glassmill.serve.shapes import Chunk, ModelCard, Usage
from glassmill.serve.work import Work

if TYPE_CHECKING:
    from glassmill.infer.generate import Model

Provider = Callable[[], "Model | None"]
"""Returns the model to serve, or `None` while there is none. Called in a worker thread on every request."""


def create_api(
    provider: Provider,
    api_key: str | None = None,
    allowed_hosts: frozenset[str] | None = LOOPBACK,
    public_paths: frozenset[str] = frozenset({"/health"}),
    limits: Limits | None = None,
) -> FastAPI:
    """The application. Routes may be added to it; the guard covers them too.

    Args:
        provider: See `Provider`.
        api_key: What clients must send; `None`: no key.
        allowed_hosts: Host names that requests may use; `None`: any.
        public_paths: Paths that need no key; one that ends in "/" covers everything below it.
        limits: Limits on request bodies.
    """
    app = FastAPI(title="glassmill", docs_url=None, redoc_url=None)
    app.add_middleware(Guard, api_key=api_key, allowed_hosts=allowed_hosts, public_paths=public_paths, limits=limits)
    add_error_handlers(app, KNOWN_FIELDS)
    _add_generation(app, provider)
    _add_information(app, provider)
    _add_tokens(app, provider)
    return app


async def current_model(provider: Provider, name: str | None = None) -> Model:
    """The model, if there is one and `name` is its name or omitted.

    Raises:
        ApiError: 503 without a model, 404 for another name.
    """
    try:
        model = await run_in_threadpool(provider)
    except UserError as error:
        raise ApiError(503, str(error), code="model_not_loaded") from None
    if model is None:
        raise ApiError(503, "the model is still being trained", code="model_not_ready", headers={"Retry-After": "10"})
    if name not in (None, model.name):
        message = f"unknown model {name!r}; available: {model.name!r}"
        raise ApiError(404, message, param="model", code="model_not_found")
    return model


# --- generation -------------------------------------------------------------------------------------------------------


def _add_generation(app: FastAPI, provider: Provider) -> None:
    @app.post("/v1/chat/completions")
    async def chat_completions(body: ChatRequest, request: Request) -> Response:
        params = body.sampling()
        model = await current_model(provider, body.model)
        prompt = await run_in_threadpool(_chat_ids, model, body.messages, body.template_options())
        work = await Work.submit(model.engine, [prompt], params, body.n or 1, "messages")
        envelope = Envelope("chat.completion", model.name)
        shape = ChatShape(model.tokenizer, bool(body.logprobs), bool(body.return_token_ids))
        if body.stream:
            return _event_stream(_chat_events(work, request, body, envelope, shape))
        async with work.watched(request):
            async for _ in work.deltas():
                pass
        choices = [shape.whole(index, completion.reply()) for index, completion in enumerate(work.completions)]
        return json_response(envelope.whole(choices, _usage(work, body.n)))

    @app.post("/v1/completions")
    async def completions(body: CompletionRequest, request: Request) -> Response:
        params = body.sampling()
        model = await current_model(provider, body.model)
        prompts = await run_in_threadpool(_prompt_ids, model, body)
        work = await Work.submit(model.engine, prompts, params, body.n or 1, "prompt")
        envelope = Envelope("text_completion", model.name)
        shapes = [_shape(model, completion.prompt, body) for completion in work.completions]
        if body.stream:
            return _event_stream(_completion_events(work, request, body, envelope, shapes))
        async with work.watched(request):
            async for _ in work.deltas():
                pass
        replies = [completion.reply() for completion in work.completions]
        choices = [shape.whole(i, reply) for i, (shape, reply) in enumerate(zip(shapes, replies, strict=True))]
        return json_response(envelope.whole(choices, _usage(work, body.n)))


async def _chat_events(
    work: Work, request: Request, body: ChatRequest, envelope: Envelope, shape: ChatShape
) -> AsyncIterator[bytes]:
    lengths = [0] * len(work.completions)
    async with work.watched(request):
        for index in range(len(work.completions)):
            yield _event(envelope.chunk([shape.opening(index)], None, body.include_usage))
        try:
            async for index, delta in work.deltas():
                choice = shape.delta(index, delta, lengths[index])
                lengths[index] += len(delta.text)
                yield _event(envelope.chunk([choice], None, body.include_usage))
        except ApiError as error:
            yield _event(error.body)
            return
        if body.include_usage:
            yield _event(envelope.chunk([], _usage(work, body.n), True))
        yield b"data: [DONE]\n\n"


async def _completion_events(
    work: Work, request: Request, body: CompletionRequest, envelope: Envelope, shapes: list[CompletionShape]
) -> AsyncIterator[bytes]:
    echo_next = set(range(len(shapes))) if body.echo else set()
    async with work.watched(request):
        try:
            async for index, delta in work.deltas():
                if index in echo_next:  # with the first delta: by then the prompt has been scored
                    echo_next.remove(index)
                    echoed = shapes[index].echoed(index, work.completions[index].prompt_logprobs)
                    yield _event(envelope.chunk([echoed], None, body.include_usage))
                yield _event(envelope.chunk([shapes[index].delta(index, delta)], None, body.include_usage))
        except ApiError as error:
            yield _event(error.body)
            return
        if body.include_usage:
            yield _event(envelope.chunk([], _usage(work, body.n), True))
        yield b"data: [DONE]\n\n"


def _chat_ids(model: Model, messages: Sequence[Mapping[str, object]], options: Mapping[str, object]) -> list[int]:
    try:
        return model.chat_ids(to_internal(messages), options)
    except UserError as error:
        raise ApiError(400, str(error), param="messages") from None


def _prompt_ids(model: Model, body: CompletionRequest) -> list[list[int]]:
    prompts = body.prompts()
    return [(model.prompt_ids(prompt) if isinstance(prompt, str) else prompt) for prompt in prompts]


def _shape(model: Model, prompt: tuple[int, ...], body: CompletionRequest) -> CompletionShape:
    with_logprobs = body.logprobs is not None
    return CompletionShape(model.tokenizer, prompt, bool(body.echo), with_logprobs, bool(body.return_token_ids))


def _usage(work: Work, n: int | None) -> Usage:
    prompt = sum(len(completion.prompt) for completion in work.completions[:: n or 1])
    return usage_of(prompt, sum(completion.num_tokens for completion in work.completions))


def _event(value: Chunk | Mapping[str, object]) -> bytes:
    return b"data: " + to_json(value) + b"\n\n"


def _event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


# --- information ------------------------------------------------------------------------------------------------------


def _add_information(app: FastAPI, provider: Provider) -> None:
    started = int(time.time())

    def card(model: Model) -> ModelCard:
        return {
            "id": model.name,
            "object": "model",
            "created": started,
            "owned_by": "glassmill",
            "max_model_len": model.engine.max_length,
        }

    @app.get("/v1/models")
    async def models() -> Response:
        try:
            cards = [card(await current_model(provider))]
        except ApiError:
            cards = []
        return json_response({"object": "list", "data": cards})

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Response:
        return json_response(card(await current_model(provider, name)))

    @app.get("/health")
    async def health() -> Response:
        await current_model(provider)
        return json_response({"status": "ok"})

    @app.get("/metrics")
    async def metrics() -> Response:
        model = await current_model(provider)
        lines = [f"glassmill_{name} {value}" for name, value in asdict(model.engine.stats()).items()]
        return PlainTextResponse("\n".join(lines) + "\n")


def _add_tokens(app: FastAPI, provider: Provider) -> None:
    @app.post("/tokenize")
    async def tokenize(body: TokenizeRequest) -> Response:
        model = await current_model(provider)
        text = body.prompt if body.prompt is not None else body.content
        if (text is None) == (body.messages is None):
            raise ApiError(400, "give exactly one of prompt, content and messages", param="prompt")
        if body.messages is not None:
            options = template_options(body.chat_template_kwargs, body.documents)
            ids = await run_in_threadpool(_chat_ids, model, body.messages, options)
        else:
            encode = model.tokenizer.framed if body.as_prompt else model.tokenizer.encode
            ids = [int(token) for token in await run_in_threadpool(encode, text or "")]
        answer: dict[str, object] = {"tokens": ids, "count": len(ids), "max_model_len": model.engine.max_length}
        if body.with_pieces:
            answer["pieces"] = [model.tokenizer.decode([token]) for token in ids]
        return json_response(answer)

    @app.post("/detokenize")
    async def detokenize(body: DetokenizeRequest) -> Response:
        model = await current_model(provider)
        try:
            text = model.tokenizer.decode(body.tokens)
        except ValueError as error:
            raise ApiError(400, f"tokens: {error}", param="tokens") from None
        return json_response({"prompt": text, "content": text})

    @app.post("/apply-template")
    async def apply_template(body: TemplateRequest) -> Response:
        model = await current_model(provider)
        options = template_options(body.chat_template_kwargs, body.documents)
        ids = await run_in_threadpool(_chat_ids, model, body.messages, options)
        return json_response({"prompt": model.tokenizer.decode(ids), "tokens": ids})
